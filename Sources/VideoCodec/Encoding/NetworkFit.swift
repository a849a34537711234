/// A segment's network or networks being fitted to its frames. The result does not depend on threads.
package protocol NetworkFit: AnyObject {
  /// Done, and in all.
  var iteration: Int { get }
  var iterations: Int { get }
  /// In dB: mean over frames, as they were when they were seen last.
  var psnr: Double { get }
  /// Estimate of what all that is kept takes; nil before anything is rounded.
  var bits: Double? { get }
  /// What a bit costs at present.
  var lambda: Double { get }
  func step(threads: Int)
  /// In integers, of what the steps so far have come to.
  func segment(threads: Int) -> NeRVSegment
  /// All that a fit of the same frames and settings needs to go on; the inverse is `restore(_:)`.
  var state: [UInt8] { get }
  /// Goes on from a state. False for one of other frames or settings; the fit is of no use then.
  func restore(_ state: ArraySlice<UInt8>) -> Bool
}

extension NetworkFit {
  package var isDone: Bool { iteration >= iterations }
}
