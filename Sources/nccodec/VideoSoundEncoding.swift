import MediaIO
import NeuralCodecs

/// A video's sound track on its way to be coded anew: from packets to samples at the rate that its codec takes.
final class SoundToCode {
  /// For the encoder.
  let coded: VideoEncoder.CodedSound
  private let decoder: CopiedSoundDecoder
  private let resampler: AudioResampler?

  /// `options`: but for rates. `name`: of the source. Throws `MediaIOError`.
  init(_ track: CopiedTrack, _ options: (_ channels: Int) throws -> AudioEncoder.Options, named name: String) throws {
    decoder = try CopiedSoundDecoder(track, named: name)
    var options = try options(decoder.format.layout.count)
    let rate = options.codec.codedSampleRate(of: decoder.format.sampleRate)
    resampler = decoder.format.sampleRate == rate ? nil : try AudioResampler(decoder.format, to: rate)
    if resampler != nil { options.originalSampleRate = decoder.format.sampleRate }
    coded = VideoEncoder.CodedSound(format: resampler?.format ?? decoder.format, options: options)
  }

  var notices: [String] {
    let damaged = decoder.damagedPackets
    return damaged == 0 ? [] : ["\(damaged) damaged \(damaged == 1 ? "packet" : "packets") of sound \(damaged == 1 ? "was" : "were") left out"]
  }

  /// `track`: of the encoder's coded sound.
  func take(_ packet: CopiedPacket, into encoder: VideoEncoder, track: Int) throws {
    try decoder.decode(packet) { try encoder.append(resampler?.convert($0) ?? $0, track: track) }
  }

  func finish(into encoder: VideoEncoder, track: Int) throws {
    try decoder.finish { try encoder.append(resampler?.convert($0) ?? $0, track: track) }
    if let resampler { try encoder.append(resampler.finish(), track: track) }
    try encoder.finishSound(track: track, originalFrames: resampler == nil ? nil : decoder.frames)
  }
}
