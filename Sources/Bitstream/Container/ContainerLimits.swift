/// What a reader accepts before it takes memory or time. The defaults are safe for files from anywhere.
package struct ContainerLimits: Equatable, Sendable {
  /// Bytes of a whole file.
  package var maxFileBytes: Int
  /// Bytes of one chunk's payload.
  package var maxChunkBytes: Int
  package var maxChunks: Int
  package var maxTracks: Int
  /// Bytes of the payloads of all metadata chunks together.
  package var maxMetadataBytes: Int
  /// Pixels of a picture.
  package var maxPixels: Int
  /// Bytes that a decoder may take for the samples and intermediate values of what a file declares.
  package var maxMemory: Int

  package init(
    maxFileBytes: Int = 1 << 36, maxChunkBytes: Int = 1 << 28, maxChunks: Int = 1 << 18, maxTracks: Int = 64,
    maxMetadataBytes: Int = 1 << 24, maxPixels: Int = 1 << 27, maxMemory: Int = 4 << 30
  ) {
    self.maxFileBytes = maxFileBytes
    self.maxChunkBytes = maxChunkBytes
    self.maxChunks = maxChunks
    self.maxTracks = maxTracks
    self.maxMetadataBytes = maxMetadataBytes
    self.maxPixels = maxPixels
    self.maxMemory = maxMemory
  }

  /// Throws `limitExceeded` if a picture of positive `width` and `height` has too many pixels.
  package func check(width: Int, height: Int, in element: String) throws(BitstreamError) {
    let (pixels, overflow) = width.multipliedReportingOverflow(by: height)
    guard !overflow, pixels <= maxPixels else {
      throw BitstreamError(
        .limitExceeded, at: nil, in: element, "\(width) x \(height) pixels are more than the \(maxPixels) allowed")
    }
  }

  /// Throws `limitExceeded` if `bytes`, what decoding would take, is too much.
  package func check(memory bytes: Int, in element: String) throws(BitstreamError) {
    guard bytes <= maxMemory else {
      throw BitstreamError(
        .limitExceeded, at: nil, in: element, "\(bytes) bytes of memory are more than the \(maxMemory) allowed")
    }
  }
}
