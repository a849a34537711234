import CKernels
import CZlib

/// CRC-32 as in PNG and zlib (reflected polynomial 0xEDB88320): vectors do what they can, zlib the rest.
// bitstream-spec 1.5
package enum Checksum {
  /// The CRC of what `seed` is the CRC of, followed by `bytes`. The CRC of nothing is 0.
  package static func crc32(_ bytes: some Sequence<UInt8>, seed: UInt32 = 0) -> UInt32 {
    let contiguous = bytes.withContiguousStorageIfAvailable { crc32($0, seed: seed) }
    return contiguous ?? Array(bytes).withUnsafeBufferPointer { crc32($0, seed: seed) }
  }

  private static func crc32(_ buffer: UnsafeBufferPointer<UInt8>, seed: UInt32) -> UInt32 {
    // zlib answers 0 instead of the seed for a null pointer.
    guard let base = buffer.baseAddress else { return seed }
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { rest in
      let folded = nc_crc32_fold(seed, base, buffer.count, rest.baseAddress!)
      let crc = folded > 0 ? crc32_z(0xFFFF_FFFF, rest.baseAddress!, 16) : uLong(seed)
      // Nothing left is no null pointer.
      return UInt32(truncatingIfNeeded: crc32_z(crc, base + folded, buffer.count - folded))
    }
  }

  /// The CRC of bytes whose CRC is `first` followed by `count` bytes whose CRC is `second`.
  package static func combined(_ first: UInt32, _ second: UInt32, count: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_combine(uLong(first), uLong(second), count))
  }
}
