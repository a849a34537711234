import Glibc

/// Wall time and the calling thread's processor time, in seconds.
package struct Stopwatch {
  private let wall = Stopwatch.now(CLOCK_MONOTONIC)
  private let processor = Stopwatch.now(CLOCK_THREAD_CPUTIME_ID)

  package var seconds: Double { Self.now(CLOCK_MONOTONIC) - wall }
  package var cpuSeconds: Double { Self.now(CLOCK_THREAD_CPUTIME_ID) - processor }

  package static func now(_ clock: clockid_t) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }

  /// Processor time of the whole process so far.
  package static var processSeconds: Double { now(CLOCK_PROCESS_CPUTIME_ID) }
}

/// Times of one direction, one per repetition.
package struct Timing: Codable, Sendable, Equatable {
  package var seconds: [Double] = []
  /// Empty where the work was not the calling thread's alone.
  package var cpuSeconds: [Double] = []

  /// Runs `body` that many times and returns what it gave the last time.
  package mutating func measure<R>(_ repetitions: Int, threadOnly: Bool, _ body: () throws -> R) throws -> R {
    var result: R
    var left = max(repetitions, 1)
    repeat {
      let watch = Stopwatch()
      result = try body()
      seconds.append(watch.seconds)
      if threadOnly { cpuSeconds.append(watch.cpuSeconds) }
      left -= 1
    } while left > 0
    return result
  }
}
