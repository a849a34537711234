import CKernels
import Tensors

/// Rounding that a gradient passes: y = softround(softround(x * gain, T) + noise, T) with
/// softround(x, T) = floor(x) + 1/2 + tanh((x - floor(x) - 1/2) / T) / (2 tanh(1 / (2 T))) (Agustsson & Theis 2020).
///
/// The noise has zero mean and deviation `sigma`: the sum of four uniform numbers, drawn from a hash of the seed, the
/// iteration and the element, so the same at any thread count and SIMD level. Its largest value is 3.46 sigma.
package final class SoftRound: Operation {
  package enum Mode: Sendable {
    /// The soft function with noise, and its derivative.
    case soft
    /// round(x * gain) (ties to even) with the derivative of softround at x * gain.
    case hard
    /// round(x * gain); no gradient.
    case plain
  }

  package let x: Variable
  package let y: Variable
  // These may change between runs.
  package var mode = Mode.soft
  /// T: the smaller, the harder the rounding; below 1/80 as at 1/80.
  package var temperature: Float = 0.3
  /// Deviation of the noise, in units of y.
  package var sigma: Float = 0
  /// Latents are kept divided by this.
  package var gain: Float

  private let seed: UInt64
  private let slope: Variable
  private let bands: RowBands

  /// - Parameter y: where to store, shaped as x (a view of joined planes, say); nil makes one.
  package init(_ x: Variable, into y: Variable? = nil, gain: Float = 1, seed: UInt64) {
    self.x = x
    self.y = y ?? Variable("round \(x.name)", channels: x.channels, height: x.height, width: x.width)
    precondition(self.y.hasShape(of: x), "rounding keeps the shape")
    self.gain = gain
    self.seed = seed
    slope = Variable(
      "slope \(x.name)", channels: x.channels, height: x.height, width: x.width, hasGradient: false)
    bands = RowBands(x)
  }

  package var targets: [Variable] { x.gradient == nil ? [] : [x] }

  package func forward(_ pass: Pass) {
    var options = nc_soft_round()
    options.mode = mode == .soft ? 0 : mode == .hard ? 1 : 2
    options.gain = gain
    options.temperature = temperature
    options.sigma = sigma
    options.seed = seed
    options.iteration = UInt64(truncatingIfNeeded: pass.iteration)
    let wantsSlope = pass.trains && x.gradient != nil
    bands.forEach(threads: pass.threads) { _, c, rows in
      let at = x.offset(channel: c, row: rows.lowerBound)
      withUnsafePointer(to: options) { o in
        pass.kernels.pointee.soft_round(
          o, x.value + at, y.value + y.offset(channel: c, row: rows.lowerBound), wantsSlope ? slope.value + at : nil,
          x.pitch, x.width, rows.count, UInt64((c * x.height + rows.lowerBound) * x.width))
      }
    }
  }

  package func backward(_ pass: Pass) {
    guard let gx = x.gradient else { return }
    let adds = pass.accumulates(0)
    if mode == .plain {
      if !adds { x.zeroGradient() }
      return
    }
    let gy = y.gradient!
    bands.forEach(threads: pass.threads) { _, c, rows in
      let at = x.offset(channel: c, row: rows.lowerBound)
      pass.kernels.pointee.multiply(slope.value + at, gy + at, gx + at, x.pitch, x.width, rows.count, adds)
    }
  }
}
