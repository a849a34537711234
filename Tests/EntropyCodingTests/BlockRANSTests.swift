import EntropyCoding
import Foundation
import Testing

@Suite struct BlockRANSTests {
  static func table(_ noise: inout Noise, symbols: Int) throws -> BlockRANS.Table {
    var counts = (0..<symbols).map { _ in UInt32(noise.below(1 << noise.below(16))) }
    counts[noise.below(symbols)] += 1
    return try BlockRANS.Table(CategoricalModel(counts: counts, precision: 12))
  }

  static func sample(_ count: Int, _ table: BlockRANS.Table, _ noise: inout Noise) -> [UInt8] {
    (0..<count).map { _ in UInt8(table.model.symbol(at: UInt32(noise.below(4096))).symbol) }
  }

  static let four = try! BlockRANS.Table(CategoricalModel(counts: [5, 1, 1, 1], precision: 12))

  @Test func codedBytesArePinned() throws {
    #expect(try BlockRANS.encode([], with: Self.four) == [])
    #expect(try BlockRANS.decode([], count: 0, with: Self.four) == [])
    #expect(try BlockRANS.encode([2], with: Self.four) == [0x80, 0x00, 0x18])
    #expect(try BlockRANS.encode([3, 0], with: Self.four) == [0x80, 0x00, 0x7c])
    #expect(try BlockRANS.encode([0, 1, 2, 3, 0, 0, 3, 0, 2, 1], with: Self.four) == [0x88, 0x5a, 0x87, 0x01, 0x00, 0xfc])
    let lanes: [UInt8] = [0x8a, 0x00, 0xc8, 0x20, 0x00, 0xc5, 0x03, 0xc0, 0x33, 0x00, 0x06]
    #expect(try BlockRANS.encode([0, 1, 2, 3, 0, 0, 3, 0, 2, 1], with: Self.four, lanes: 4) == lanes)
    var noise = Noise(1)
    let long = Self.sample(20_000, Self.four, &noise)
    #expect(fingerprint(try BlockRANS.encode(long, with: Self.four).map { UInt32($0) }) == 2265799057152854939)
  }

  @Test func everyLevelAndLaneCountDecodesAlike() throws {
    var noise = Noise(2)
    for round in 0..<60 {
      let table = try Self.table(&noise, symbols: 1 + noise.below(256))
      let symbols = Self.sample(round < 40 ? round * 7 : noise.below(30_000), table, &noise)
      for lanes in [1, 2, 4, 8, 16, 32] {
        let payload = try BlockRANS.encode(symbols, with: table, lanes: lanes)
        for level in BlockRANS.Level.allCases {
          #expect(try BlockRANS.decode(payload, count: symbols.count, with: table, level: level) == symbols)
        }
      }
    }
  }

  /// Damaged payloads too: the same symbols or the same error from every kernel.
  @Test func damageIsReportedAlike() throws {
    var noise = Noise(3)
    let table = try Self.table(&noise, symbols: 40)
    let symbols = Self.sample(3000, table, &noise)
    let payload = try BlockRANS.encode(symbols, with: table, lanes: 32)
    func outcome(_ payload: [UInt8], _ level: BlockRANS.Level) -> Result<[UInt8], EntropyError> {
      do { return .success(try BlockRANS.decode(payload, count: symbols.count, with: table, level: level)) } catch {
        return .failure(error as! EntropyError)
      }
    }
    for length in 0..<payload.count {
      guard case .failure = outcome(Array(payload[..<length]), .best) else {
        Issue.record("\(length) of \(payload.count) bytes pass")
        continue
      }
    }
    var unnoticed = 0
    for bit in stride(from: 0, to: payload.count * 8, by: 3) {
      var damaged = payload
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      let scalar = outcome(damaged, .scalar)
      #expect(outcome(damaged, .avx512) == scalar)
      #expect(outcome(damaged, .sse4) == scalar)
      if case .success = scalar { unnoticed += 1 }
    }
    // Damage near the end of a lane that starts at 0 may leave it at 0: one flip in 150 here.
    #expect(unnoticed * 100 < payload.count * 8 / 3, "\(unnoticed)")
    #expect(throws: EntropyError.self) {
      try BlockRANS.decode(payload + [1, 2], count: symbols.count, with: table)
    }
    #expect(throws: EntropyError(.truncated, in: "", "")) { try BlockRANS.decode([], count: 1, with: table) }
    #expect(throws: EntropyError(.trailingBytes, in: "", "")) { try BlockRANS.decode([1], count: 0, with: table) }
  }

  @Test func oneCertainSymbolCostsNothing() throws {
    let table = try BlockRANS.Table(CategoricalModel(counts: [0, 0, 9], precision: 12))
    let symbols = [UInt8](repeating: 2, count: 100_000)
    let payload = try BlockRANS.encode(symbols, with: table, lanes: 1)
    #expect(payload.count == 3)
    #expect(try BlockRANS.decode(payload, count: symbols.count, with: table) == symbols)
    #expect(throws: EntropyError(.symbolOutsideModel, in: "", "")) { try BlockRANS.encode([2, 1], with: table) }
    #expect(throws: EntropyError(.symbolOutsideModel, in: "", "")) { try BlockRANS.encode([3], with: table) }
  }

  @Test func overheadOnAMillionSymbols() throws {
    var noise = Noise(5)
    let table = try Self.table(&noise, symbols: 200)
    for count in [2000, 16000, 1_000_000] {
      let symbols = Self.sample(count, table, &noise)
      let payload = try BlockRANS.encode(symbols, with: table)
      let ideal = symbols.reduce(0.0) { $0 + 12 - log2(Double(table.model.widths[Int($1)])) } / 8
      #expect(Double(payload.count) < ideal * 1.0005 + (count < 2048 ? 3 : count < 16384 ? 11 : 85), "\(count)")
    }
  }
}
