#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Where a file is written to, front to back.
package protocol ByteSink {
  mutating func write(_ bytes: ArraySlice<UInt8>) throws(BitstreamError)
  /// About so many more bytes will be written.
  mutating func expect(_ count: Int)
}

extension ByteSink {
  package mutating func expect(_ count: Int) {}
}

/// Collects what is written.
package struct MemorySink: ByteSink, Sendable {
  package private(set) var bytes: [UInt8] = []

  package init() {}

  package mutating func write(_ bytes: ArraySlice<UInt8>) { self.bytes.append(contentsOf: bytes) }

  package mutating func expect(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }
}

/// Writes to an open file descriptor, a file's or a pipe's, which the caller opens and closes.
package struct DescriptorSink: ByteSink, Sendable {
  private let descriptor: CInt
  private var written = 0

  package init(_ descriptor: CInt) { self.descriptor = descriptor }

  package mutating func write(_ bytes: ArraySlice<UInt8>) throws(BitstreamError) {
    var rest = bytes
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { writeOnce($0) }
      guard count >= 0 else {
        throw BitstreamError(.inputOutput, at: written, in: "", String(cString: strerror(errno)))
      }
      rest = rest.dropFirst(count)
      written += count
    }
  }

  /// The bytes that one call took, or -1 with `errno` set.
  private func writeOnce(_ buffer: UnsafeRawBufferPointer) -> Int {
    while true {
      #if canImport(Glibc)
        let count = Glibc.write(descriptor, buffer.baseAddress, buffer.count)
      #elseif canImport(Musl)
        let count = Musl.write(descriptor, buffer.baseAddress, buffer.count)
      #else
        let count = Darwin.write(descriptor, buffer.baseAddress, buffer.count)
      #endif
      if count >= 0 || errno != EINTR { return count }
    }
  }
}
