import CLibAV
import Glibc
import Media

/// Sound to packets of libavcodec, piece by piece, at a sample rate that its encoder takes.
final class AudioPacketEncoder {
  let encoder: AudioFrameEncoder
  /// Samples beyond full scale.
  private(set) var clipped = 0
  private let library: LibAVFormat
  private let name: String
  private let bits: Int
  private let resampler: AudioResampler?
  /// What has not filled an encoder's frame yet, [channel][frame].
  private var queue: [[Float]]

  typealias Receiver = (UnsafeMutablePointer<AVPacket>) throws -> Void

  /// Throws `MediaIOError` (unsupported).
  init(_ library: LibAVFormat, _ file: AudioFileFormat, _ source: AudioFormat, _ options: AudioWriter.Options, named name: String) throws {
    (self.library, self.name, bits) = (library, name, options.samples.bits)
    encoder = try AudioFrameEncoder(library, file, source, options, named: name)
    resampler = encoder.format.sampleRate == source.sampleRate ? nil : try AudioResampler(source, to: encoder.format.sampleRate)
    queue = [[Float]](repeating: [], count: source.layout.count)
  }

  /// `receive` gets packets with the encoder's times; they are gone after it. Throws `MediaIOError`, and what `receive` throws.
  func append(_ buffer: AudioBuffer, _ receive: Receiver) throws { try enqueue(resampler?.convert(buffer) ?? buffer, receive) }

  /// All that is left. Nothing can be appended after it.
  func finish(_ receive: Receiver) throws {
    if let resampler { try enqueue(resampler.finish(), receive) }
    if !queue[0].isEmpty { try encode(0..<queue[0].count, receive) }
    try send(nil, receive)
  }

  private func enqueue(_ buffer: AudioBuffer, _ receive: Receiver) throws {
    for channel in queue.indices { queue[channel] += buffer.samples[channel] }
    let size = encoder.frameSize
    let whole = queue[0].count / size * size
    for start in stride(from: 0, to: whole, by: size) { try encode(start..<(start + size), receive) }
    if whole > 0 { for channel in queue.indices { queue[channel].removeFirst(whole) } }
  }

  private func encode(_ range: Range<Int>, _ receive: Receiver) throws {
    guard let frame = encoder.frame(range.count) else { throw failure(-ENOMEM) }
    guard let beyond = AudioSamples.fill(frame, with: queue, range: range, bits: bits) else {
      throw MediaIOError(.unsupported, at: name, "its encoder takes samples of libav's format \(frame.pointee.format)")
    }
    clipped += beyond
    try send(frame, receive)
  }

  /// Nil: there is no more.
  private func send(_ frame: UnsafeMutablePointer<AVFrame>?, _ receive: Receiver) throws {
    let av = library.av
    var status = av.sendFrame(encoder.context, frame)
    guard status >= 0 else { throw failure(status) }
    while let packet = encoder.packet {
      status = av.receivePacket(encoder.context, packet)
      if status == -EAGAIN || status == LibAVFormat.end { return }
      guard status >= 0 else { throw failure(status) }
      defer { av.clearPacket(packet) }
      try receive(packet)
    }
  }

  private func failure(_ status: Int32) -> MediaIOError {
    MediaIOError(status == -ENOMEM ? .outOfMemory : .unsupported, at: name, "libavcodec: \(library.av.reason(status))")
  }
}
