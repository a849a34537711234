import Bitstream
import Coding
import KVCodec
import Media
import Testing

/// How bytes are refused; nil where they decode.
private func refusal(_ bytes: [UInt8]) -> CodecError.Code? {
  do {
    var options = KVCacheDecoder.Options()
    options.maxMemory = 1 << 24
    _ = try KVCacheDecoder(options: options).decode(bytes)
    return nil
  } catch let error as CodecError {
    #expect(!error.description.isEmpty && !error.description.contains("\n"))
    return error.code
  } catch {
    Issue.record("not a CodecError: \(error)")
    return nil
  }
}

/// A cache of two parts, whose bytes are then damaged.
private func sample(_ target: KVCacheEncoder.Target) throws -> Container {
  let tensor = KVTensor(heads: 2, tokens: 20, channels: 6, element: .float16)
  for i in 0..<40 {
    tensor.withMutableRow(head: i / 20, token: i % 20) { row in
      for c in 0..<6 {
        let value = Float16((i * 37 + c * 11) % 23 - 9) / 8 + Float16(c)
        row.storeBytes(of: i == 7 && c == 2 ? 0x7E00 : value.bitPattern, toByteOffset: 2 * c, as: UInt16.self)
      }
    }
  }
  var cache = KVCache(layers: [KVLayer(keys: tensor, values: tensor), KVLayer(keys: tensor, values: nil)])
  cache.others = [KVNamedTensor(name: "tokens", dtype: "I32", shape: [4], bytes: [UInt8](repeating: 3, count: 16))]
  var options = KVCacheEncoder.Options()
  (options.target, options.chunkTokens) = (target, 12)
  return try Container(reading: KVCacheEncoder(options: options).encode(cache).bytes)
}

@Suite struct KVCacheFileTests {
  static let targets = [
    KVCacheEncoder.Target.quality(100), .quality(30), .lossless, .cacheGen(.paper, level: 2), .cacheGen(.released, level: 1),
  ]

  @Test(arguments: targets) func everyTruncationOfAPayloadIsRefused(target: KVCacheEncoder.Target) throws {
    let container = try sample(target)
    #expect(refusal(try container.serialised()) == nil)
    for number in container.payloads.indices {
      let data = container.payloads[number].data
      for length in 0..<data.count {
        var cut = container
        cut.payloads[number].data = data.prefix(length)
        #expect(refusal(try cut.serialised()) == .malformed, "payload \(number), \(length) bytes")
      }
      var longer = container
      longer.payloads[number].data = data + [0]
      #expect(refusal(try longer.serialised()) == .malformed)
    }
  }

  /// The container's checksums are good each time: what lies must be refused or decode to something, without harm.
  @Test(arguments: targets) func payloadsThatLieAreHarmless(target: KVCacheEncoder.Target) throws {
    let container = try sample(target)
    for number in container.payloads.indices {
      let data = Array(container.payloads[number].data)
      for i in data.indices {
        for flip in [0x01, 0x10, 0x80, 0xFF] as [UInt8] {
          var damaged = data
          damaged[i] ^= flip
          var copy = container
          copy.payloads[number].data = damaged[...]
          _ = refusal(try copy.serialised())
        }
      }
    }
  }

  @Test func configurationsThatLieAreHarmless() throws {
    let container = try sample(.quality(30))
    for track in container.tracks.indices {
      let configuration = Array(container.tracks[track].configuration)
      for i in configuration.indices {
        for value in [0, 1, 2, 0x7F, 0x80, 0xFF] as [UInt8] {
          var damaged = configuration
          damaged[i] = value
          var copy = container
          copy.tracks[track].configuration = damaged[...]
          _ = refusal(try copy.serialised())
        }
      }
    }
  }

  /// A few bytes that declare a cache of many gigabytes.
  @Test func hugeCachesAreRefusedBeforeMemoryIsTaken() throws {
    var container = try sample(.quality(30))
    var configuration = try KVConfiguration(parsing: container.tracks[0].configuration)
    (configuration.groups[0].keyHeads, configuration.groups[0].valueHeads) = (65_536, 65_536)
    configuration.groups[0].keyChannels = 16
    configuration.groups[0].count = 4000
    container.tracks[0].configuration = try configuration.serialised()[...]
    #expect(refusal(try container.serialised()) != nil)
  }

  @Test func gapsAreRefused() throws {
    let container = try sample(.quality(30))
    for start: UInt64 in [11, 13, 500, 1 << 33, .max] {
      var copy = container
      let second = copy.payloads.indices.filter { copy.payloads[$0].track == 0 }[1]
      copy.payloads[second].start = start
      guard let bytes = try? copy.serialised() else { continue }
      #expect(refusal(bytes) == .malformed, "\(start)")
    }
  }

  /// Groups, limits and largest magnitudes that no encoder writes: each is refused by name.
  @Test func cacheGenFieldsOutOfRangeAreRefused() throws {
    let tensor = KVTensor(heads: 1, tokens: 20, channels: 4, element: .float16)
    for t in 0..<20 {
      tensor.withMutableRow(head: 0, token: t) { row in
        for c in 0..<4 { row.storeBytes(of: Float16(t * c % 7 + 1).bitPattern, toByteOffset: 2 * c, as: UInt16.self) }
      }
    }
    var options = KVCacheEncoder.Options()
    options.target = .cacheGen(.paper, level: 2)
    let container = try Container(
      reading: KVCacheEncoder(options: options).encode(KVCache(layers: [KVLayer(keys: tensor, values: nil)])).bytes)
    let data = Array(container.payloads[0].data)
    // Tokens and the block's length, 1 byte each, then group, limit, and the maxima of two anchors.
    #expect(data[0] == 20 && Int(data[1]) == data.count - 2 && data[2] == 10 && data[3] == 127)
    func changed(_ place: Int, _ bytes: [UInt8]) throws -> CodecError.Code? {
      var copy = container
      var payload = data
      payload.replaceSubrange(place..<place + bytes.count, with: bytes)
      copy.payloads[0].data = payload[...]
      return refusal(try copy.serialised())
    }
    #expect(try changed(2, [10]) == nil)
    for (place, bytes) in [
      (2, [0]), (3, [0]), (3, [128]), (3, [255]), (4, [0, 0xC0]), (4, [0, 0x7C]), (6, [1, 0x7E]),
    ] as [(Int, [UInt8])] {
      #expect(try changed(place, bytes) == .malformed, "\(place) \(bytes)")
    }
    // One token a group, so that there are more anchors than the block has maxima for; and a group longer than the block.
    #expect(try changed(2, [1]) == .malformed)
    #expect(try changed(2, [100]) == .malformed)
  }
}
