import Coding
import KVCodec
import Testing

@Suite struct PlanTests {
  /// Parts of 100 tokens and of bytes by level.
  static func chunks(_ bytes: [[Int]]) -> [KVPlan.Chunk] {
    bytes.enumerated().map { KVPlan.Chunk(positions: 100 * $0..<100 * ($0 + 1), bytes: $1) }
  }

  static func planner(
    _ bytes: [[Int]], qualities: [Int?] = [70, 40, 20], deadline: Double, rate: Double? = nil, rule: KVPlanner.Rule = .ahead
  ) throws -> KVPlanner {
    var options = KVPlanner.Options(deadline: deadline, recomputeRate: rate)
    (options.rule, options.textBytesPerToken) = (rule, 0)
    return try KVPlanner(chunks: chunks(bytes), qualities: qualities, options: options)
  }

  static let even = [[Int]](repeating: [400, 200, 100], count: 4)

  @Test func whatFitsIsTheBest() throws {
    let plan = try Self.planner(Self.even, deadline: 16).simulated(bytesPerSecond: 100)
    #expect(plan.steps.map(\.choice) == [.level(0), .level(0), .level(0), .level(0)])
    #expect(plan.seconds == 16 && plan.meetsDeadline && plan.byteCount == 1600 && plan.meanQuality == 70)
    #expect(plan.steps.map(\.ready) == [4, 8, 12, 16])
    #expect(abs(plan.evenQuality! - 70) < 1e-9)
  }

  /// Shares of 3 s: level 1 everywhere, and 4 s are wasted. Ahead spends them on two parts.
  @Test func aheadSpendsWhatSharesWaste() throws {
    let shared = try Self.planner(Self.even, deadline: 12, rule: .cachegen).simulated(bytesPerSecond: 100)
    #expect(shared.steps.map(\.choice) == [.level(1), .level(1), .level(1), .level(1)] && shared.seconds == 8)
    let ahead = try Self.planner(Self.even, deadline: 12).simulated(bytesPerSecond: 100)
    #expect(ahead.steps.map(\.choice) == [.level(0), .level(0), .level(1), .level(1)] && ahead.seconds == 12)
    #expect(ahead.meanQuality == 55 && shared.meanQuality == 40)
    #expect(ahead.evenQuality! > 40 && ahead.evenQuality! < 55)
  }

  /// CacheGen's rule to the letter: the best level whose time is below deadline / parts, else the text.
  @Test func cachegenIsGreedy() throws {
    let bytes = [[400, 200, 100], [900, 500, 300], [399, 50, 10], [301, 299, 10]]
    let plan = try Self.planner(bytes, deadline: 12, rate: 50, rule: .cachegen).simulated(bytesPerSecond: 100)
    #expect(plan.steps.map(\.choice) == [.level(1), .recompute, .level(1), .level(1)])
    // 2; 2 + 100 / 50; 2 + 0.5, after the part before; 2.5 + 2.99.
    #expect(zip(plan.steps.map(\.ready), [2, 4, 4, 5.49]).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(plan.recomputedTokens == 100)
    // Without a model there is the worst level.
    let fetched = try Self.planner(bytes, deadline: 12, rule: .cachegen).simulated(bytesPerSecond: 100)
    #expect(fetched.steps[1].choice == .level(2))
  }

  /// The model computes the first parts while the link fetches the others; no more than are needed.
  @Test func theModelWorksBesideTheLink() throws {
    let plan = try Self.planner(Self.even, deadline: 8, rate: 25).simulated(bytesPerSecond: 100)
    #expect(plan.steps.map(\.choice) == [.recompute, .recompute, .level(0), .level(0)])
    #expect(plan.steps.map(\.ready) == [4, 8, 8, 8] && plan.meetsDeadline)
    let slow = try Self.planner(Self.even, deadline: 8, rate: 20).simulated(bytesPerSecond: 100)
    #expect(slow.steps.map(\.choice) == [.recompute, .level(0), .level(1), .level(1)] && slow.seconds == 8)
    let idle = try Self.planner(Self.even, deadline: 16, rate: 1e6).simulated(bytesPerSecond: 100)
    #expect(idle.recomputedTokens == 0)
    // CacheGen's rule with the same: every part waits for the model.
    let shared = try Self.planner(Self.even, deadline: 3, rate: 25, rule: .cachegen).simulated(bytesPerSecond: 100)
    #expect(shared.recomputedTokens == 400 && shared.seconds == 16)
  }

  @Test func whatIsTooLateIsTheSoonest() throws {
    let fetched = try Self.planner(Self.even, deadline: 3.9).simulated(bytesPerSecond: 100)
    #expect(!fetched.meetsDeadline && fetched.seconds == 4 && fetched.meanQuality == 20)
    // Two computed in 4 s beside two fetched in 2; one in 2 beside three in 3 is sooner.
    let both = try Self.planner(Self.even, deadline: 1, rate: 50).simulated(bytesPerSecond: 100)
    #expect(!both.meetsDeadline && both.seconds == 3 && both.recomputedTokens == 100)
  }

  /// Against all 4^5 ways: in time whenever one is, and within one step of the least error. With a model parts are of one size:
  /// where they are not, another part than the next may be worth more to compute.
  @Test(arguments: 0..<60) func nearlyAsGoodAsTryingAll(seed: Int) throws {
    var noise = Noise(UInt64(seed))
    func below(_ n: Int) -> Int { Int(noise.next() % UInt64(n)) }
    func made() -> [Int] {
      let worst = 50 + below(100), middle = worst + 20 + below(200)
      return [middle + 20 + below(400), middle, worst]
    }
    let one = made()
    let bytes = (0..<5).map { _ in seed % 3 == 0 ? made() : one }
    let rate = seed % 3 == 0 ? nil : Double(20 + below(200))
    let planner = try Self.planner(bytes, deadline: Double(1 + below(16)), rate: rate)
    let plan = planner.simulated(bytesPerSecond: 100)
    func error(_ choice: KVPlan.Choice) -> Double {
      guard case .level(let level) = choice else { return 0 }
      return pow2(-0.12 * Double([70, 40, 20][level]))
    }
    var (best, soonest) = (Double.infinity, Double.infinity)
    for way in 0..<1024 {
      var (link, ready, sum, isPossible) = (0.0, 0.0, 0.0, true)
      for chunk in 0..<5 {
        let choice = way >> (2 * chunk) & 3
        if choice == 3 {
          isPossible = isPossible && rate != nil
          ready = max(ready, link) + 100 / (rate ?? 1)
        } else {
          link += Double(bytes[chunk][choice]) / 100
          ready = max(ready, link)
          sum += error(.level(choice))
        }
      }
      guard isPossible else { continue }
      soonest = min(soonest, ready)
      if ready <= planner.options.deadline { best = min(best, sum) }
    }
    #expect(plan.meetsDeadline == best.isFinite)
    let own = plan.steps.reduce(0) { $0 + error($1.choice) }
    // What is computed is counted as good as the best level, so that no more is computed than needed.
    if best.isFinite {
      #expect(own <= best + error(.level(2)) + 5 * error(.level(0)) + 1e-12)
    } else {
      #expect(plan.seconds <= soonest * 1.0000001, "\(plan.seconds), not \(soonest)")
    }
  }

  private func pow2(_ x: Double) -> Double {
    // 2^-(n + f), by halves and the series of exp.
    var (y, rest) = (1.0, -x)
    while rest >= 1 { (y, rest) = (y / 2, rest - 1) }
    var (term, sum) = (1.0, 1.0)
    for n in 1..<20 {
      term *= -rest * 0.693147180559945 / Double(n)
      sum += term
    }
    return y * sum
  }

  /// A link that gets slower: what is measured changes what is chosen, and the deadline is met all the same. One that gets
  /// faster: what early parts did not get, later ones do.
  @Test func measuredSpeedCounts() throws {
    let bytes = [[Int]](repeating: [400, 200, 100], count: 10)
    let slower = [(from: 0.0, bytesPerSecond: 100.0), (from: 4.0, bytesPerSecond: 50.0)]
    let plan = try Self.planner(bytes, deadline: 28).simulated(slower)
    #expect(plan.meetsDeadline && plan.steps.first?.choice == .level(0) && plan.steps.last?.choice == .level(2))
    let fixed = try Self.planner(bytes, deadline: 28, rule: .cachegen).simulated(slower)
    #expect(fixed.seconds < plan.seconds && plan.seconds <= 28)
    let faster = try Self.planner(bytes, deadline: 12).simulated([(from: 0, bytesPerSecond: 100), (from: 3, bytesPerSecond: 400)])
    #expect(faster.meetsDeadline && faster.steps[9].choice == .level(0))
  }

  /// As a program that streams uses it: nothing but what it measures goes in.
  @Test func decisionsComeOneByOne() throws {
    var planner = try Self.planner(Self.even, deadline: 10)
    #expect(planner.next(elapsed: 0, bytesPerSecond: 100) == .level(0))
    #expect(planner.number == 1)
    // It took twice as long: 2 s are left for three parts, at 50 bytes a second.
    #expect(planner.next(elapsed: 8, bytesPerSecond: 50) == .level(2))
    #expect(planner.next(elapsed: 10, bytesPerSecond: 1e9) == .level(2))
    // Numbers that cannot be do no harm.
    #expect(planner.next(elapsed: .nan, bytesPerSecond: .infinity) != nil)
    #expect(planner.next(elapsed: 11, bytesPerSecond: 100) == nil)
  }

  @Test func preambleAndTextCount() throws {
    var options = KVPlanner.Options(deadline: 9, recomputeRate: 100)
    (options.preambleBytes, options.textBytesPerToken) = (300, 1)
    let plan = try KVPlanner(chunks: Self.chunks(Self.even), qualities: [70, 40, 20], options: options).simulated(bytesPerSecond: 100)
    // The model begins after the preamble and the first text, at 4 s. Three texts and a part of the best would take 10 s.
    #expect(plan.steps.map(\.choice) == [.recompute, .recompute, .recompute, .recompute])
    #expect(plan.steps.map(\.ready) == [5, 6, 7, 8])
  }

  @Test func unknownQualitiesAndSenselessOptions() throws {
    let plan = try Self.planner([[400], [400]], qualities: [nil], deadline: 100).simulated(bytesPerSecond: 100)
    #expect(plan.meanQuality == nil && plan.evenQuality == nil && plan.meetsDeadline)
    let none = try Self.planner([], deadline: 1).simulated(bytesPerSecond: 1)
    #expect(none.steps.isEmpty && none.seconds == 0 && none.meanQuality == nil)
    for (deadline, rate) in [(0, nil), (-1, nil), (.infinity, nil), (.nan, nil), (1, 0), (1, -3), (1, Double.nan)] as [(Double, Double?)] {
      #expect(throws: CodecError.self) { _ = try Self.planner(Self.even, deadline: deadline, rate: rate) }
    }
    #expect(throws: CodecError.self) { _ = try Self.planner([[1, 2]], deadline: 1) }
    #expect(throws: CodecError.self) { _ = try Self.planner([], qualities: [], deadline: 1) }
  }

  @Test func filesArePlanned() throws {
    let cache = KVCacheCodecTests.cache(71)
    let bytes = try LevelTests.encoder([70, 20]).encode(cache).bytes
    let file = try KVCacheFile(reading: bytes)
    let whole = try KVPlanner(file, options: .init(deadline: 1)).simulated(bytesPerSecond: 1e9)
    #expect(whole.meanQuality == 70 && whole.steps.map(\.chunk) == file.chunks)
    // All that is fetched is the file without the other level.
    let last = Double(bytes.count - file.levels[1].byteCount) / 1e9
    #expect(abs(whole.seconds - last) < 1e-12)
    let lossless = try KVCacheFile(reading: KVCacheCodecTests.encoder(.lossless).encode(cache).bytes)
    #expect(try KVPlanner(lossless, options: .init(deadline: 1)).simulated(bytesPerSecond: 1e9).meanQuality == 100)
  }

  /// A decision does not take longer the more parts there are than it must.
  @Test func manyPartsTakeNoTime() throws {
    let bytes = (0..<20_000).map { [400 + $0 % 7, 200, 100] }
    let planner = try Self.planner(bytes, deadline: 5000, rate: 100)
    let start = ContinuousClock.now
    let plan = planner.simulated(bytesPerSecond: 1000)
    #expect(plan.meetsDeadline && plan.steps.count == 20_000)
    #expect(ContinuousClock.now - start < .seconds(20))
  }
}
