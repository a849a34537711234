import CKernels
import Coding

/// A linear layer over planes in the form of the kernels, checked so that no sum can overflow.
// bitstream-spec 9.4
final class OverfitLayer: @unchecked Sendable {
  /// Points at memory that this object owns and never changes.
  let view: nc_overfit_layer

  private let weights: UnsafeMutablePointer<Int16>
  private let bias: UnsafeMutablePointer<Int32>
  private let shift: UnsafeMutablePointer<Int32>

  /// Where one output's sum goes: bias in units of the sum, rounding included, and shift.
  struct Output {
    var weights: [Int]
    var bias: Int
    var shift: Int

    /// Half a unit of the result is added, so that the shift rounds to nearest.
    init(weights: [Int], bias: Int, shift: Int) {
      self.weights = weights
      self.bias = bias + (shift > 0 && shift <= 30 ? 1 << (shift - 1) : 0)
      self.shift = shift
    }
  }

  /// Throws `CodecError` (malformed) where a sum could leave int32: for each output the weights' magnitudes shall sum
  /// to at most 32767, the bias lie within 2^30 and the shift in 0...30.
  init(_ outputs: [Output], name: String) throws(CodecError) {
    let inputs = outputs[0].weights.count
    precondition(inputs >= 1 && inputs <= Int(NC_OVERFIT_MAX_INPUTS) && outputs.allSatisfy { $0.weights.count == inputs })
    for (number, output) in outputs.enumerated() {
      guard output.weights.reduce(0, { $0 + abs($1) }) <= 32767, abs(output.bias) <= 1 << 30,
        (0...30).contains(output.shift)
      else {
        throw CodecError(
          .malformed, "the picture's network is damaged: \(name), output \(number), could overflow. "
            + "Get the file again from where it came from.")
      }
    }
    let pairs = (inputs + 1) / 2
    weights = .allocate(capacity: outputs.count * pairs * 2)
    bias = .allocate(capacity: outputs.count)
    shift = .allocate(capacity: outputs.count)
    for (o, output) in outputs.enumerated() {
      for i in 0..<2 * pairs { weights[o * pairs * 2 + i] = i < inputs ? Int16(output.weights[i]) : 0 }
      bias[o] = Int32(output.bias)
      shift[o] = Int32(output.shift)
    }
    view = nc_overfit_layer(
      inputs: Int32(inputs), outputs: Int32(outputs.count), weights: weights, bias: bias, shift: shift)
  }

  deinit {
    weights.deallocate()
    bias.deallocate()
    shift.deallocate()
  }

  /// A bias of `step` fraction bits in a sum of `unit` fraction bits; rounded where those are fewer.
  static func align(_ bias: Int, step: Int, unit: Int) -> Int {
    unit >= step ? bias << (unit - step) : (bias + (1 << (step - unit - 1))) >> (step - unit)
  }
}

/// The linear kernel of one SIMD level.
package struct OverfitKernel: @unchecked Sendable {
  // A function that never goes away.
  let linear: nc_overfit_linear

  package static let current = OverfitKernel(linear: nc_overfit_linear_at(nc_kernels_current().pointee.level)!)

  /// The kernel of a level of `Tensors.Kernels.Level`; nil where this CPU lacks it.
  package static func at(level: Int32) -> OverfitKernel? {
    nc_overfit_linear_at(level).map { OverfitKernel(linear: $0) }
  }
}
