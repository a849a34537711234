import Bitstream
import Testing

@Suite struct BitTests {
  @Test func nothingGivesNoBytes() throws {
    #expect(BitWriter().finish() == [])
    var reader = BitReader([UInt8]())
    try reader.finish()
    #expect(throws: BitstreamError(.truncated, at: 0, in: "", "")) { try reader.read(count: 1) }
    #expect(try reader.read(count: 0) == 0)
  }

  @Test func bitsAreMostSignificantFirst() {
    var writer = BitWriter()
    writer.write(0b1, count: 1)
    writer.write(0b01, count: 2)
    writer.write(0xABC, count: 12)
    #expect(writer.bitCount == 15)
    #expect(writer.finish() == [0b1011_0101, 0b0111_1000])
  }

  @Test func alignmentFillsWithZeros() throws {
    var writer = BitWriter()
    writer.write(true)
    writer.align()
    writer.align()
    writer.write(0xFF, count: 8)
    let bytes = writer.finish()
    #expect(bytes == [0x80, 0xFF])
    var reader = BitReader(bytes)
    #expect(try reader.readFlag())
    try reader.align()
    #expect(try reader.read(count: 8) == 0xFF)
    try reader.finish()
  }

  @Test func paddingThatIsNotZeroIsMalformed() throws {
    var reader = BitReader([0x81])
    _ = try reader.read(count: 1)
    #expect(failure { try reader.align() }?.code == .malformed)
    #expect(reader.position == 1)
    #expect(failure { try reader.finish() }?.code == .malformed)
    #expect(reader.position == 1)
  }

  @Test func anyWidthsGoThereAndBack() throws {
    var generator = SeededGenerator(state: 1)
    for _ in 0..<200 {
      var values: [(UInt64, Int)] = []
      for _ in 0..<50 {
        let count = Int.random(in: 0...64, using: &generator)
        values.append((count == 0 ? 0 : generator.next() >> UInt64(64 - count), count))
      }
      var writer = BitWriter()
      for (value, count) in values { writer.write(value, count: count) }
      #expect(writer.bitCount == values.reduce(0) { $0 + $1.1 })
      // A slice that does not start at 0 catches index mistakes.
      let bytes = [0xFF, 0xFF, 0xFF] + writer.finish()
      var reader = BitReader(bytes[3...])
      for (value, count) in values { #expect(try reader.read(count: count) == value) }
      try reader.finish()
    }
  }

  @Test func shortReadLeavesTheCursor() throws {
    var reader = BitReader([0xF0])
    _ = try reader.read(count: 3)
    #expect(failure { _ = try reader.read(count: 6) }?.code == .truncated)
    #expect(reader.position == 3)
    #expect(try reader.read(count: 5) == 0x10)
  }

  @Test(arguments: [
    (0, 0, "1"), (1, 0, "010"), (2, 0, "011"), (3, 0, "00100"), (6, 0, "00111"), (7, 0, "0001000"),
    (0, 1, "10"), (1, 1, "11"), (2, 1, "0100"), (5, 1, "0111"), (6, 1, "001000"), (0, 3, "1000"), (7, 3, "1111"),
    (8, 3, "010000"),
  ]) func expGolombWords(value: Int, order: Int, word: String) {
    var writer = BitWriter()
    writer.writeExpGolomb(UInt32(value), order: order)
    #expect(writer.bitCount == word.count)
    var bits = ""
    for byte in writer.finish() {
      for bit in 0..<8 { bits += byte >> UInt8(7 - bit) & 1 == 1 ? "1" : "0" }
    }
    let padding = (8 - word.count % 8) % 8
    #expect(bits == word + String(repeating: "0", count: padding))
  }

  @Test func expGolombLengthsAtBucketEdges() {
    for power in 1...32 {
      let edge = UInt64(1) << UInt64(power)
      let lengths: [(UInt64, Int)] = [(edge - 2, 2 * power - 1), (edge - 1, 2 * power + 1)]
      for (value, length) in lengths where value <= UInt32.max {
        var writer = BitWriter()
        writer.writeExpGolomb(UInt32(value))
        #expect(writer.bitCount == length, "\(value)")
      }
    }
  }

  @Test func expGolombGoesThereAndBack() throws {
    var generator = SeededGenerator(state: 2)
    for order in 0...31 {
      var values: [UInt32] = [0, 1, UInt32.max, UInt32.max - 1]
      var signed: [Int32] = [0, 1, -1, Int32.max, -Int32.max]
      for _ in 0..<100 {
        values.append(UInt32(generator.number(bits: 32)))
        let magnitude = Int32(generator.number(bits: 31))
        signed.append(Bool.random(using: &generator) ? magnitude : -magnitude)
      }
      var writer = BitWriter()
      for value in values { writer.writeExpGolomb(value, order: order) }
      for value in signed { writer.writeSignedExpGolomb(value, order: order) }
      var reader = BitReader(writer.finish())
      for value in values { #expect(try reader.readExpGolomb(order: order) == value) }
      for value in signed { #expect(try reader.readSignedExpGolomb(order: order) == value) }
      try reader.finish()
    }
  }

  @Test func signedExpGolombOrder() throws {
    for (mapped, value) in [0, 1, -1, 2, -2, 3].enumerated() {
      var plain = BitWriter()
      plain.writeExpGolomb(UInt32(mapped))
      var signed = BitWriter()
      signed.writeSignedExpGolomb(Int32(value))
      #expect(plain.finish() == signed.finish())
    }
  }

  @Test func hostileExpGolombCodes() throws {
    var zeros = BitReader([UInt8](repeating: 0, count: 12))
    #expect(failure { _ = try zeros.readExpGolomb() }?.code == .malformed)
    #expect(zeros.position == 0)
    var short = BitReader([0, 0])
    #expect(failure { _ = try short.readExpGolomb() }?.code == .truncated)
    #expect(short.position == 0)
    var cut = BitReader([0x01])
    #expect(failure { _ = try cut.readExpGolomb() }?.code == .truncated)
    // 32 zeros, then a one and 32 ones: 2^33 - 2.
    var large = BitReader([0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
    #expect(failure { _ = try large.readExpGolomb() }?.code == .malformed)
    #expect(large.position == 0)
    // 2^32 - 1, which no signed value maps to.
    var beyond = BitReader([0, 0, 0, 0, 0x80, 0, 0, 0, 0])
    #expect(failure { _ = try beyond.readSignedExpGolomb() }?.code == .malformed)
    #expect(beyond.position == 0)
  }

  @Test func varintLengthsAtBucketEdges() {
    for bytes in 1...9 {
      let edge = UInt64(1) << UInt64(7 * bytes)
      for (value, length) in [(edge - 1, bytes), (edge, bytes + 1)] {
        var written: [UInt8] = []
        Varint.append(value, to: &written)
        #expect(written.count == length)
        #expect(Varint.byteCount(of: value) == length)
        #expect(Varint.decode(written[...]) == .value(value, byteCount: length))
        #expect(Varint.decode(written.dropLast()) == .short)
      }
    }
    #expect(Varint.byteCount(of: 0) == 1)
    #expect(Varint.byteCount(of: .max) == 10)
  }

  @Test func varintForms() {
    #expect(Varint.decode([0x00]) == .value(0, byteCount: 1))
    #expect(Varint.decode([0xAC, 0x02, 0xFF]) == .value(300, byteCount: 2))
    #expect(Varint.decode([]) == .short)
    #expect(Varint.decode([0x80, 0x00]) == .overlong)
    #expect(Varint.decode([0xFF, 0x80, 0x00]) == .overlong)
    let nine = [UInt8](repeating: 0xFF, count: 9)
    #expect(Varint.decode((nine + [0x01])[...]) == .value(.max, byteCount: 10))
    #expect(Varint.decode((nine + [0x02])[...]) == .overflow)
    #expect(Varint.decode((nine + [0x81, 0x00])[...]) == .overflow)
    #expect(Varint.decode((nine + [0x00])[...]) == .overlong)
  }

  @Test func checksumIsThatOfPNG() {
    #expect(Checksum.crc32("123456789".utf8) == 0xCBF4_3926)
    #expect(Checksum.crc32([UInt8]()) == 0)
    #expect(Checksum.crc32([UInt8](), seed: 77) == 77)
    #expect(Checksum.crc32("6789".utf8, seed: Checksum.crc32("12345".utf8)) == 0xCBF4_3926)
    #expect(Checksum.crc32(Set<UInt8>([0x49])) == Checksum.crc32([0x49]))
  }
}
