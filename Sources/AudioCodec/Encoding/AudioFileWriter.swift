import Bitstream
import Coding
import Media

/// Writes the chunks of a file with sound.
final class AudioFileWriter {
  private var writer: ContainerWriter<ClosureSink>?
  private let output = ClosureSink.Record()
  private let sampleRate: Int
  private var payloads = 0

  /// `configuration` is the codec's.
  init(
    _ codec: UInt32, sampleRate: Int, _ configuration: some BitstreamStructure, tags: [AudioTag], write: @escaping ([UInt8]) throws -> Void
  ) throws {
    self.sampleRate = sampleRate
    let track = TrackHeader(
      modality: .audio, codec: codec, model: 1, timeBase: TimeBase(numerator: 1, denominator: UInt32(sampleRate)),
      configuration: try configuration.serialised()[...])
    do {
      var writer = try ContainerWriter(ClosureSink(write, output))
      try writer.append(track)
      for tag in tags { try writer.append(.text(key: tag.key, value: tag.value)) }
      self.writer = consume writer
    } catch {
      throw output.explained(error)
    }
  }

  /// What the file will have, without range-coded data, once `more` groups are appended, and its end.
  func byteCount(with more: Int) -> Int {
    // Type, length, flags, start of up to 5 bytes, header of 2, CRC; the index has some 7 bytes for each.
    output.byteCount + more * 14 + (payloads + more) * 7 + 30
  }

  func append(_ header: some BitstreamStructure, _ bytes: [UInt8], start: Int) throws {
    payloads += 1
    let payload = Payload(start: UInt64(start), data: (try header.serialised() + bytes)[...])
    do { try writer!.append(payload) } catch { throw output.explained(error) }
  }

  func finish(frames: Int) throws -> EncodedAudio {
    let bytes: Int
    do { bytes = try writer.take()!.finish(hasIndex: payloads > 1).byteCount } catch { throw output.explained(error) }
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
