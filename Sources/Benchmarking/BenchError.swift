import Glibc

/// Why a benchmark cannot be run, or a measurement failed: in one sentence, for people.
package struct BenchError: Error, Sendable, Equatable, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }
}

/// A number with that many digits after the point, without zeros at the end, the same in every locale.
package func decimal(_ value: Double, digits: Int) -> String {
  guard value.isFinite else { return "\(value)" }
  var text = fixed(value, digits)
  if text.contains(".") {
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
  }
  return text == "-0" ? "0" : text
}

/// A number with exactly that many digits after the point.
package func fixed(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
  let whole = Int((abs(value) * pow(10, Double(digits))).rounded())
  let text = String(repeating: "0", count: max(0, digits + 1 - "\(whole)".count)) + "\(whole)"
  let point = digits > 0 ? "." : ""
  return (value < 0 && whole > 0 ? "-" : "") + text.dropLast(digits) + point + text.suffix(digits)
}
