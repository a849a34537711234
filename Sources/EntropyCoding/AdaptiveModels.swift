/// A bit whose probability follows what was seen, as the mean of a fast and a slow estimate. // bitstream-spec 5.4
package struct AdaptiveBit: AdaptiveEntropyModel, Equatable {
  /// Estimates of P(bit = 0) in 2^-16. Invariant: both in 32...65504, so neither interval is ever empty.
  package private(set) var fast: UInt16 = 32768
  package private(set) var slow: UInt16 = 32768

  package init() {}

  @inline(__always) package var precision: Int { 16 }

  /// Width of the interval of 0, in 2^-16.
  @inline(__always) package var zeroWidth: UInt32 { (UInt32(fast) &+ UInt32(slow)) >> 1 }

  package func interval(of symbol: Int) -> Interval? {
    switch symbol {
    case 0: Interval(start: 0, width: zeroWidth)
    case 1: Interval(start: zeroWidth, width: 65536 - zeroWidth)
    default: nil
    }
  }

  package func symbol(at quantile: UInt32) -> (symbol: Int, interval: Interval) {
    let s = quantile < zeroWidth ? 0 : 1
    return (s, interval(of: s)!)
  }

  @inline(__always)
  package mutating func update(with symbol: Int) {
    // Moving towards 65504 or 32 by a floor of the distance keeps both inside the invariant.
    if symbol == 0 {
      fast &+= (65504 &- fast) >> 4
      slow &+= (65504 &- slow) >> 7
    } else {
      fast &-= (fast &- 32) >> 4
      slow &-= (slow &- 32) >> 7
    }
  }
}

/// Up to 256 symbols whose probabilities follow what was seen. // bitstream-spec 5.4
package struct AdaptiveModel: AdaptiveEntropyModel, Equatable {
  /// Starts of the intervals, one more than there are symbols. Invariant: starts[0] = 0, the last is 65536, strictly
  /// rising.
  package private(set) var starts: [UInt32]
  /// Updates so far, saturating at 255: early ones move faster.
  private var seen: UInt8 = 0

  package var symbolCount: Int { starts.count - 1 }
  package var precision: Int { 16 }

  package init(symbolCount: Int) {
    precondition((2...256).contains(symbolCount))
    starts = (0...symbolCount).map { UInt32(($0 << 16) / symbolCount) }
  }

  package func interval(of symbol: Int) -> Interval? {
    guard symbol >= 0, symbol < symbolCount else { return nil }
    return Interval(start: starts[symbol], width: starts[symbol + 1] - starts[symbol])
  }

  package func symbol(at quantile: UInt32) -> (symbol: Int, interval: Interval) {
    precondition(quantile < 65536)
    return starts.withUnsafeBufferPointer { starts in
      var low = 0
      var high = starts.count - 1
      if high <= 64 {
        // Starts rise, so that counting finds it, several at a time.
        var passed: UInt32 = 0
        for i in 1..<high { passed &+= starts[i] <= quantile ? 1 : 0 }
        low = Int(passed)
      } else {
        while high - low > 1 {
          let middle = (low + high) / 2
          if starts[middle] <= quantile { low = middle } else { high = middle }
        }
      }
      return (low, Interval(start: starts[low], width: starts[low + 1] &- starts[low]))
    }
  }

  package mutating func update(with symbol: Int) {
    precondition(symbol >= 0 && symbol < symbolCount)
    let shift: Int32 = seen < 16 ? 4 : seen < 64 ? 5 : 6
    let floor: Int32 = 4
    // Each start moves towards the table that gives every other symbol 4 slots and this one the rest. Rounding down
    // cannot close an interval: new width > w + (4 - w) / 2^shift - 1 >= 0 for every w >= 1.
    starts.withUnsafeMutableBufferPointer { starts in
      let n = Int32(truncatingIfNeeded: starts.count &- 1), last = Int32(truncatingIfNeeded: symbol)
      let rest = 65536 &- n &* floor
      var i: Int32 = 1
      while i < n {
        let target = i &* floor &+ (i <= last ? 0 : rest)
        let old = Int32(bitPattern: starts[Int(i)])
        starts[Int(i)] = UInt32(bitPattern: old &+ ((target &- old) &>> shift))
        i &+= 1
      }
    }
    if seen < 255 { seen += 1 }
  }
}
