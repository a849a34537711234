import Dispatch
import Foundation

/// One point to be measured.
struct BenchItem: Sendable {
  let file: FileRecord
  let codec: CodecRecord
  /// Of the curve, from the lowest rate up.
  let point: Int
  let setting: BenchSetting
  /// Whether others may run beside it.
  let isParallel: Bool
  /// Megapixels, or million elements.
  let size: Double
  /// A guess in seconds per unit of size.
  let secondsPerSize: Double
}

/// How far a run has come.
package struct BenchProgress: Sendable {
  package let done, total: Int
  /// 0...1, of the time that it will take.
  package let fraction: Double
}

/// Runs items on several threads, those that use all cores by themselves afterwards and alone; stops when asked to.
final class BenchEngine: @unchecked Sendable {
  private let workers: Int
  private let isStopped: @Sendable () -> Bool
  private let report: @Sendable (BenchProgress) -> Void
  private let total: Int

  private let lock = NSLock()
  // Under the lock.
  private var waiting: [BenchItem] = []
  private var next = 0
  private var done = 0
  private var estimate: BenchEstimate

  init(
    items: [BenchItem], workers: Int, isStopped: @escaping @Sendable () -> Bool,
    report: @escaping @Sendable (BenchProgress) -> Void
  ) {
    (self.workers, self.isStopped, self.report, total) = (workers, isStopped, report, items.count)
    waiting = items.filter(\.isParallel) + items.filter { !$0.isParallel }
    estimate = BenchEstimate(items, workers: workers)
  }

  /// `measure` gives nil for an item that was stopped in the middle; `finish` takes the others' results, one at a time. What
  /// `finish` throws ends the run.
  func run<R>(
    _ measure: @escaping @Sendable (BenchItem, BenchControl) -> R?, finish: @escaping (R) throws -> Void
  ) throws {
    nonisolated(unsafe) var failure: (any Error)?
    let finishing = NSLock()
    nonisolated(unsafe) let finish = finish
    let parallel = waiting.count { $0.isParallel }

    @Sendable func work(until end: Int) {
      while !isStopped() {
        lock.lock()
        guard next < end else { return lock.unlock() }
        let item = waiting[next]
        next += 1
        lock.unlock()
        let watch = Stopwatch()
        var control = BenchControl()
        control.isStopped = isStopped
        control.progress = { [self] in advance(item, $0, watch.seconds) }
        let result = measure(item, control)
        finishing.lock()
        if let result, failure == nil {
          do { try finish(result) } catch { failure = error }
        }
        let isOver = failure != nil
        finishing.unlock()
        guard result != nil, !isOver else { return }
        complete(item, seconds: watch.seconds)
      }
    }
    if parallel > 0 {
      DispatchQueue.concurrentPerform(iterations: min(workers, parallel)) { _ in work(until: parallel) }
    }
    if failure == nil { work(until: waiting.count) }
    if let failure { throw failure }
  }

  private func advance(_ item: BenchItem, _ fraction: Double, _ seconds: Double) {
    lock.lock()
    let progress = BenchProgress(done: done, total: total, fraction: estimate.fraction(within: item, fraction, seconds))
    lock.unlock()
    report(progress)
  }

  private func complete(_ item: BenchItem, seconds: Double) {
    lock.lock()
    done += 1
    estimate.complete(item, seconds: seconds)
    let progress = BenchProgress(done: done, total: total, fraction: estimate.fraction())
    lock.unlock()
    report(progress)
  }
}

/// Guesses what is left from what similar items took.
struct BenchEstimate {
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

  init(_ items: [BenchItem], workers: Int) {
    self.workers = Double(workers)
    for item in items {
      codecs[item.codec.name, default: Codec(isParallel: item.isParallel, guess: item.secondsPerSize)].sizeLeft += item.size
    }
  }

  mutating func complete(_ item: BenchItem, seconds: Double) {
    codecs[item.codec.name]?.sizeLeft -= item.size
    codecs[item.codec.name]?.sizeDone += item.size
    codecs[item.codec.name]?.secondsDone += seconds
  }

  /// 0...1 of all the time; `fraction` of `item` is done after `seconds`.
  func fraction(within item: BenchItem? = nil, _ fraction: Double = 0, _ seconds: Double = 0) -> Double {
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
