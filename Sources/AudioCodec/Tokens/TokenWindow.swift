import Glibc

/// The window of a frame's analysis and synthesis: a Hann window of one period.
// bitstream-spec 12.5
enum TokenWindow {
  static let values: [Float] = (0..<TokenGeometry.window).map { n in
    Float(0.5 - 0.5 * cos(2 * Double.pi * Double(n) / Double(TokenGeometry.window)))
  }
  static let fourier = RealFourier(TokenGeometry.window)
}
