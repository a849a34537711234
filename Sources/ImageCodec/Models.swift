import CModels
import Coding
import Networks

/// The models that this build carries.
enum Models {
  /// The model that new files use.
  static let current = Result { try HyperpriorModel(WeightsFile(parsing: bytes(nc_hyperprior_1()))) }

  static let analysis = Result {
    try AnalysisModel(WeightsFile(parsing: bytes(nc_hyperprior_1_analysis())), for: current.get())
  }

  private static func bytes(_ weights: nc_weights) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: weights.bytes, count: weights.count))
  }

  /// The model that a file names; throws `CodecError` (unsupported) if it is not here.
  static func decoder(_ modelID: UInt32) throws -> HyperpriorModel {
    let model = try current.get()
    guard model.modelID == modelID else {
      throw CodecError(
        .unsupported,
        "the file needs model \(modelID), this nccodec has \(model.modelID). "
          + "Use the version of nccodec that wrote the file, or a newer one.")
    }
    return model
  }
}
