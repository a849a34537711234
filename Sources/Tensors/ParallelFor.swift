import Dispatch
import Synchronization

/// Runs `body(0)` to `body(count - 1)`, each once, on up to `threads` threads (the caller's among them), and returns
/// when all are done. Which thread takes which index is chance, so a body must not depend on it; work is cut into
/// pieces that depend on the shapes alone, and so results never depend on `threads`. One thread, or one index, runs
/// inline in order.
///
/// `body` and `isCancelled` are called from several threads at once: two indices must not write the same memory.
/// `isCancelled` is asked before each index; once true, no further index starts.
/// - Returns: whether every index ran.
@discardableResult
package func parallelFor(
  _ count: Int, threads: Int, isCancelled: (() -> Bool)? = nil, body: (Int) -> Void
) -> Bool {
  precondition(count >= 0 && threads >= 1, "parallelFor needs a count and at least one thread")
  if threads == 1 || count <= 1 {
    for i in 0..<count {
      if let isCancelled, isCancelled() { return false }
      body(i)
    }
    return true
  }
  let next = Atomic(0)
  let stopped = Atomic(false)
  withoutActuallyEscaping(body) { body in
    // Kernels work on raw pointers, which are not Sendable: that indices touch disjoint memory is the body's promise.
    nonisolated(unsafe) let body = body
    nonisolated(unsafe) let isCancelled = isCancelled
    DispatchQueue.concurrentPerform(iterations: min(threads, count)) { _ in
      while !stopped.load(ordering: .relaxed) {
        let i = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if i >= count { return }
        if let isCancelled, isCancelled() {
          stopped.store(true, ordering: .relaxed)
          return
        }
        body(i)
      }
    }
  }
  return !stopped.load(ordering: .relaxed)
}

/// [0, count) cut into bands of `size`; the last may be shorter.
package struct Bands {
  package let count: Int
  package let size: Int
  package init(count: Int, size: Int) { (self.count, self.size) = (count, size) }
  package var number: Int { (count + size - 1) / size }
  package func range(_ i: Int) -> Range<Int> { i * size..<min((i + 1) * size, count) }

  /// Bands of positions for a pointwise layer: a few hundred, enough to repay a dispatch.
  static func positions(_ count: Int) -> Bands { Bands(count: count, size: 384) }
  /// Bands of rows that hold a few hundred positions each.
  static func rows(_ rows: Int, width: Int) -> Bands { Bands(count: rows, size: max(1, 384 / max(width, 1))) }
}
