import Glibc

/// Whose processor time counts.
package enum ProcessorClock: Sendable {
  /// The calling thread's.
  case thread
  /// The whole process's, in which nothing else may run meanwhile.
  case process
  /// Nobody's, as it cannot be told apart.
  case none
}

/// Wall time and processor time, in seconds.
package struct Stopwatch {
  private let wall = Stopwatch.now(CLOCK_MONOTONIC)
  private let processor = Stopwatch.now(CLOCK_THREAD_CPUTIME_ID)
  private let process = Stopwatch.processSeconds

  package var seconds: Double { Self.now(CLOCK_MONOTONIC) - wall }
  /// The calling thread's.
  package var cpuSeconds: Double { Self.now(CLOCK_THREAD_CPUTIME_ID) - processor }

  /// Nil of `none`.
  package func cpuSeconds(_ clock: ProcessorClock) -> Double? {
    switch clock {
    case .thread: cpuSeconds
    case .process: Self.processSeconds - process
    case .none: nil
    }
  }

  package static func now(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }

  /// Processor time of the whole process so far.
  package static var processSeconds: Double { now(CLOCK_PROCESS_CPUTIME_ID) }
}

/// What is done while something else is timed, by the same thread, and is in none of its times.
package final class Pauses {
  package private(set) var seconds = 0.0
  package private(set) var cpuSeconds = 0.0

  package init() {}

  package func during<R>(_ body: () throws -> R) rethrows -> R {
    let watch = Stopwatch()
    defer {
      seconds += watch.seconds
      cpuSeconds += watch.cpuSeconds
    }
    return try body()
  }
}

/// Times of one direction, one per repetition.
package struct Timing: Codable, Sendable, Equatable {
  package var seconds: [Double] = []
  /// Empty where the work was not the calling thread's alone, nor the process's.
  package var cpuSeconds: [Double] = []

  /// Runs `body` that many times, less its `pauses`, and returns what it gave the last time.
  package mutating func measure<R>(_ repetitions: Int, clock: ProcessorClock, pauses: Pauses? = nil, _ body: () throws -> R) throws -> R {
    var result: R
    var left = max(repetitions, 1)
    repeat {
      let before = (pauses?.seconds ?? 0, pauses?.cpuSeconds ?? 0)
      let watch = Stopwatch()
      result = try body()
      let (wall, processor) = (watch.seconds, watch.cpuSeconds(clock))
      seconds.append(max(0, wall - (pauses?.seconds ?? 0) + before.0))
      if let processor { cpuSeconds.append(max(0, processor - (pauses?.cpuSeconds ?? 0) + before.1)) }
      left -= 1
    } while left > 0
    return result
  }
}
