/// How far an encoding or decoding has come.
public struct CodingProgress: Sendable, Equatable {
  /// Of a picture that is being fitted.
  public struct Fit: Sendable, Equatable {
    /// Iterations done, and how many there will be.
    public let iteration: Int
    public let iterations: Int
    /// Of the last iteration, under its noise: mean squared error + lambda * bits per pixel.
    public let loss: Double
    /// Of the loss at this moment.
    public let lambda: Double
    /// What a file would have had at the last evaluation, when latents were rounded as they are for good; nil before the
    /// first.
    public let bitsPerPixel: Double?
    /// In dB, likewise.
    public let psnr: Double?

    package init(
      iteration: Int, iterations: Int, loss: Double, lambda: Double, bitsPerPixel: Double?, psnr: Double?
    ) {
      (self.iteration, self.iterations, self.loss, self.lambda) = (iteration, iterations, loss, lambda)
      (self.bitsPerPixel, self.psnr) = (bitsPerPixel, psnr)
    }
  }

  /// Of a video, of which one segment after the other is fitted.
  public struct Segment: Sendable, Equatable {
    /// From 1 on, and how many there will be; nil where the video's length is not known.
    public let number: Int
    public let count: Int?
    /// Numbers of its frames in the video.
    public let frames: Range<Int>
    /// Done, and how many there will be.
    public let epoch: Int
    public let epochs: Int
    public let iteration: Int
    public let iterations: Int
    /// In dB, of frames as they were fitted last; nil before the first.
    public let psnr: Double?
    /// What the whole file may have, or up to this segment's end where the video's length is not known; nil before the first estimate.
    public let byteCount: Int?

    package init(
      number: Int, count: Int?, frames: Range<Int>, epoch: Int, epochs: Int, iteration: Int, iterations: Int, psnr: Double?, byteCount: Int?
    ) {
      (self.number, self.count, self.frames) = (number, count, frames)
      (self.epoch, self.epochs, self.iteration, self.iterations) = (epoch, epochs, iteration, iterations)
      (self.psnr, self.byteCount) = (psnr, byteCount)
    }
  }

  /// 0...1
  public let fraction: Double
  /// What is being done, such as "synthesis".
  public let stage: String
  /// Estimate of what is left; nil where the codec makes none.
  public let secondsLeft: Double?
  public let fit: Fit?
  public let segment: Segment?

  package init(fraction: Double, stage: String, secondsLeft: Double? = nil, fit: Fit? = nil, segment: Segment? = nil) {
    (self.fraction, self.stage, self.secondsLeft, self.fit, self.segment) = (fraction, stage, secondsLeft, fit, segment)
  }
}

/// Reports steps of known weight, and stops where the surrounding task was cancelled.
package struct ProgressReporter {
  package let report: (@Sendable (CodingProgress) -> Void)?

  package init(report: (@Sendable (CodingProgress) -> Void)?) { self.report = report }

  /// Throws `CancellationError` if the task that runs this was cancelled.
  package func at(_ fraction: Double, _ stage: String) throws {
    try Task.checkCancellation()
    report?(CodingProgress(fraction: fraction, stage: stage))
  }
}
