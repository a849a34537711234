import Bitstream
import Coding
import Media

/// Where a sound's chunks go: to a file of their own, or beside a video.
package protocol SoundOutput: AnyObject {
  /// Bytes that were written so far.
  var byteCount: Int { get }
  /// Comes first, and once.
  func begin(_ track: TrackHeader, tags: [AudioTag]) throws
  func append(_ payload: Payload) throws
  /// Gives the bytes of all.
  func finish() throws -> Int
}

/// A file with a sound and nothing else.
final class SoundFile: SoundOutput {
  private var writer: ContainerWriter<ClosureSink>?
  private let record = ClosureSink.Record()
  private let write: ([UInt8]) throws -> Void
  private var payloads = 0

  var byteCount: Int { record.byteCount }

  init(_ write: @escaping ([UInt8]) throws -> Void) { self.write = write }

  func begin(_ track: TrackHeader, tags: [AudioTag]) throws {
    do {
      var writer = try ContainerWriter(ClosureSink(write, record))
      try writer.append(track)
      for tag in tags { try writer.append(.text(key: tag.key, value: tag.value)) }
      self.writer = consume writer
    } catch {
      throw record.explained(error)
    }
  }

  func append(_ payload: Payload) throws {
    payloads += 1
    do { try writer!.append(payload) } catch { throw record.explained(error) }
  }

  func finish() throws -> Int {
    do { return try writer.take()!.finish(hasIndex: payloads > 1).byteCount } catch { throw record.explained(error) }
  }
}

/// Makes a sound's chunks.
final class AudioFileWriter {
  private let output: any SoundOutput
  private let sampleRate: Int
  private var payloads = 0

  /// `configuration` is the codec's.
  init(
    _ codec: UInt32, sampleRate: Int, _ configuration: some BitstreamStructure, tags: [AudioTag], to output: any SoundOutput
  ) throws {
    (self.output, self.sampleRate) = (output, sampleRate)
    let track = TrackHeader(
      modality: .audio, codec: codec, model: 1, timeBase: TimeBase(numerator: 1, denominator: UInt32(sampleRate)),
      configuration: try configuration.serialised()[...])
    try output.begin(track, tags: tags)
  }

  /// What the file will have, without range-coded data, once `more` groups are appended, and its end.
  func byteCount(with more: Int) -> Int {
    // Type, length, flags, start of up to 5 bytes, header of 2, CRC; the index has some 7 bytes for each.
    output.byteCount + more * 14 + (payloads + more) * 7 + 30
  }

  func append(_ header: some BitstreamStructure, _ bytes: [UInt8], start: Int) throws {
    payloads += 1
    try output.append(Payload(start: UInt64(start), data: (try header.serialised() + bytes)[...]))
  }

  func finish(frames: Int) throws -> EncodedAudio {
    let bytes = try output.finish()
    return EncodedAudio(
      byteCount: bytes, frames: frames, kbps: frames == 0 ? 0 : Double(bytes) * 8 * Double(sampleRate) / Double(frames) / 1000)
  }
}

extension AudioChannels {
  init(_ layout: ChannelLayout, originalRate: Int?) {
    self.init()
    (count, mask, self.originalRate) = (UInt32(layout.count), layout.mask, UInt32(originalRate ?? 0))
  }
}
