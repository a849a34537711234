import EntropyCoding
import Testing

@Suite struct ModelTests {
  /// Both directions agree on every quantile, and the intervals cover the line.
  static func check(_ model: some EntropyModel, symbols: Range<Int>) {
    var total: UInt32 = 0
    for s in symbols {
      guard let interval = model.interval(of: s) else { continue }
      total += interval.width
      #expect(interval.width > 0)
      for q in [interval.start, interval.start + interval.width - 1] {
        let got = model.symbol(at: q)
        #expect(got.symbol == s && got.interval == interval)
      }
    }
    #expect(total == 1 << UInt32(model.precision))
    #expect(model.interval(of: symbols.upperBound) == nil && model.interval(of: -1) == nil)
  }

  @Test func normalisationIsAsComputedByHand() throws {
    // 16/7 = 2.29, 16*2/7 = 4.57, 16*4/7 = 9.14: floors 2, 4, 9; the missing one goes to the largest remainder.
    #expect(try CategoricalModel(counts: [1, 2, 4], precision: 4).widths == [2, 5, 9])
    // A tie of remainders goes to the lower symbol.
    #expect(try CategoricalModel(counts: [1, 1, 1], precision: 2).widths == [2, 1, 1])
    // Lifted symbols take from the widest, and 0 stays 0.
    #expect(try CategoricalModel(counts: [1, 0, 1, 1000, 1000], precision: 3).widths == [1, 0, 1, 3, 3])
    #expect(try CategoricalModel(counts: [0, 5], precision: 12).widths == [0, 4096])
    #expect(try CategoricalModel(counts: [.max, 1, .max], precision: 16).widths == [32768, 1, 32767])
  }

  @Test func badCountsAreRefused() {
    let bad = EntropyError(.badModel, in: "", "")
    #expect(throws: bad) { try CategoricalModel(counts: [], precision: 12) }
    #expect(throws: bad) { try CategoricalModel(counts: [0, 0], precision: 12) }
    #expect(throws: bad) { try CategoricalModel(counts: [1, 1, 1], precision: 1) }
    #expect(throws: bad) { try CategoricalModel(counts: [1], precision: 0) }
    #expect(throws: bad) { try CategoricalModel(counts: [1], precision: 17) }
    #expect(throws: bad) { try CategoricalModel(widths: [4095], precision: 12) }
    #expect(throws: bad) { try CategoricalModel(widths: [.max, 1, 4096], precision: 12) }
    #expect(throws: bad) { try BlockRANS.Table(CategoricalModel(counts: [1, 1], precision: 11)) }
    #expect(throws: bad) { try BlockRANS.Table(CategoricalModel(counts: .init(repeating: 1, count: 257), precision: 12)) }
  }

  @Test func randomTablesAreExact() throws {
    var noise = Noise(3)
    for _ in 0..<200 {
      let precision = 1 + noise.below(16)
      var counts = (0..<(1 + noise.below(min(300, 1 << precision)))).map { _ in
        noise.below(3) == 0 ? UInt32(0) : UInt32(truncatingIfNeeded: noise.bits() >> UInt64(32 + noise.below(32)))
      }
      counts[noise.below(counts.count)] = 7
      let model = try CategoricalModel(counts: counts, precision: precision)
      for (count, width) in zip(counts, model.widths) { #expect((count > 0) == (width > 0)) }
      Self.check(model, symbols: 0..<counts.count)
    }
  }

  @Test func uniformTablesAreExact() {
    for n in [1, 2, 3, 255, 256, 257, 40_000, 65535, 65536] { Self.check(UniformModel(symbolCount: n), symbols: 0..<n) }
    let three = UniformModel(symbolCount: 3)
    #expect((0..<3).map { three.interval(of: $0)!.start } == [0, 21845, 43690])
  }

  @Test func adaptiveBitFollowsAndNeverCloses() {
    var bit = AdaptiveBit()
    #expect(bit.zeroWidth == 32768)
    bit.update(with: 0)
    // (32736 >> 4, 32736 >> 7) = (2046, 255)
    #expect((bit.fast, bit.slow) == (34814, 33023))
    bit.update(with: 1)
    #expect((bit.fast, bit.slow) == (34814 - 34782 >> 4, 33023 - 32991 >> 7))
    for s in [0, 1] {
      for _ in 0..<5000 { bit.update(with: s) }
      Self.check(bit, symbols: 0..<2)
      #expect(bit.interval(of: s)!.width > 65300)
    }
  }

  @Test func adaptiveModelFollowsAndNeverCloses() {
    var noise = Noise(8)
    for n in [2, 3, 17, 256] {
      var model = AdaptiveModel(symbolCount: n)
      Self.check(model, symbols: 0..<n)
      for favourite in [0, n / 2, n - 1] {
        for _ in 0..<3000 { model.update(with: favourite) }
        Self.check(model, symbols: 0..<n)
        #expect(Int(model.interval(of: favourite)!.width) > 65536 - n * 64 - 64)
      }
      for _ in 0..<3000 { model.update(with: noise.below(n)) }
      Self.check(model, symbols: 0..<n)
    }
    var three = AdaptiveModel(symbolCount: 3)
    three.update(with: 1)
    // Towards (4, 65532) by 16ths, rounding down: 21845 - 1365.06 -> 20479; 43690 + 1365.1 -> 45055.
    #expect(three.starts == [0, 20479, 45055, 65536])
  }
}
