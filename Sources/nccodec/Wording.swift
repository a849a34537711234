import ArgumentParser
import Glibc
import NeuralCodecs

extension Image {
  /// Such as "768x512 RGB with alpha".
  var sizeAndColour: String {
    "\(width)x\(height) \(colour == .grey ? "grey" : "RGB")\(alpha == nil ? "" : " with alpha")"
  }
}

/// A number with that many digits after the point, the same in every locale.
func fixed(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite, abs(value) < 1e12 else { return "\(value)" }
  let scale = pow(10, Double(digits))
  let whole = Int((abs(value) * scale).rounded())
  let text = String(repeating: "0", count: max(0, digits + 1 - "\(whole)".count)) + "\(whole)"
  return (value < 0 && whole > 0 ? "-" : "") + text.dropLast(digits) + "." + text.suffix(digits)
}

/// A positive number with that many digits that mean something, never in powers of ten above 1e-9.
func significant(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite, value > 1e-9 else { return "\(value)" }
  return fixed(value, max(0, digits - 1 - Int(log10(value).rounded(.down))))
}

func decibels(_ psnr: Double) -> String { psnr == .infinity ? "infinite (lossless)" : "\(fixed(psnr, 2)) dB" }

extension ParsableCommand {
  func validate(threads: Int?) throws {
    if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads \(threads) is not in 1...1024.") }
  }
}
