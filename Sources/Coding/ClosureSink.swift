import Bitstream

/// Hands a file's bytes to a closure, and remembers what that threw.
package struct ClosureSink: ByteSink {
  /// What is known of a sink while a writer owns it.
  package final class Record {
    package fileprivate(set) var byteCount = 0
    /// What the closure threw.
    fileprivate var error: (any Error)?

    package init() {}

    /// What the writer's error came from: the closure's own, or `CodecError`.
    package func explained(_ error: BitstreamError) -> any Error {
      self.error ?? CodecError(error.code == .inputOutput ? .inputOutput : .invalidOption, error.description)
    }
  }

  private let handle: ([UInt8]) throws -> Void
  private let record: Record
  package var byteCount: Int { record.byteCount }

  package init(_ handle: @escaping ([UInt8]) throws -> Void, _ record: Record) { (self.handle, self.record) = (handle, record) }

  package mutating func write(_ bytes: ArraySlice<UInt8>) throws(BitstreamError) {
    do {
      try handle(Array(bytes))
    } catch {
      record.error = error
      throw BitstreamError(.inputOutput, at: byteCount, in: "", "\(error)")
    }
    record.byteCount += bytes.count
  }
}
