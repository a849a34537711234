import CZlib
import MediaIO
import Testing

struct IDXTests {
  /// Two pictures of 2x3.
  static let plain: [UInt8] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3] + Array(1...12)

  static func gzipped(_ bytes: [UInt8]) -> [UInt8] {
    var stream = z_stream()
    let size = Int32(MemoryLayout<z_stream>.size)
    deflateInit2_(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
    defer { deflateEnd(&stream) }
    var out = [UInt8](repeating: 0, count: bytes.count + 1000)
    var input = bytes
    let left = input.withUnsafeMutableBufferPointer { input in
      out.withUnsafeMutableBufferPointer { out in
        stream.next_in = input.baseAddress
        stream.avail_in = UInt32(input.count)
        stream.next_out = out.baseAddress
        stream.avail_out = UInt32(out.count)
        deflate(&stream, Z_FINISH)
        return Int(stream.avail_out)
      }
    }
    return Array(out.dropLast(left))
  }

  @Test func plainAndGzipped() throws {
    for bytes in [Self.plain, Self.gzipped(Self.plain)] {
      let array = try IDXArray(reading: bytes, at: "x")
      #expect(array.shape == [2, 2, 3] && array.elements == Array(1...12))
    }
    // More than one piece of what is inflated.
    let long = [0, 0, 8, 1, 0, 3, 0, 0] + (0..<(3 << 16)).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 7) }
    #expect(try IDXArray(reading: Self.gzipped(long), at: "x").elements == Array(long[8...]))
  }

  @Test func everyTruncation() {
    for count in 0..<Self.plain.count {
      #expect(throws: MediaIOError.self) { try IDXArray(reading: Array(Self.plain.prefix(count)), at: "x") }
    }
    let gzipped = Self.gzipped(Self.plain)
    for count in 0..<gzipped.count {
      #expect(throws: MediaIOError.self) { try IDXArray(reading: Array(gzipped.prefix(count)), at: "x") }
    }
  }

  @Test func everyFlippedBit() {
    // The checksum is over what comes out, so header fields that nobody reads (time, system) may change.
    let gzipped = Self.gzipped(Self.plain)
    for bit in 0..<(8 * gzipped.count) {
      var bytes = gzipped
      bytes[bit / 8] ^= 1 << (bit % 8)
      let array = try? IDXArray(reading: bytes, at: "x")
      #expect(array == nil || array?.elements == Array(1...12), "bit \(bit)")
    }
  }

  func code(_ bytes: [UInt8], maxBytes: Int = 1 << 28) -> MediaIOError.Code? {
    do { _ = try IDXArray(reading: bytes, at: "x", maxBytes: maxBytes) } catch { return error.code }
    return nil
  }

  @Test func refusals() {
    #expect(code([]) == .empty)
    #expect(code([1, 0, 8, 1, 0, 0, 0, 0]) == .unknownFormat)
    #expect(code([0, 0, 8, 0]) == .unknownFormat)
    #expect(code([0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0]) == .unsupported)
    #expect(code([0, 0, 8, 1, 0, 0, 0, 0]) == .damaged)
    #expect(code([0, 0, 8, 1, 0, 0, 0, 1, 7, 7]) == .damaged)
    #expect(code([0, 0, 8, 4] + [UInt8](repeating: 255, count: 16)) == .tooLarge)
    #expect(code([0, 0, 8, 255] + [UInt8](repeating: 255, count: 4 * 255)) == .tooLarge)
    #expect(code(Self.plain, maxBytes: 11) == .tooLarge && code(Self.plain, maxBytes: 12) == nil)
    // What inflates to more than is allowed is left when that is known, whatever its header says.
    let bomb = Self.gzipped([0, 0, 8, 1, 0, 0, 0, 1] + [UInt8](repeating: 0, count: 10 << 20))
    #expect(bomb.count < 20_000 && code(bomb, maxBytes: 1000) == .tooLarge && code(bomb) == .damaged)
    #expect(code(Self.gzipped(Self.plain) + [0]) == .damaged)
    #expect(code(Self.gzipped(Self.plain), maxBytes: .max) == nil)
  }
}
