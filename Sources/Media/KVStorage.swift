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
  /// What is mapped, where that is ours.
  private let mapping: UnsafeMutableRawBufferPointer?

  /// From so many bytes on, memory is mapped in huge pages where the system has them: zeroing it in small ones takes as long as
  /// decoding into it.
  private static let mappedBytes = 8 << 20
  private static let hugePage = 2 << 20

  /// Takes `count` zeroed bytes, aligned to 64. Nil when there is no memory for them.
  package init?(zeroed count: Int) {
    if count >= Self.mappedBytes, count <= Int.max - 2 * Self.hugePage {
      let size = count + Self.hugePage
      guard let start = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), start != MAP_FAILED else {
        return nil
      }
      let aligned = start.alignedUp(toMultipleOf: Self.hugePage)
      #if os(Linux)
        // Whole ones only. Without them everything works as well.
        _ = madvise(aligned, count / Self.hugePage * Self.hugePage, MADV_HUGEPAGE)
      #endif
      mapping = UnsafeMutableRawBufferPointer(start: start, count: size)
      allocation = nil
      owner = nil
      isWritable = true
      bytes = UnsafeMutableRawBufferPointer(start: aligned, count: count)
      return
    }
    mapping = nil
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
    mapping = nil
    isWritable = false
  }

  package convenience init?(copying source: some Collection<UInt8>) {
    self.init(zeroed: source.count)
    bytes.copyBytes(from: source)
  }

  deinit {
    free(allocation)
    if let mapping { munmap(mapping.baseAddress!, mapping.count) }
  }
}
