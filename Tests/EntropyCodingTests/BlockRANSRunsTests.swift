import EntropyCoding
import Testing

/// Several tables in one payload.
@Suite struct BlockRANSRunsTests {
  @Test func everyLevelAndLaneCountDecodesRuns() throws {
    var noise = Noise(21)
    for round in 0..<40 {
      var symbols: [UInt8] = [], runs: [(table: BlockRANS.Table, count: Int)] = []
      for _ in 0..<1 + noise.below(6) {
        let table = try BlockRANSTests.table(&noise, symbols: 1 + noise.below(40))
        // Runs of none, of few, and of whole rounds among them.
        let count = [noise.below(5), noise.below(100), 32 * noise.below(20), noise.below(3000)][noise.below(4)]
        symbols += BlockRANSTests.sample(count, table, &noise)
        runs.append((table, count))
      }
      for lanes in [1, 4, 32] {
        let payloads = try BlockRANS.Level.allCases.map { level in
          try symbols.withUnsafeBufferPointer { try BlockRANS.encode($0, with: runs, lanes: lanes, level: level) }
        }
        #expect(payloads.allSatisfy { $0 == payloads[0] }, "round \(round)")
        for level in BlockRANS.Level.allCases {
          var back = [UInt8](repeating: 0, count: symbols.count)
          try back.withUnsafeMutableBufferPointer { try BlockRANS.decode(payloads[0], with: runs, into: $0, level: level) }
          #expect(back == symbols, "round \(round), \(lanes) lanes, \(level)")
        }
        // One run is what `encode` with one table gives.
        if runs.count == 1 { #expect(try BlockRANS.encode(symbols, with: runs[0].table, lanes: lanes) == payloads[0]) }
      }
    }
  }
}
