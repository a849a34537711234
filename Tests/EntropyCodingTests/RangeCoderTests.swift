import EntropyCoding
import Foundation
import Testing

@Suite struct RangeCoderTests {
  static let model = try! CategoricalModel(counts: [10, 1, 3, 0, 2], precision: 16)

  static func encode(_ symbols: [Int], _ model: some EntropyModel) throws -> [UInt8] {
    var encoder = RangeEncoder()
    for s in symbols { try encoder.encode(s, with: model) }
    return encoder.finish()
  }

  static func decode(_ payload: [UInt8], _ count: Int, _ model: some EntropyModel) throws -> [Int] {
    var decoder = RangeDecoder(payload)
    var symbols: [Int] = []
    for _ in 0..<count { symbols.append(try decoder.decode(with: model)) }
    try decoder.finish()
    return symbols
  }

  @Test func codedBytesArePinned() throws {
    #expect(try Self.encode([], Self.model) == [])
    #expect(try Self.decode([], 0, Self.model) == [])
    #expect(try Self.encode([0], Self.model) == [])
    #expect(try Self.encode([4], Self.model) == [0xe0])
    #expect(try Self.encode([1, 2], Self.model) == [0xab])
    #expect(try Self.encode([0, 1, 2, 4, 0, 0, 2, 4, 4, 1], Self.model) == [0x6c, 0x98, 0x7c])
  }

  @Test func everyShortCountRoundTrips() throws {
    var noise = Noise(1)
    for count in 0...100 {
      let symbols = (0..<count).map { _ in [0, 1, 2, 4][noise.below(4)] }
      #expect(try Self.decode(Self.encode(symbols, Self.model), count, Self.model) == symbols)
    }
  }

  @Test func carriesRunThroughManyBytes() throws {
    // A symbol whose share is the very top of the line pushes low up to ff ff ff ...; the last one decides the carry.
    let top = try CategoricalModel(widths: [1, 65533, 2], precision: 16)
    var noise = Noise(2)
    for count in 1...200 {
      let symbols = (0..<count).map { _ in noise.below(8) == 0 ? noise.below(3) : 2 }
      #expect(try Self.decode(Self.encode(symbols, top), count, top) == symbols)
    }
  }

  @Test func randomModelsRoundTrip() throws {
    var noise = Noise(4)
    for _ in 0..<100 {
      let precision = 1 + noise.below(16)
      var counts = (0..<(1 + noise.below(min(100, 1 << precision)))).map { _ in UInt32(noise.below(1 << noise.below(20))) }
      counts[0] += 1
      let model = try CategoricalModel(counts: counts, precision: precision)
      let usable = counts.indices.filter { counts[$0] > 0 }
      let symbols = (0..<500).map { _ in usable[noise.below(usable.count)] }
      let payload = try Self.encode(symbols, model)
      #expect(try Self.decode(payload, symbols.count, model) == symbols)
      let ideal = symbols.reduce(0.0) { $0 + Double(precision) - log2(Double(model.widths[$1])) } / 8
      #expect(Double(payload.count) < ideal + 1.5)
    }
  }

  @Test func adaptiveBypassAndEscapesMix() throws {
    var noise = Noise(5)
    let values: [Int16] = [0, .min, .max, 1, -1, 5, -300]
    var encoder = RangeEncoder()
    var script: [(bit: Int, symbol: Int, raw: UInt32, bits: Int, value: Int16, scale: Int)] = []
    var bit = AdaptiveBit()
    var many = AdaptiveModel(symbolCount: 20)
    for _ in 0..<2000 {
      let bits = 1 + noise.below(16)
      let s = (
        noise.below(10) == 0 ? 1 : 0, noise.below(1 + noise.below(20)), UInt32(noise.below(1 << bits)), bits,
        values[noise.below(7)], noise.below(64)
      )
      script.append(s)
      try encoder.encode(s.0, adapting: &bit)
      try encoder.encode(s.1, adapting: &many)
      encoder.encodeBypass(s.2, bits: bits)
      try encoder.encode(s.4, with: Scale.laplace[s.5])
    }
    var decoder = RangeDecoder(encoder.finish())
    bit = AdaptiveBit()
    many = AdaptiveModel(symbolCount: 20)
    for s in script {
      #expect(try decoder.decode(adapting: &bit) == s.bit)
      #expect(try decoder.decode(adapting: &many) == s.symbol)
      #expect(try decoder.decodeBypass(bits: s.bits) == s.raw)
      #expect(try decoder.decodeValue(with: Scale.laplace[s.scale]) == s.value)
    }
    try decoder.finish()
  }

  @Test func overheadOnAMillionSymbols() throws {
    var noise = Noise(6)
    let symbols = (0..<1_000_000).map { _ in Self.model.symbol(at: UInt32(noise.below(65536))).symbol }
    let payload = try Self.encode(symbols, Self.model)
    #expect(try Self.decode(payload, symbols.count, Self.model) == symbols)
    let ideal = symbols.reduce(0.0) { $0 + 16 - log2(Double(Self.model.widths[$1])) }
    #expect(Double(payload.count * 8) / ideal - 1 < 0.0001)
  }

  @Test func unknownSymbolsAreRefused() {
    let refused = EntropyError(.symbolOutsideModel, in: "", "")
    #expect(throws: refused) { try Self.encode([3], Self.model) }
    #expect(throws: refused) { try Self.encode([5], Self.model) }
  }

  /// A range coder's bytes hold no redundancy, so most damage reads as other symbols; what is promised is that a
  /// payload of the wrong length for its symbols throws.
  @Test func damageIsBounded() throws {
    var noise = Noise(7)
    let symbols = (0..<400).map { _ in Self.model.symbol(at: UInt32(noise.below(65536))).symbol }
    let payload = try Self.encode(symbols, Self.model)
    for length in 0..<payload.count {
      let got = try? Self.decode(Array(payload[..<length]), symbols.count, Self.model)
      #expect(got != symbols)
      #expect(got == nil || length + 8 > payload.count, "\(length) of \(payload.count) bytes")
    }
    #expect(throws: EntropyError(.trailingBytes, in: "", "")) { try Self.decode(payload + [0], symbols.count, Self.model) }
    for bit in 0..<payload.count * 8 {
      var damaged = payload
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      if let got = try? Self.decode(damaged, symbols.count, Self.model) { #expect(got != symbols) }
    }
    // More symbols than the payload holds end in an error, not in a loop.
    #expect(throws: EntropyError(.truncated, in: "", "")) { try Self.decode(payload, 1_000_000, Self.model) }
    #expect(throws: EntropyError(.truncated, in: "", "")) { try Self.decode([], 1_000_000, Self.model) }
  }
}
