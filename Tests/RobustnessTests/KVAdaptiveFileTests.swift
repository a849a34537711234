import Bitstream
import Coding
import KVCodec
import Media
import Testing

/// Files of the adaptive scheme whose bytes lie behind good checksums.
@Suite struct KVAdaptiveFileTests {
  /// How bytes are refused; nil where they decode.
  private func refusal(_ container: Container) throws -> CodecError.Code? {
    do {
      var options = KVCacheDecoder.Options()
      (options.maxMemory, options.threads) = (1 << 24, 2)
      _ = try KVCacheDecoder(options: options).decode(try container.serialised())
      return nil
    } catch let error as CodecError {
      #expect(!error.description.isEmpty && !error.description.contains("\n"))
      return error.code
    }
  }

  /// Three layers of a chain and one of another; a segment of three payloads and one of one; an exception.
  private func sample() throws -> Container {
    func tensor(_ channels: Int) -> KVTensor {
      let tensor = KVTensor(heads: 2, tokens: 62, channels: channels, element: .float16)
      for i in 0..<124 {
        tensor.withMutableRow(head: i / 62, token: i % 62) { row in
          for c in 0..<channels {
            let value = Float16((i * 37 + c * 11) % 23 - 9) / 8 + Float16(c)
            row.storeBytes(of: i == 70 && c == 2 ? 0x7E00 : value.bitPattern, toByteOffset: 2 * c, as: UInt16.self)
          }
        }
      }
      return tensor
    }
    let layer = KVLayer(keys: tensor(6), values: tensor(4))
    let cache = KVCache(layers: [layer, layer, layer, KVLayer(keys: tensor(4), values: nil)], rope: .halves)
    var options = KVCacheEncoder.Options()
    (options.target, options.effort, options.chunkTokens, options.segmentTokens) = (.quality(40), 5, 17, 51)
    return try Container(reading: KVCacheEncoder(options: options).encode(cache).bytes)
  }

  @Test func everyTruncationOfAPayloadIsRefused() throws {
    let container = try sample()
    #expect(try refusal(container) == nil)
    for number in container.payloads.indices {
      let data = container.payloads[number].data
      for length in 0..<data.count {
        var cut = container
        cut.payloads[number].data = data.prefix(length)
        #expect(try refusal(cut) == .malformed, "payload \(number), \(length) bytes")
      }
      var longer = container
      longer.payloads[number].data = data + [0]
      #expect(try refusal(longer) == .malformed)
    }
  }

  @Test func payloadsThatLieAreHarmless() throws {
    let container = try sample()
    for number in container.payloads.indices {
      let data = Array(container.payloads[number].data)
      for i in data.indices {
        for flip in [0x01, 0x80, 0xFF] as [UInt8] {
          var damaged = container
          damaged.payloads[number].data[damaged.payloads[number].data.startIndex + i] ^= flip
          _ = try refusal(damaged)
        }
      }
    }
  }

  /// A payload that goes on with a segment, in the place of one that begins it, and the other way round.
  @Test func payloadsOutOfPlaceAreRefused() throws {
    let container = try sample()
    var swapped = container
    swapped.payloads[0].data = container.payloads[1].data
    #expect(try refusal(swapped) == .malformed)
    swapped = container
    swapped.payloads[1].data = container.payloads[0].data
    #expect(try refusal(swapped) == .malformed)
    var flagged = container
    flagged.payloads[1].isRandomAccess = true
    #expect(try refusal(flagged) == .malformed)
  }

  /// More blocks than memory is allowed for are refused before any is taken.
  @Test func stateIsCounted() throws {
    var container = try sample()
    var options = KVCacheDecoder.Options()
    options.maxMemory = 1 << 16
    let bytes = try container.serialised()
    #expect(throws: CodecError(.limitExceeded, "")) { try KVCacheDecoder(options: options).decode(bytes) }
    var configuration = try KVConfiguration(parsing: container.tracks[0].configuration)
    configuration.groups[0].count = 4000
    container.tracks[0].configuration = try configuration.serialised()[...]
    #expect(try refusal(container) != nil)
  }
}
