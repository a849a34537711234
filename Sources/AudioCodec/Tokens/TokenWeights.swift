import Bitstream
import CModels
import Networks

extension WeightsFile {
  /// The encoder's part of codec 6's model. Throws `WeightsError`.
  static func analysis() throws(WeightsError) -> WeightsFile { try shipped(nc_tokens_1_analysis()) }
  /// The decoder's part.
  static func synthesis() throws(WeightsError) -> WeightsFile { try shipped(nc_tokens_1()) }

  private static func shipped(_ weights: nc_weights) throws(WeightsError) -> WeightsFile {
    let file = try WeightsFile(parsing: [UInt8](UnsafeRawBufferPointer(start: weights.bytes, count: weights.count)))
    guard file.codec == UInt8(CodecID.tokenAudio), file.modelID == TokenGeometry.modelID else {
      throw WeightsError(.unsupported, "model", "it is \(file.modelID) of codec \(file.codec)")
    }
    return file
  }
}
