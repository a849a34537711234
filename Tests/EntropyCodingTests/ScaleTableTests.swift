import EntropyCoding
import Foundation
import Testing

@Suite struct ScaleTableTests {
  /// (scale, k, P(X > k + 1/2) in 2^-32), from mpmath with 40 digits.
  static let gaussian: [(Int, Int, Int64)] = [
    (0, 0, 11773), (0, 1, 0), (7, 0, 53784802), (15, 0, 683098694), (15, 1, 5890653), (15, 2, 1284),
    (23, 0, 1409670755), (23, 1, 390895604), (23, 2, 56118185), (23, 5, 2129), (31, 0, 1810071428),
    (31, 5, 62779309), (31, 10, 67621), (39, 0, 1996354675), (39, 11, 90680806), (39, 23, 71125),
    (47, 0, 2080074926), (47, 25, 96119201), (47, 51, 108506), (55, 0, 2117442137), (55, 57, 93974896),
    (55, 114, 127539), (63, 0, 2134097503), (63, 1, 2107328479), (63, 128, 95913535), (63, 257, 123169),
  ]
  static let laplace: [(Int, Int, Int64)] = [
    (0, 0, 3468923), (0, 1, 9), (7, 0, 90307761), (7, 1, 159704), (7, 2, 282), (15, 0, 523282869), (15, 3, 109541),
    (23, 0, 1144749342), (23, 4, 7463709), (23, 8, 48663), (31, 0, 1622526423), (31, 8, 18297105), (31, 17, 117787),
    (39, 0, 1895340114), (39, 19, 16461300), (39, 39, 111367), (47, 0, 2031238542), (47, 43, 16952445),
    (47, 87, 126580), (55, 0, 2094888509), (55, 98, 16234783), (55, 196, 125815), (63, 0, 2123887672),
    (63, 1, 2077470671), (63, 219, 16806092), (63, 439, 130078),
  ]

  @Test func sigmasFollowTheirRule() {
    for (i, sigma) in Scale.sigmas.enumerated() {
      let exact = 0.11 * pow(64 / 0.11, Double(i) / 63) * 65536
      #expect(abs(Double(sigma) - exact) < 0.5 + 1e-6)
    }
    #expect(Scale.sigmas.count == 64)
  }

  @Test func tailsMatchHighPrecisionReference() {
    for (scale, k, expected) in Self.gaussian {
      let got = Scale.gaussianTails(sigma: Scale.sigmas[scale])[k]
      #expect(abs(got - expected) <= 4, "scale \(scale), edge \(k): \(got)")
    }
    for (scale, k, expected) in Self.laplace {
      let got = Scale.laplaceTails(sigma: Scale.sigmas[scale])[k]
      #expect(abs(got - expected) <= 4, "scale \(scale), edge \(k): \(got)")
    }
  }

  /// erfc is only good to 1e-16 or so, which is far finer than the tails' 2^-32.
  @Test func everyTailMatchesErfc() {
    var worst: Int64 = 0
    for sigma in Scale.sigmas {
      for (k, tail) in Scale.gaussianTails(sigma: sigma).enumerated() {
        let x = (Double(k) + 0.5) * 65536 / Double(sigma)
        worst = max(worst, abs(tail - Int64((erfc(x / 2.0.squareRoot()) / 2 * 4_294_967_296).rounded())))
      }
    }
    #expect(worst <= 4)
  }

  @Test func everyTableIsPinned() {
    func all(_ set: TableSet) -> [UInt32] {
      set.outlines.indices.flatMap { i -> [UInt32] in
        let range = set.outlines[i].values
        return range.flatMap { v -> [UInt32] in
          let interval = set[i].interval(of: v)!
          return [interval.start, interval.width]
        } + [set.outlines[i].escapeStart]
      }
    }
    let gaussian = all(Scale.gaussian)
    let laplace = all(Scale.laplace)
    #expect(gaussian.count == 10860 && laplace.count == 18444)
    #expect(fingerprint(gaussian) == 11_370_422_975_720_594_784)
    #expect(fingerprint(laplace) == 6_718_537_635_463_449_294)
  }

  @Test func tablesCoverTheLine() {
    for set in [Scale.gaussian, Scale.laplace] {
      #expect(set.count == 64)
      for i in 0..<64 {
        let outline = set.outlines[i]
        let intervals = (Array(outline.values) + [TableSet.Table.escapeSymbol]).map { set[i].interval(of: $0)! }
        #expect(intervals.allSatisfy { $0.width >= 1 })
        #expect(outline.values.map { set.width(of: $0, in: i)! } == intervals.dropLast().map(\.width))
        #expect(set.width(of: outline.values.lowerBound - 1, in: i) == nil)
        let sorted = intervals.sorted { $0.start < $1.start }
        var next: UInt32 = 0
        for interval in sorted {
          #expect(interval.start == next)
          next += interval.width
        }
        #expect(next == 65536)
        #expect(outline.values.lowerBound == -outline.values.upperBound)
        #expect(set[i].interval(of: 0)!.start == 0)
        #expect(set[i].interval(of: outline.values.upperBound + 1) == nil)
      }
    }
  }

  @Test func smallTablesAreAsComputedByHand() {
    // sigma 0.11: the tails beyond 1/2 and 3/2 round to 0 slots; one each for -1, 1 and half the escape.
    #expect(Scale.gaussian[0].interval(of: 0) == Interval(start: 0, width: 65532))
    #expect(Scale.gaussian[0].interval(of: -1) == Interval(start: 65532, width: 1))
    #expect(Scale.gaussian[0].interval(of: 1) == Interval(start: 65533, width: 1))
    #expect(Scale.gaussian.outlines[0].escapeStart == 65534)
    // Scale 15: tails 683098694, 5890653, 1284 / 2^32 are 10423, 90 and (lifted) 1 of 65536.
    #expect(Scale.gaussian[15].interval(of: 0) == Interval(start: 0, width: 65536 - 2 * 10423))
    let one = Scale.gaussian[15].interval(of: 1)!
    #expect(one.width == 10423 - 90)
    #expect(Scale.gaussian[15].interval(of: -2)?.width == 89)
  }
}
