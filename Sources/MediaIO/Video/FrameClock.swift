import Media

/// Gives frames their times, strictly ascending.
///
/// A frame has the time that the file says (libavcodec's best guess where only decoding times are known). Where there is none, it begins when
/// the one before ends, the first at 0. A time that does not come after the one before becomes the next tick after it.
package struct FrameClock: Sendable {
  /// Streams without any times: each frame a tick.
  package let isCounting: Bool
  /// Ticks of a frame of which nothing is said.
  private let usual: Int64
  private var last: (time: Int64, duration: Int64)?
  package private(set) var missing = 0
  package private(set) var moved = 0

  package init(isCounting: Bool, usual: Int64) { (self.isCounting, self.usual) = (isCounting, min(max(1, usual), 1 << 36)) }

  /// The time of the next frame, and how long it lasts if no other comes. `duration`: 0 where not said.
  package mutating func place(_ stated: Int64?, duration: Int64) -> (time: Int64, duration: Int64) {
    var placed = (time: last.map { $0.time + $0.duration } ?? 0, duration: (1..<1 << 36).contains(duration) ? duration : usual)
    if isCounting {
      placed.duration = 1
    } else if let stated, abs(stated) < 1 << 60 {
      placed.time = stated
    } else {
      missing += 1
    }
    if let last, placed.time <= last.time {
      placed.time = last.time + 1
      moved += 1
    }
    last = placed
    return placed
  }
}
