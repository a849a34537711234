import EntropyCoding
import Foundation
import Testing

@Suite struct RANSTests {
  static func encode(_ values: [Int16], _ indices: [UInt8], _ set: TableSet = Scale.gaussian, lanes: Int? = nil) throws
    -> [UInt8]
  {
    var encoder = RANSEncoder()
    try encoder.append(values, indices: indices, tables: set)
    return encoder.finish(lanes: lanes)
  }

  static func decode(_ payload: [UInt8], _ indices: [UInt8], _ set: TableSet = Scale.gaussian) throws -> [Int16] {
    var decoder = try RANSDecoder(payload)
    let values = try decoder.decode(set, indices: indices)
    try decoder.finish()
    return values
  }

  /// Bits that the table itself gives these values, escapes' fields included.
  static func ideal(_ values: [Int16], _ indices: [UInt8], _ set: TableSet) -> Double {
    var bits = 0.0
    for (v, i) in zip(values, indices) {
      let table = set[Int(i)]
      if let interval = table.interval(of: Int(v)) {
        bits += 16 - log2(Double(interval.width))
      } else {
        bits += 16 - log2(Double(table.interval(of: TableSet.Table.escapeSymbol)!.width)) + 6
        let excess = abs(Int(v)) - table.outline.values.upperBound - 1
        bits += max(0, Double(Int.bitWidth - excess.leadingZeroBitCount) - 1)
      }
    }
    return bits
  }

  static func sample(_ count: Int, seed: UInt64, scales: ClosedRange<Int> = 0...63, spread: Double = 1)
    -> (values: [Int16], indices: [UInt8])
  {
    var noise = Noise(seed)
    var values: [Int16] = []
    var indices: [UInt8] = []
    for _ in 0..<count {
      let i = scales.lowerBound + noise.below(scales.count)
      indices.append(UInt8(i))
      values.append(Int16((noise.normal() * spread * Double(Scale.sigmas[i]) / 65536).rounded()))
    }
    return (values, indices)
  }

  @Test func nothingGivesNoBytes() throws {
    #expect(try Self.encode([], []) == [])
    #expect(try Self.decode([], []) == [])
  }

  @Test func codedBytesArePinned() throws {
    #expect(try Self.encode([0], [30]) == [0x4c, 0xd0, 0x21, 0x01])
    #expect(try Self.encode([1], [30]) == [0x4c, 0x54, 0x62, 0x02])
    #expect(try Self.encode([3, -2], [30, 40]) == [0x60, 0x46, 0xce, 0x5b])
    let values: [Int16] = [0, 1, -1, 2, -2, 5, 0, 0, 7, -100]
    let indices: [UInt8] = [0, 20, 20, 30, 30, 40, 40, 50, 50, 63]
    #expect(try Self.encode(values, indices) == [0xdc, 0xf0, 0x26, 0x0f, 0x53, 0xa6, 0x01, 0x2c])
    let fourLanes: [UInt8] = [0x66, 0xa9, 0x9b, 0x85, 0x97, 0x71, 0xaf, 0xf4, 0xf0, 0xcf, 0x90, 0xed, 0x06]
    #expect(try Self.encode(values, indices, lanes: 4) == fourLanes)
    #expect(try Self.decode(fourLanes, indices) == values)
    let escapes: [UInt8] = [
      0xa5, 0xfe, 0xff, 0x80, 0x3e, 0x00, 0x24, 0xff, 0x7f, 0xff, 0xe7, 0x01, 0xfa, 0xff, 0xff, 0x40,
    ]
    #expect(try Self.encode([-32768, 32767, 3], [0, 63, 10], lanes: 2) == escapes)
    #expect(try Self.decode(escapes, [0, 63, 10]) == [-32768, 32767, 3])
  }

  @Test(arguments: [1, 2, 4])
  func everyShortCountRoundTrips(lanes: Int) throws {
    for count in 0...70 {
      let (values, indices) = Self.sample(count, seed: UInt64(count + 1), spread: 1.2)
      let payload = try Self.encode(values, indices, lanes: lanes)
      #expect(try Self.decode(payload, indices) == values)
    }
  }

  @Test func zerosAtTheSmallestScaleAreFree() throws {
    let count = 300_000
    let indices = [UInt8](repeating: 0, count: count)
    let payload = try Self.encode([Int16](repeating: 0, count: count), indices)
    #expect(payload.count <= 7)
    #expect(try Self.decode(payload, indices).allSatisfy { $0 == 0 })
  }

  @Test func shortPayloadsLoseFewBytes() throws {
    for (count, allowed) in [(10, 4.0), (100, 4.0), (1000, 4.0), (3000, 4.0), (10000, 9.5), (40000, 11.0)] {
      let (values, indices) = Self.sample(count, seed: UInt64(count), scales: 0...40)
      let payload = try Self.encode(values, indices)
      let loss = Double(payload.count) - Self.ideal(values, indices, Scale.gaussian) / 8
      #expect(loss <= allowed, "\(count) values: \(payload.count) bytes, \(loss) lost")
    }
  }

  @Test func overheadOnAMillionValues() throws {
    let (values, indices) = Self.sample(1_000_000, seed: 77)
    let payload = try Self.encode(values, indices)
    #expect(try Self.decode(payload, indices) == values)
    let bits = Double(payload.count * 8)
    let quantised = Self.ideal(values, indices, Scale.gaussian)
    var exact = 0.0
    for (v, i) in zip(values, indices) {
      // By the nearer tail, which keeps its precision.
      let k = abs(Double(v))
      let s = Double(Scale.sigmas[Int(i)]) / 65536 * 2.0.squareRoot()
      exact -= log2(v == 0 ? erf(0.5 / s) : (erfc((k - 0.5) / s) - erfc((k + 0.5) / s)) / 2)
    }
    #expect(bits / quantised - 1 < 0.0001)
    #expect(bits / exact - 1 < 0.001, "\(bits / exact - 1)")
  }

  @Test func escapesReachInt16Extremes() throws {
    let extremes: [Int16] = [.min, .max, .min + 1, .max - 1, 0, 300, -300, 2, -2, 440, -440, 1]
    for set in [Scale.gaussian, Scale.laplace] {
      for lanes in [1, 2, 4] {
        for table in [UInt8(0), 31, 63] {
          let values = (0..<10).flatMap { _ in extremes }
          let indices = [UInt8](repeating: table, count: values.count)
          let payload = try Self.encode(values, indices, set, lanes: lanes)
          #expect(try Self.decode(payload, indices, set) == values)
        }
      }
    }
  }

  /// Escapes at every place of a group of four, among enough words that the fast path meets them.
  @Test func escapesAmongManyValues() throws {
    var (values, indices) = Self.sample(20_000, seed: 5, scales: 20...63)
    var noise = Noise(6)
    for _ in 0..<500 { values[noise.below(values.count)] = Int16(truncatingIfNeeded: Int(noise.bits() >> 40)) }
    for lanes in [1, 2, 4] {
      #expect(try Self.decode(Self.encode(values, indices, lanes: lanes), indices) == values)
    }
    indices.reverse()
    #expect(try Self.decode(Self.encode(values, indices), indices) == values)
  }

  @Test func passesOfAnyLengthAndBypass() throws {
    var noise = Noise(9)
    for round in 0..<40 {
      var encoder = RANSEncoder()
      var passes: [(values: [Int16], indices: [UInt8], gaussian: Bool, bits: Int, raw: UInt32)] = []
      for _ in 0..<(1 + noise.below(9)) {
        let (v, i) = Self.sample(noise.below(400), seed: noise.bits(), spread: 1.3)
        let bits = 1 + noise.below(16)
        let raw = UInt32(noise.below(1 << bits))
        let gaussian = noise.below(2) == 0
        try encoder.append(v, indices: i, tables: gaussian ? Scale.gaussian : Scale.laplace)
        encoder.appendBypass(raw, bits: bits)
        passes.append((v, i, gaussian, bits, raw))
      }
      var decoder = try RANSDecoder(encoder.finish(lanes: [1, 2, 4][round % 3]))
      for pass in passes {
        let got = try decoder.decode(pass.gaussian ? Scale.gaussian : Scale.laplace, indices: pass.indices)
        #expect(got == pass.values)
        #expect(try decoder.decodeBypass(bits: pass.bits) == pass.raw)
      }
      try decoder.finish()
    }
  }

  @Test func factorisedTablesRoundTrip() throws {
    var noise = Noise(11)
    for _ in 0..<20 {
      var models: [CategoricalModel] = []
      var lowest: [Int16] = []
      for _ in 0..<(1 + noise.below(256)) {
        let counts = (0..<(2 + noise.below(60))).map { _ in UInt32(1 + noise.below(noise.below(2) == 0 ? 10 : 5000)) }
        models.append(try CategoricalModel(counts: counts, precision: 16))
        lowest.append(Int16(noise.below(200) - 100))
      }
      let set = try TableSet(factorised: models, lowest: lowest)
      let indices = (0..<3000).map { _ in UInt8(noise.below(models.count)) }
      let values = indices.map { i in
        lowest[Int(i)] + Int16(noise.below(models[Int(i)].symbolCount - 1)) + (noise.below(50) == 0 ? 70 : 0)
      }
      #expect(try Self.decode(Self.encode(values, indices, set), indices, set) == values)
    }
  }

  @Test func aTableWithoutEscapeRefusesOtherValues() throws {
    let set = try TableSet(tables: [(order: [4, 3], widths: [65535, 1], escape: 0)])
    #expect(try Self.decode(Self.encode([3, 4, 4], [0, 0, 0], set), [0, 0, 0], set) == [3, 4, 4])
    #expect(throws: EntropyError(.symbolOutsideModel, in: "", "")) { try Self.encode([5], [0], set) }
    let certain = try TableSet(tables: [(order: [9], widths: [65536], escape: 0)])
    #expect(try Self.decode(Self.encode([9, 9], [0, 0], certain), [0, 0], certain) == [9, 9])
  }

  @Test func badTablesAreRefused() {
    let bad = EntropyError(.badModel, in: "", "")
    #expect(throws: bad) { try TableSet(tables: []) }
    #expect(throws: bad) { try TableSet(tables: [(order: [0, 2], widths: [65535, 1], escape: 0)]) }
    #expect(throws: bad) { try TableSet(tables: [(order: [0, 0], widths: [65535, 1], escape: 0)]) }
    #expect(throws: bad) { try TableSet(tables: [(order: [0, 1], widths: [65535, 0], escape: 1)]) }
    #expect(throws: bad) { try TableSet(tables: [(order: [0, 1], widths: [65535, 1], escape: 1)]) }
    #expect(throws: bad) { try TableSet(tables: [(order: [0, 1], widths: [.max, 2], escape: 1)]) }
    #expect(throws: bad) { try TableSet(tables: [(order: [], widths: [], escape: 65536)]) }
  }

  /// Every truncation throws. A flip changes values for certain and is noticed but for luck, one in thousands.
  @Test func damageIsReported() throws {
    var flips = 0
    var unnoticed = 0
    for lanes in [1, 4] {
      var (values, indices) = Self.sample(600, seed: 21, scales: 10...50)
      values[599] = 3
      indices[599] = 40
      let payload = try Self.encode(values, indices, lanes: lanes)
      for length in 0..<payload.count {
        #expect(throws: EntropyError.self) { try Self.decode(Array(payload[..<length]), indices) }
      }
      #expect(throws: EntropyError(.truncated, in: "", "")) { try Self.decode(payload + [0], indices) }
      #expect(throws: EntropyError.self) { try Self.decode(payload + [0, 0, 0, 0], indices) }
      #expect(throws: EntropyError.self) { try Self.decode(payload, Array(indices.dropLast())) }
      for bit in 0..<payload.count * 8 {
        var damaged = payload
        damaged[bit / 8] ^= 1 << UInt8(bit % 8)
        flips += 1
        if let got = try? Self.decode(damaged, indices) {
          #expect(got != values)
          unnoticed += 1
        }
      }
    }
    #expect(unnoticed * 1000 < flips, "\(unnoticed) of \(flips)")
    // A payload of few bytes cannot keep a decoder busy for longer than its count, nor lead it out of bounds.
    #expect(throws: EntropyError.self) { try Self.decode([1, 2, 3, 4, 5, 6, 7, 8, 9], [UInt8](repeating: 63, count: 10_000)) }
  }
}
