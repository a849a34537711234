import CLibAV
import Glibc
import Media

/// Makes packets of samples, as a video file has them beside its frames: AAC for MP4 and MOV, Opus for Matroska and WebM, MP3 for AVI.
/// `VideoWriter` takes them as those of a copied track.
package final class VideoSoundEncoder {
  package let track: CopiedTrack
  /// One line each.
  package let notices: [String]
  private let packets: AudioPacketEncoder
  private let library: LibAVFormat

  package typealias Receiver = (CopiedPacket) throws -> Void

  /// Sample 0 is at time 0. `kbps`: nil for the sound format's default; `name`: of the file, for errors.
  ///
  /// Throws `MediaIOError` (unsupported) for sound that the file cannot hold.
  package init(_ format: AudioFormat, for file: VideoFileFormat, kbps: Double? = nil, named name: String) throws {
    library = try LibAVFormat.load()
    guard let kind = file.soundFormat else { throw MediaIOError(.unsupported, at: name, "\(file.rawValue) cannot hold sound") }
    var options = AudioWriter.Options()
    options.kbps = kbps
    packets = try AudioPacketEncoder(library, kind, format, options, named: name)
    notices = packets.encoder.notices
    guard let context = packets.encoder.context else { throw MediaIOError(.outOfMemory, at: name, "no memory") }
    let written = packets.encoder.format
    var track = CopiedTrack(
      codec: library.name(of: context.pointee.codec_id), timeBase: Rational(exactly: 1, written.sampleRate) ?? .one, sampleRate: written.sampleRate,
      layout: written.layout)
    if let data = context.pointee.extradata { track.extradata = Array(UnsafeBufferPointer(start: data, count: Int(context.pointee.extradata_size))) }
    track.bitRate = Int(context.pointee.bit_rate)
    track.frameSize = Int(context.pointee.frame_size)
    track.profile = max(0, Int(context.pointee.profile) + 1)
    track.initialPadding = max(0, Int(context.pointee.initial_padding))
    track.seekPreroll = max(0, Int(context.pointee.seek_preroll))
    self.track = track
  }

  /// Throws `MediaIOError`, and what `receive` throws. Samples must be finite.
  package func append(_ buffer: AudioBuffer, _ receive: Receiver) throws { try packets.append(buffer) { try receive(copied($0)) } }

  /// All that is left. Nothing can be appended after it.
  package func finish(_ receive: Receiver) throws { try packets.finish { try receive(copied($0)) } }

  private func copied(_ packet: UnsafeMutablePointer<AVPacket>) -> CopiedPacket {
    let full = Int64(track.frameSize), stated = packet.pointee.duration
    // The last one is shorter by what is padding.
    let cut = full > 0 && stated > 0 && stated < full ? full - stated : 0
    return CopiedPacket(
      time: packet.pointee.pts, decodingTime: packet.pointee.dts, duration: stated + cut, isKey: true, skippedAtEnd: Int(cut),
      data: Array(UnsafeBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))))
  }
}
