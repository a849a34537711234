import Glibc
import Synchronization

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
  /// Bytes of the allocation that count as `Scratch.held`.
  private var heldBytes = 0
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

  /// Takes `count` zeroed bytes for what may in all be more than memory: a quarter of it from the heap, the rest from files without
  /// a name in $TMPDIR or /var/tmp, whose pages the kernel can write out. Nil when there is room in neither.
  package convenience init?(scratch count: Int) {
    guard count >= 0 else { return nil }
    if !Scratch.takes(count), count > 0, let file = Scratch(count) {
      self.init(file)
    } else {
      self.init(zeroed: count)
      Scratch.held.add(count, ordering: .relaxed)
      heldBytes = count
    }
  }

  private init(_ file: Scratch) {
    (bytes, owner, allocation, mapping, isWritable) = (file.bytes, file, nil, nil, true)
  }

  deinit {
    free(allocation)
    if let mapping { munmap(mapping.baseAddress!, mapping.count) }
    if heldBytes > 0 { Scratch.held.subtract(heldBytes, ordering: .relaxed) }
  }
}

/// Bytes of a file that has no name any more and goes with them.
private final class Scratch {
  /// Bytes of scratch that are on the heap.
  static let held = Atomic<Int>(0)
  /// A quarter of what the process may have.
  private static let heapBytes: Int = {
    var most = max(0, sysconf(Int32(_SC_PHYS_PAGES))) * max(0, sysconf(Int32(_SC_PAGESIZE)))
    for resource in [RLIMIT_DATA, RLIMIT_AS] {
      var limit = rlimit()
      if getrlimit(__rlimit_resource_t(resource.rawValue), &limit) == 0, limit.rlim_cur < rlim_t(most) { most = Int(limit.rlim_cur) }
    }
    return most / 4
  }()

  static func takes(_ count: Int) -> Bool { count <= heapBytes - held.load(ordering: .relaxed) }

  let bytes: UnsafeMutableRawBufferPointer

  /// Nil where the disk lacks the room, which is taken now: writing to a page without it would end the process.
  init?(_ count: Int) {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp"
    var name = Array("\(folder)/nccodec-XXXXXX".utf8CString)
    let descriptor = mkstemp(&name)
    guard descriptor >= 0 else { return nil }
    unlink(name)
    defer { close(descriptor) }
    guard posix_fallocate(descriptor, 0, off_t(count)) == 0,
      let start = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), start != MAP_FAILED
    else { return nil }
    bytes = UnsafeMutableRawBufferPointer(start: start, count: count)
  }

  deinit { munmap(bytes.baseAddress, bytes.count) }
}
