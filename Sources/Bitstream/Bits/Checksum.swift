import CZlib

/// CRC-32 as in PNG and zlib (reflected polynomial 0xEDB88320), through zlib.
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
    return UInt32(truncatingIfNeeded: crc32_z(uLong(seed), base, buffer.count))
  }

  /// The CRC of bytes whose CRC is `first` followed by `count` bytes whose CRC is `second`.
  package static func combined(_ first: UInt32, _ second: UInt32, count: Int) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_combine(uLong(first), uLong(second), count))
  }
}
