/// A symbol's share of the line 0 ..< 2^precision: `start ..< start + width`, width at least 1.
package struct Interval: Equatable, Sendable {
  package var start: UInt32
  package var width: UInt32

  @inlinable package init(start: UInt32, width: UInt32) {
    self.start = start
    self.width = width
  }
}

/// A probability model over integers: the line 0 ..< 2^precision cut into one interval per symbol.
///
/// The two questions are inverse: `symbol(at: q).interval` holds q, and for each symbol s of the model,
/// `symbol(at: interval(of: s)!.start).symbol == s`. The intervals cover the line without gaps.
package protocol EntropyModel: Sendable {
  /// log2 of the total width, 1...16.
  var precision: Int { get }
  /// Nil when the model cannot code `symbol`. Inverse of `symbol(at:)`.
  func interval(of symbol: Int) -> Interval?
  /// The symbol whose interval holds `quantile`, and that interval. `quantile` is below 2^precision. Inverse of
  /// `interval(of:)`.
  func symbol(at quantile: UInt32) -> (symbol: Int, interval: Interval)
}

/// A model that learns from what was coded: encoder and decoder call `update` after each symbol.
package protocol AdaptiveEntropyModel: EntropyModel {
  mutating func update(with symbol: Int)
}

/// What went wrong in entropy coding; equal by code.
package struct EntropyError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: String, Sendable {
    /// The payload ends before its symbols do.
    case truncated
    /// The payload cannot have come from a conforming encoder.
    case corrupt
    /// Bytes are left over after the last symbol.
    case trailingBytes
    /// The model has no interval for this symbol.
    case symbolOutsideModel
    /// Counts or widths that make no table.
    case badModel
  }
  package let code: Code
  /// The part of the coder, such as "rANS payload header".
  package let place: String
  package let reason: String

  package init(_ code: Code, in place: String, _ reason: String) {
    self.code = code
    self.place = place
    self.reason = reason
  }
  package static func == (a: Self, b: Self) -> Bool { a.code == b.code }
  package var description: String { "\(place): \(reason) (\(code.rawValue))" }
}
