import Bitstream
import Coding
import KVCodec
import Media
import Testing

/// How bytes are refused; nil where they decode.
private func refusal(_ bytes: [UInt8], _ change: (inout KVCacheDecoder.Options) -> Void = { _ in }) -> CodecError.Code? {
  do {
    var options = KVCacheDecoder.Options()
    options.maxMemory = 1 << 24
    change(&options)
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
private func sample(_ target: KVCacheEncoder.Target, levels: [Int] = []) throws -> Container {
  var options = KVCacheEncoder.Options()
  (options.target, options.levels, options.chunkTokens) = (target, levels, 12)
  return try Container(reading: KVCacheEncoder(options: options).encode(cache()).bytes)
}

private func cache(tokens: Int = 20) -> KVCache {
  let tensor = KVTensor(heads: 2, tokens: tokens, channels: 6, element: .float16)
  for i in 0..<2 * tokens {
    tensor.withMutableRow(head: i / tokens, token: i % tokens) { row in
      for c in 0..<6 {
        let value = Float16((i * 37 + c * 11) % 23 - 9) / 8 + Float16(c)
        row.storeBytes(of: i == 7 && c == 2 ? 0x7E00 : value.bitPattern, toByteOffset: 2 * c, as: UInt16.self)
      }
    }
  }
  var cache = KVCache(layers: [KVLayer(keys: tensor, values: tensor), KVLayer(keys: tensor, values: nil)])
  cache.others = [KVNamedTensor(name: "tokens", dtype: "I32", shape: [4], bytes: [UInt8](repeating: 3, count: 16))]
  return cache
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

  // Levels.

  @Test func everyTruncationOfALevelIsRefused() throws {
    let container = try sample(.lossless, levels: [80, 20])
    for level in 0..<2 { #expect(refusal(try container.serialised()) { $0.level = level } == nil) }
    for number in container.payloads.indices where container.payloads[number].track < 2 {
      let data = container.payloads[number].data
      var (cut, longer) = (container, container)
      longer.payloads[number].data = data + [0]
      for length in stride(from: 0, to: data.count, by: 7) {
        cut.payloads[number].data = data.prefix(length)
        let bytes = try cut.serialised()
        #expect(refusal(bytes) { $0.level = Int(container.payloads[number].track) } == .malformed)
        // The other level's are not looked at.
        #expect(refusal(bytes) { $0.level = 1 - Int(container.payloads[number].track) } == nil)
      }
      #expect(refusal(try longer.serialised()) { $0.levels = [Int](repeating: Int(container.payloads[number].track), count: 2) } == .malformed)
    }
  }

  @Test func levelsThatLieAreRefused() throws {
    let container = try sample(.lossless, levels: [80, 20])
    func level(_ track: UInt32) -> Levels.Level { Levels.Level(track: track, quality: 50) }
    for (levels, isGood) in [
      ([level(0), level(1)], true), ([level(0)], true), ([level(1), level(0)], false), ([level(1)], false),
      ([level(0), level(2)], false),
    ] {
      var copy = container
      copy.metadata = [.levels(levels)]
      let bytes = try copy.serialised()
      #expect(refusal(bytes) == (isGood ? nil : .malformed), "\(levels)")
      #expect(((try? KVCacheFile(reading: bytes)) != nil) == isGood)
    }
    // A level of another shape, of another codec, with parts of other sizes, with fewer parts.
    var copy = container
    var configuration = try KVConfiguration(parsing: copy.tracks[1].configuration)
    configuration.groups[0].firstPosition = 1
    copy.tracks[1].configuration = try configuration.serialised()[...]
    #expect(refusal(try copy.serialised()) == .malformed)
    copy = container
    copy.tracks[1].codec = 99
    #expect(refusal(try copy.serialised()) == .unsupported)
    for isMissing in [true, false] {
      copy = container
      let last = try #require(copy.payloads.lastIndex { $0.track == 1 })
      if isMissing { copy.payloads.remove(at: last) } else { copy.payloads[last].start += 1 }
      let bytes = try copy.serialised()
      #expect(refusal(bytes) { $0.levels = [0, 1] } == .malformed)
      for harmless in [[0, 0], [1, 0]] { #expect(refusal(bytes) { $0.levels = harmless } == nil) }
      #expect(throws: CodecError.self) { _ = try KVCacheFile(reading: bytes) }
    }
  }

  /// Files that lie are appended to or refused, without harm; what comes out can be read as far as it could before.
  @Test func appendingToWhatLiesIsHarmless() throws {
    let container = try sample(.lossless, levels: [80, 20])
    let longer = cache(tokens: 30)
    var encoder = KVCacheEncoder()
    encoder.options.threads = 1
    #expect(try KVCacheDecoder().decode(encoder.append(longer, to: container.serialised()).bytes).tokens == 30)
    func attempt(_ container: Container) throws {
      let bytes = try container.serialised()
      do { _ = try encoder.append(longer, to: bytes) } catch { #expect(error is CodecError, "\(error)") }
    }
    for number in container.payloads.indices {
      for i in container.payloads[number].data.indices.prefix(40) {
        for flip in [0x01, 0x80, 0xFF] as [UInt8] {
          var copy = container
          copy.payloads[number].data[i] ^= flip
          try attempt(copy)
        }
      }
    }
    for track in container.tracks.indices {
      let configuration = Array(container.tracks[track].configuration)
      for i in configuration.indices {
        for value in [0, 1, 0x7F, 0x80, 0xFF] as [UInt8] {
          var (copy, damaged) = (container, configuration)
          damaged[i] = value
          copy.tracks[track].configuration = damaged[...]
          try attempt(copy)
        }
      }
    }
    for start: UInt64 in [13, 500, 1 << 33, .max] {
      var copy = container
      copy.payloads[2].start = start
      copy.payloads[3].start = start
      try attempt(copy)
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
