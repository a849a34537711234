import Glibc

/// Bytes that tensors share: allocated here, or borrowed from what owns them, such as a mapped file.
///
/// A cache on disk may be larger than memory, so its tensors view the mapping, whose pages come and go, and copy nothing.
package final class KVStorage: @unchecked Sendable {
  /// Read-only content where `isWritable` is false: writing to a mapped file's bytes ends the process.
  package let bytes: UnsafeMutableRawBufferPointer
  package let isWritable: Bool
  /// Keeps borrowed bytes alive; nil where `allocation` is ours.
  private let owner: AnyObject?
  private let allocation: UnsafeMutableRawPointer?

  /// Takes `count` zeroed bytes, aligned to 64. Nil when there is no memory for them.
  package init?(zeroed count: Int) {
    // calloc gets large blocks from the kernel, already zero, and touches none of them.
    guard count >= 0, count <= Int.max - 64, let start = calloc(count + 64, 1) else { return nil }
    allocation = start
    owner = nil
    isWritable = true
    bytes = UnsafeMutableRawBufferPointer(start: start.alignedUp(toMultipleOf: 64), count: count)
  }

  /// Borrows read-only bytes that live as long as `owner`.
  package init(_ bytes: UnsafeRawBufferPointer, owner: AnyObject) {
    self.bytes = UnsafeMutableRawBufferPointer(mutating: bytes)
    self.owner = owner
    allocation = nil
    isWritable = false
  }

  package convenience init?(copying source: some Collection<UInt8>) {
    self.init(zeroed: source.count)
    bytes.copyBytes(from: source)
  }

  deinit { free(allocation) }
}
