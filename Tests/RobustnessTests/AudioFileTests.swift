import AudioCodec
import Bitstream
import Coding
import Media
import Testing

/// What becomes of a file: how it is refused, or frames that it decodes to.
private func outcome(_ bytes: [UInt8], asStream: Bool) -> Result<Int, CodecError>? {
  do {
    var next = 0
    var decoder = asStream
      ? try AudioDecoder { count in
        defer { next = min(bytes.count, next + count) }
        return Array(bytes[next..<min(bytes.count, next + count)])
      } : try AudioDecoder(bytes)
    var frames = 0
    while let buffer = try decoder.next() {
      frames += buffer.frames
      #expect(buffer.samples.allSatisfy { $0.allSatisfy(\.isFinite) })
    }
    return .success(frames)
  } catch let error as CodecError {
    #expect(!error.description.isEmpty && !error.description.contains("\n"))
    return .failure(error)
  } catch {
    Issue.record("not a CodecError: \(error)")
    return nil
  }
}

/// Of three parts, if as long as it is without being told.
private func sample(_ codec: AudioEncoder.Codec, frames: Int = 20_000, channels: Int = 2) throws -> Container {
  let samples = (0..<channels).map { c in
    (0..<frames).map { i -> Float in
      let saw = (i * (37 + c) + i * i % 91) % 401
      return Float(saw - 200) / 400
    }
  }
  let format = try AudioFormat(sampleRate: codec == .tokens ? 24_000 : 8000, layout: channels == 2 ? .stereo : .mono)
  var options = AudioEncoder.Options()
  (options.codec, options.rate) = (codec, .quality(30))
  if codec == .tokens { (options.framesPerSecond, options.levels, options.groupSeconds) = (75, 3, 0.3) }
  options.originalSampleRate = 96_000
  var bytes: [UInt8] = []
  var encoder = try AudioEncoder(format: format, options: options) { bytes += $0 }
  try encoder.append(AudioBuffer(format: format, samples: samples))
  _ = try encoder.finish(originalFrames: frames * 12)
  return try Container(reading: bytes)
}

@Suite struct AudioFileTests {
  @Test(arguments: AudioEncoder.Codec.allCases) func cutFilesAreRefused(_ codec: AudioEncoder.Codec) throws {
    let bytes = try sample(codec, frames: 9000, channels: 1).serialised()
    for count in stride(from: 0, to: bytes.count, by: 3) {
      for asStream in [false, true] {
        guard case .failure(let error)? = outcome(Array(bytes[..<count]), asStream: asStream) else {
          Issue.record("\(count) of \(bytes.count) bytes decode")
          continue
        }
        #expect(error.code == .malformed)
      }
    }
  }

  @Test(arguments: AudioEncoder.Codec.allCases) func flippedBitsAreFound(_ codec: AudioEncoder.Codec) throws {
    let bytes = try sample(codec, frames: 9000, channels: 1).serialised()
    for place in stride(from: 0, to: bytes.count, by: 7) {
      var bad = bytes
      bad[place] ^= 1 << UInt8(place % 8)
      for asStream in [false, true] {
        guard case .failure? = outcome(bad, asStream: asStream) else {
          Issue.record("byte \(place) of \(bytes.count) may be changed")
          continue
        }
      }
    }
  }

  /// Behind right checksums: either refused, or sound of the declared length.
  @Test(arguments: AudioEncoder.Codec.allCases) func damagedPayloadsEndInOrder(_ codec: AudioEncoder.Codec) throws {
    let good = try sample(codec)
    var refused = 0, decoded = 0
    for trial in 0..<400 {
      var file = good
      let payload = trial % file.payloads.count
      var data = Array(file.payloads[payload].data)
      data[trial * 31 % data.count] ^= UInt8(truncatingIfNeeded: 1 + trial * 7)
      file.payloads[payload].data = data[...]
      switch outcome(try file.serialised(), asStream: trial % 2 == 0) {
      case .success(let frames):
        decoded += 1
        // The last payload's length may be what was changed.
        #expect(frames == 20_000 || payload == file.payloads.count - 1)
      case .failure: refused += 1
      case nil: break
      }
    }
    #expect(refused > 100 && refused + decoded == 400)
  }

  @Test(arguments: AudioEncoder.Codec.allCases) func partsHaveToFitTogether(_ codec: AudioEncoder.Codec) throws {
    let good = try sample(codec)
    #expect(good.payloads.count == 3)
    func code(_ change: (inout Container) -> Void) throws -> CodecError.Code? {
      var file = good
      change(&file)
      let bytes = try file.serialised()
      var codes: [CodecError.Code?] = []
      for asStream in [false, true] {
        if case .failure(let error)? = outcome(bytes, asStream: asStream) { codes.append(error.code) } else { codes.append(nil) }
      }
      #expect(codes[0] == codes[1])
      return codes[0]
    }
    #expect(try code { _ in } == nil)
    #expect(try code { $0.payloads.remove(at: 1) } == .malformed)
    #expect(try code { $0.payloads.removeLast() } == .malformed)
    #expect(try code { $0.payloads.removeFirst() } == .malformed)
    #expect(try code { $0.payloads[1].start += 1 } == .malformed)
    #expect(try code { $0.payloads[1].data = [] } == .malformed)
    #expect(try code { $0.payloads[2].data = $0.payloads[2].data.prefix(2) } == .malformed)
    #expect(try code { $0.payloads[0].data = $0.payloads[2].data } == .malformed)
    #expect(try code { $0.tracks[0].codec = 99 } == .unsupported)
    #expect(try code { $0.tracks[0].model = 9 } == .unsupported)
    #expect(try code { $0.tracks[0].configuration = codec == .mdct ? [0, 1, 0, 0] : [0x10, 2, 0, 0] } == .malformed)
    #expect(try code { $0.tracks[0].configuration = codec == .mdct ? [1, 0, 0, 0] : [0, 0, 0, 0] } == .malformed)
    #expect(try code { $0.tracks[0].configuration = $0.tracks[0].configuration + [0] } == .malformed)
    #expect(try code { $0.tracks[0].timeBase = TimeBase(numerator: 1, denominator: 7999) } == .malformed)
    #expect(try code { $0.tracks[0].modality = .data } == .unsupported)
    #expect(!AudioFile.isOne([1, 2, 3]))
  }
}
