import CModels
import Networks

/// The models that this build carries.
enum Models {
  /// The model that new files use.
  static let current = Result { () throws -> HyperpriorModel in
    try HyperpriorModel(WeightsFile(parsing: Array(UnsafeRawBufferPointer(start: nc_hyperprior_1, count: nc_hyperprior_1_size))))
  }

  static let analysis = Result { () throws -> AnalysisModel in
    let bytes = Array(UnsafeRawBufferPointer(start: nc_hyperprior_1_analysis, count: nc_hyperprior_1_analysis_size))
    return try AnalysisModel(WeightsFile(parsing: bytes), for: current.get())
  }

  /// The model that a file names; throws `CodecError` (unsupported) if it is not here.
  static func decoder(_ modelID: UInt32) throws -> HyperpriorModel {
    let model = try current.get()
    guard model.modelID == modelID else {
      throw CodecError(
        .unsupported,
        "the file needs model \(hexadecimal(modelID)), this nccodec has \(hexadecimal(model.modelID)). "
          + "Use the version of nccodec that wrote the file, or a newer one.")
    }
    return model
  }

  static func hexadecimal(_ id: UInt32) -> String {
    let digits = String(id, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}
