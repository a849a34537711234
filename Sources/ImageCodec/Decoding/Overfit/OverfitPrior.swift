import Coding

/// What is expected of each parameter before anything is read: a value, and how far from it the parameter may be
/// beside others of its group.
// bitstream-spec 9.3
package struct OverfitPrior: Sendable, Equatable {
  /// The track header's model.
  package let modelID: UInt32
  /// By parameter, in 2^-16; magnitudes at most 2^24.
  package let values: [Int32]
  /// By parameter: added to its group's base to give its scale index.
  package let offsets: [Int8]

  package init(modelID: UInt32, values: [Int32], offsets: [Int8]) {
    precondition(values.count == offsets.count && values.allSatisfy { $0.magnitude <= 1 << 24 })
    self.modelID = modelID
    self.values = values
    self.offsets = offsets
  }

  /// The bicubic filter's free numbers in 2^-16.
  package static let bicubic: [Int32] = [-2304, -6912, 17152, 57600]

  /// Model 0: zeros, but upsampling by the bicubic filter and nothing done to new grids but their doubling by the
  /// identity: where fits start.
  package init(noneFor architecture: OverfitArchitecture) {
    var values = [Int32](repeating: 0, count: architecture.parameterCount)
    for tensor in architecture.tensors {
      switch tensor.role {
      case .doubling: values.replaceSubrange(tensor.range, with: Self.bicubic)
      case .filter: values[tensor.range.upperBound - 1] = 1 << 16
      default: break
      }
    }
    self.init(modelID: 0, values: values, offsets: [Int8](repeating: 0, count: values.count))
  }

  /// The prior that a file names. Throws `CodecError` (unsupported) where this build has none of that id.
  package init(modelID: UInt32, for architecture: OverfitArchitecture) throws(CodecError) {
    guard modelID != 0 else {
      self.init(noneFor: architecture)
      return
    }
    guard let table = OverfitPriorTables.table(modelID, architecture) else {
      throw CodecError(
        .unsupported,
        "the file needs model \(modelID) of the overfitted image codec for networks that this nccodec has none for. Use a newer version.")
    }
    self.init(modelID: modelID, values: table.values, offsets: table.offsets)
  }

  /// Parameter `i`'s value in steps of 2^-step.
  func integer(_ i: Int, step: Int) -> Int {
    (Int(values[i]) + (1 << (15 - step))) >> (16 - step)
  }
}
