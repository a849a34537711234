import Glibc
import MediaIO
import Synchronization

/// Ctrl-C as a wish: the first is remembered, the second ends the process as any does.
enum Interrupt {
  private static let flag = Atomic<Bool>(false)

  static var hasHappened: Bool { flag.load(ordering: .relaxed) }

  /// To be called after `AtomicFile.removeTemporariesOnSignals`. Where SIGINT is ignored it stays so.
  static func letFirstPass() {
    // The handler must not be the first to touch the flag.
    _ = hasHappened
    let before = signal(SIGINT, SIG_IGN)
    if unsafeBitCast(before, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self) { return }
    signal(SIGINT) { number in
      if Interrupt.flag.exchange(true, ordering: .relaxed) {
        AtomicFile.removeTemporaries()
        signal(number, SIG_DFL)
        raise(number)
      }
    }
  }
}
