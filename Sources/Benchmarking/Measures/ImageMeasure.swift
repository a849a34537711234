import Media

/// Something that compares a decoded picture with its original.
package protocol ImageMeasure: Sendable {
  /// The key in results.json, such as "msssim".
  var name: String { get }
  var title: String { get }
  /// "dB", or "" for a number without one.
  var unit: String { get }
  var isHigherBetter: Bool { get }
  /// What computes it, with its version.
  var version: String { get }
  /// Why it cannot be had on this machine; nil where it can.
  var missing: String? { get }

  /// Of two pictures of one size in 8-bit RGB; nil where it is not defined for them (too small). May be called from
  /// several threads at once.
  func measure(reference: Image, decoded: Image) throws -> Double?
}

extension ImageMeasure {
  package var record: MeasureRecord {
    MeasureRecord(
      name: name, title: title, unit: unit, isHigherBetter: isHigherBetter, version: version, missing: missing)
  }
}
