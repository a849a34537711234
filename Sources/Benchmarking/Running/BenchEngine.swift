import Dispatch
import Synchronization

/// One point to be measured.
package struct BenchItem: Sendable {
  package let file: FileRecord
  package let codec: CodecRecord
  /// Of the curve, from the lowest rate up.
  package let point: Int
  package let setting: BenchSetting
  /// Whether others may run beside it.
  package let isParallel: Bool
  /// Megapixels, or million elements.
  package let size: Double
  /// A guess in seconds per unit of size.
  package let secondsPerSize: Double
}

/// How far a run has come.
package struct BenchProgress: Sendable {
  package let done, total: Int
  /// 0...1, of the time that it will take.
  package let fraction: Double
}

/// Runs items on several threads, those that use all cores by themselves afterwards and alone; stops when asked to.
package final class BenchEngine: Sendable {
  private struct State {
    var next = 0
    var done = 0
    var estimate: BenchEstimate
    var failure: (any Error)?
  }

  /// Those that run beside each other, then the others.
  private let items: [BenchItem]
  private let workers: Int
  private let isStopped: @Sendable () -> Bool
  private let report: @Sendable (BenchProgress) -> Void
  private let state: Mutex<State>
  /// Held while a result is handed over.
  private let finishing = Mutex<Void>(())

  package init(
    items: [BenchItem], workers: Int, isStopped: @escaping @Sendable () -> Bool,
    report: @escaping @Sendable (BenchProgress) -> Void
  ) {
    self.items = items.filter(\.isParallel) + items.filter { !$0.isParallel }
    (self.workers, self.isStopped, self.report) = (workers, isStopped, report)
    state = Mutex(State(estimate: BenchEstimate(items, workers: workers)))
  }

  /// `measure` gives nil for an item that was stopped in the middle; `finish` takes the others' results, one at a time. What
  /// `finish` throws ends the run.
  package func run<R: Sendable>(
    _ measure: @escaping @Sendable (BenchItem, BenchControl) -> R?, finish: @escaping (R) throws -> Void
  ) throws {
    // Called under `finishing` alone.
    nonisolated(unsafe) let finish = finish
    let parallel = items.count { $0.isParallel }
    @Sendable func work(until end: Int) {
      while !isStopped() {
        let item: BenchItem? = state.withLock { state in
          guard state.next < end, state.failure == nil else { return nil }
          state.next += 1
          return items[state.next - 1]
        }
        guard let item else { return }
        let watch = Stopwatch()
        var control = BenchControl()
        control.isStopped = isStopped
        control.progress = { [self] fraction in advance(item, fraction, watch.seconds) }
        guard let result = measure(item, control) else { return }
        finishing.withLock { _ in
          do { try finish(result) } catch { state.withLock { $0.failure = error } }
        }
        complete(item, seconds: watch.seconds)
      }
    }
    if parallel > 0 {
      DispatchQueue.concurrentPerform(iterations: min(workers, parallel)) { _ in work(until: parallel) }
    }
    work(until: items.count)
    if let failure = state.withLock({ $0.failure }) { throw failure }
  }

  private func advance(_ item: BenchItem, _ fraction: Double, _ seconds: Double) {
    report(
      state.withLock {
        BenchProgress(done: $0.done, total: items.count, fraction: $0.estimate.fraction(within: item, fraction, seconds))
      })
  }

  private func complete(_ item: BenchItem, seconds: Double) {
    report(
      state.withLock {
        $0.done += 1
        $0.estimate.complete(item, seconds: seconds)
        return BenchProgress(done: $0.done, total: items.count, fraction: $0.estimate.fraction())
      })
  }
}

/// Guesses what is left from what similar items took.
package struct BenchEstimate {
  private struct Codec {
    var isParallel: Bool
    var guess: Double
    /// Of those that are left, and of those done.
    var sizeLeft = 0.0
    var sizeDone = 0.0
    var secondsDone = 0.0

    var secondsPerSize: Double { sizeDone > 0 ? secondsDone / sizeDone : guess }
  }

  private let watch = Stopwatch()
  private let workers: Double
  private var codecs: [String: Codec] = [:]

  package init(_ items: [BenchItem], workers: Int) {
    self.workers = Double(workers)
    for item in items {
      codecs[item.codec.name, default: Codec(isParallel: item.isParallel, guess: item.secondsPerSize)].sizeLeft += item.size
    }
  }

  package mutating func complete(_ item: BenchItem, seconds: Double) {
    codecs[item.codec.name]?.sizeLeft -= item.size
    codecs[item.codec.name]?.sizeDone += item.size
    codecs[item.codec.name]?.secondsDone += seconds
  }

  /// 0...1 of all the time; `fraction` of `item` is done after `seconds`.
  package func fraction(within item: BenchItem? = nil, _ fraction: Double = 0, _ seconds: Double = 0) -> Double {
    var left = 0.0
    for (name, codec) in codecs {
      var perSize = codec.secondsPerSize
      var size = max(codec.sizeLeft, 0)
      if let item, item.codec.name == name, fraction > 0.02 {
        if codec.sizeDone == 0 { perSize = seconds / fraction / max(item.size, 1e-9) }
        size -= item.size * fraction
      }
      left += max(size, 0) * perSize / (codec.isParallel ? workers : 1)
    }
    let passed = watch.seconds
    return passed + left > 0 ? passed / (passed + left) : 1
  }
}
