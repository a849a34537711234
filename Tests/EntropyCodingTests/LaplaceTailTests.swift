import EntropyCoding
import Foundation
import Testing

@Suite struct LaplaceTailTests {
  let tails = LaplaceTails.shared

  /// The tail at distance d / 32.
  func tail(_ scale: Int, _ d: Int) -> Int {
    let length = Int(tails.lengths[scale])
    return Int(tails.values[Int(tails.offsets[scale]) + (d & 31) * length + min(d >> 5, length - 1)])
  }

  @Test func everyTailIsTheExponential() {
    for scale in 0..<LaplaceTails.scales {
      let b = exp(Double(scale) / 16 - 3.5)
      for d in stride(from: 0, to: 8192, by: scale < 40 ? 1 : 7) {
        let exact = 32768 * exp(-Double(d) / 32 / b)
        let got = Double(tail(scale, d))
        #expect(got <= exact + 1e-6 && got > exact - 1 - 1e-6, "scale \(scale), distance \(d)")
      }
    }
  }

  @Test func tailsNeverRise() {
    for scale in 0..<LaplaceTails.scales {
      #expect(tail(scale, 0) == 32768)
      for d in 1..<8192 { #expect(tail(scale, d) <= tail(scale, d - 1)) }
    }
  }

  /// bitstream-spec 9.6
  @Test func tablesAreTheSpecs() {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for scale in 0..<LaplaceTails.scales {
      for d in 0..<8192 {
        for byte in [tail(scale, d) & 255, tail(scale, d) >> 8] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
      }
    }
    #expect(hash == 17_353_717_582_643_469_852)
  }
}
