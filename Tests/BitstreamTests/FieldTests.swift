import Bitstream
import Testing

/// Every kind of field.
private struct Everything: BitstreamStructure, Equatable {
  var byte: UInt8 = 0
  var word: UInt32 = 0
  var number: UInt64 = 0
  var small: UInt16 = 3
  var modality = Modality.image
  var flag = false
  var level: UInt8 = 1
  var fixed: ArraySlice<UInt8> = [0, 0, 0]
  var name = ""
  var timeBase: TimeBase?
  var items: [TimeBase] = []
  var rest: ArraySlice<UInt8> = []

  mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.unsigned("byte", &byte)
    try visitor.unsigned("word", &word, unit: "apples")
    try visitor.varint("number", &number)
    try visitor.varint("small", &small, in: 3...1000)
    try visitor.enumeration("modality", &modality)
    var hasTimeBase = timeBase != nil
    try visitor.packed("packed", byteCount: 2) { packed in
      packed.flag("flag", &flag)
      packed.unsigned("level", &level, bits: 5, in: 1...20)
      packed.flag("has time base", &hasTimeBase)
    }
    try visitor.bytes("fixed", &fixed, .fixed(3))
    try visitor.text("name", &name, .prefixed(limit: 40))
    try visitor.optional("time base", &timeBase, isPresent: hasTimeBase, blank: TimeBase())
    try visitor.list("items", &items, limit: 10, minimumBytes: 2, blank: TimeBase())
    try visitor.bytes("rest", &rest, .rest(limit: 50))
  }

  static func random(_ generator: inout SeededGenerator) -> Everything {
    var value = Everything()
    value.byte = UInt8(truncatingIfNeeded: generator.next())
    value.word = UInt32(truncatingIfNeeded: generator.next())
    value.number = generator.number()
    value.small = UInt16(3 + generator.next() % 998)
    value.modality = Modality.allCases.randomElement(using: &generator)!
    value.flag = Bool.random(using: &generator)
    value.level = UInt8(1 + generator.next() % 20)
    value.fixed = generator.bytes(3...3)[...]
    value.name = String(repeating: "ä", count: Int(generator.next() % 20))
    value.timeBase = Bool.random(using: &generator) ? randomTimeBase(&generator) : nil
    value.items = (0..<generator.next() % 11).map { _ in randomTimeBase(&generator) }
    value.rest = generator.bytes(0...50)[...]
    return value
  }

  private static func randomTimeBase(_ generator: inout SeededGenerator) -> TimeBase {
    TimeBase(numerator: max(1, UInt32(generator.number(bits: 32))), denominator: UInt32(generator.number(bits: 31)) + 1)
  }
}

/// A structure that contains itself as often as its data say.
private struct Onion: BitstreamStructure, Equatable {
  var layers: [Onion] = []

  mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.list("layers", &layers, limit: 100, blank: Onion())
  }
}

private func readBack<S: BitstreamStructure & Equatable>(_ value: S, blank: S) throws {
  let bytes = try value.serialised()
  #expect(try value.byteCount() == bytes.count)
  #expect(try S.parse(bytes[...], into: blank, named: "value") == value)
  var printer = FieldPrinter()
  try printer.show(value)
  #expect(printer.offset == bytes.count)
}

@Suite struct FieldTests {
  @Test func everyStructureGoesThereAndBack() throws {
    var generator = SeededGenerator(state: 3)
    for _ in 0..<300 {
      try readBack(Everything.random(&generator), blank: Everything())
      try readBack(Everything.random(&generator), blank: Everything.random(&generator))
      let container = Sample.random(&generator)
      for track in container.tracks { try readBack(track, blank: TrackHeader()) }
      try readBack(
        ImageConfiguration(
          width: UInt16(generator.number(bits: 15)) + 1, height: UInt16(65535 - generator.number(bits: 15)),
          colour: Bool.random(using: &generator) ? .grey : .rgb, hasAlpha: Bool.random(using: &generator),
          quality: UInt8(generator.next() % 101)),
        blank: ImageConfiguration(width: 1, height: 1, colour: .grey, quality: 0))
      let track = TrackReference(UInt32(generator.next() % 300), of: 300)
      let blank = TrackReference(of: 300)
      try readBack(Gamma(track: track, exponent: UInt32(generator.number(bits: 30)) + 1), blank: Gamma(track: blank))
      try readBack(Exif(track: track, data: generator.bytes(1...90)[...]), blank: Exif(track: blank))
      let profile = ColourProfile(track: track, profile: generator.bytes(1...90)[...])
      try readBack(profile, blank: ColourProfile(track: blank))
      try readBack(TextEntry(key: "k\(generator.next())", value: "ß\(generator.next())"), blank: TextEntry())
      try readBack(EndMarker(indexOffset: generator.next()), blank: EndMarker.blank(length: 8))
      try readBack(ChunkHeader(type: .payload, length: generator.number()), blank: ChunkHeader())
      let payload = container.payloads.randomElement(using: &generator)!
      try readBack(
        PayloadHeader(
          of: container.tracks, track: payload.track, isRandomAccess: payload.isRandomAccess, start: payload.start),
        blank: PayloadHeader(of: container.tracks))
    }
    try readBack(FileHeader.current, blank: FileHeader(major: 9, minor: 9))
    try readBack(EndMarker(indexOffset: nil), blank: EndMarker.blank(length: 0))
  }

  @Test func fixedIntegersAreLittleEndian() throws {
    var value = Everything()
    value.word = 0x0102_0304
    #expect(try value.serialised()[1..<5] == [4, 3, 2, 1])
  }

  @Test(arguments: [(1, 1), (127, 1), (128, 2), (16383, 2), (16384, 3), (65535, 3)])
  func imageDimensionsAtBucketEdges(size: Int, bytes: Int) throws {
    let wide = ImageConfiguration(width: UInt16(size), height: 1, colour: .rgb, quality: 100)
    #expect(try wide.byteCount() == bytes + 3)
    let tall = ImageConfiguration(width: 1, height: UInt16(size), colour: .grey, hasAlpha: true, quality: 0)
    #expect(try tall.byteCount() == bytes + 3)
  }

  @Test func aShortReadLeavesTheCursor() throws {
    var generator = SeededGenerator(state: 4)
    var value = Everything.random(&generator)
    value.rest = []
    let bytes = try value.serialised()
    for count in 0..<bytes.count {
      var reader = FieldReader(bytes[..<count], named: "value")
      let error = failure { _ = try reader.read(Everything()) }
      #expect(error?.code == .truncated, "\(count)")
      #expect(error!.offset! <= count && error!.element.hasPrefix("value > "))
      #expect(reader.offset == 0)
    }
    var reader = FieldReader([9] + bytes, named: "value")
    _ = try reader.read(EndMarker.blank(length: 0))
    #expect(reader.offset == 0)
  }

  @Test func errorsNameFieldOffsetAndReason() throws {
    var value = Everything()
    value.items = [TimeBase(), TimeBase(numerator: 5, denominator: 6)]
    var bytes = try value.serialised()
    // The denominator of the second item is the last byte.
    bytes[bytes.count - 1] = 0
    let error = failure { _ = try Everything.parse(bytes[...], into: Everything(), named: "value", at: 1000) }
    #expect(error?.code == .malformed)
    #expect(error?.element == "value > items > 1 > denominator")
    #expect(error?.offset == 1000 + bytes.count - 1)
    #expect(error?.reason == "0 is found where 1 to 4294967295 is allowed")
    #expect(
      error?.description
        == "the data breaks the format's rules (value > items > 1 > denominator, byte \(999 + bytes.count)): 0 is "
        + "found where 1 to 4294967295 is allowed. The program that wrote it is at fault or newer than this one.")
  }

  @Test func valuesOutOfRangeAreTheCallersFault() {
    func code(_ change: (inout Everything) -> Void) -> BitstreamError.Code? {
      var value = Everything()
      change(&value)
      var writer = FieldWriter()
      let error = failure { try writer.write(value) }
      #expect(writer.bytes.isEmpty == (error != nil))
      #expect(failure { _ = try value.byteCount() } == error)
      return error?.code
    }
    #expect(code { _ in } == nil)
    #expect(code { $0.small = 2 } == .invalidValue)
    #expect(code { $0.level = 21 } == .invalidValue)
    #expect(code { $0.level = 33 } == .invalidValue)
    #expect(code { $0.fixed = [1, 2] } == .invalidValue)
    #expect(code { $0.name = String(repeating: "x", count: 41) } == .limitExceeded)
    #expect(code { $0.items = [TimeBase](repeating: TimeBase(), count: 11) } == .limitExceeded)
    #expect(code { $0.rest = [UInt8](repeating: 0, count: 51)[...] } == .limitExceeded)
  }

  @Test func bytesOutOfRangeAreMalformed() throws {
    let good = try Everything().serialised()
    // byte 1, word 4, number 1, small 1, modality 1, packed 2, fixed 3, name length 1, items count 1
    #expect(good.count == 15)
    func code(_ position: Int, _ value: UInt8) -> BitstreamError.Code? {
      var bytes = good
      bytes[position] = value
      return failure { _ = try Everything.parse(bytes[...], into: Everything(), named: "value") }?.code
    }
    #expect(code(6, 2) == .malformed)  // small below 3
    #expect(code(7, 5) == .malformed)  // no such modality
    #expect(code(8, 0) == .malformed)  // level 0
    #expect(code(8, 0x80 | 2) == .malformed)  // reserved bit in the first byte
    #expect(code(9, 1) == .malformed)  // reserved bit in the second
    #expect(code(13, 41) == .limitExceeded)
    #expect(code(13, 2) == .malformed)  // a name longer than the data, whose length is known
    #expect(code(14, 11) == .limitExceeded)
    #expect(code(14, 1) == .malformed)
    var number = good
    number.replaceSubrange(5...5, with: [0x80, 0x00])
    #expect(failure { _ = try Everything.parse(number[...], into: Everything(), named: "") }?.code == .malformed)
    var name = good
    name.replaceSubrange(13...13, with: [2, 0xC3, 0x28])
    #expect(failure { _ = try Everything.parse(name[...], into: Everything(), named: "") }?.code == .malformed)
  }

  @Test func hostileCountsTakeNoMemory() {
    // 2^63 bytes of a name, then 2^63 items.
    let huge: [UInt8] = [UInt8](repeating: 0x80, count: 9) + [0x01]
    var onion = FieldReader(huge)
    #expect(failure { _ = try onion.read(Onion()) }?.code == .limitExceeded)
    var text = FieldReader(huge)
    #expect(failure { _ = try text.read(TextEntry()) }?.code == .limitExceeded)
    var index = FieldReader(huge)
    #expect(failure { _ = try index.read(RandomAccessIndex()) }?.code == .limitExceeded)
    // Few enough for the limit but not for the bytes that follow: refused before anything is reserved or read.
    var large = FieldReader([0xFF, 0xFF, 0xFF, 0x7F])
    let error = failure { _ = try large.read(RandomAccessIndex()) }
    #expect(error?.code == .truncated)
    #expect(error?.reason == "268435455 items of at least 4 bytes are announced and 0 bytes are left")
  }

  @Test func nestingIsBounded() throws {
    // Each layer is a list (one level) with one item (another).
    let deep = [UInt8](repeating: 1, count: 100_000)
    var reader = FieldReader(deep)
    let error = failure { _ = try reader.read(Onion()) }
    #expect(error?.code == .malformed)
    #expect(error?.reason.contains("nested") == true)
    #expect(reader.offset == 0)
    // Seven onions inside each other and the last one's empty list are 15 structures deep, eight 17.
    var onion = Onion()
    for _ in 0..<7 { onion = Onion(layers: [onion, Onion()]) }
    try readBack(onion, blank: Onion())
    let tooDeep = try Onion(layers: [onion]).serialised()
    #expect(failure { _ = try Onion.parse(tooDeep[...], into: Onion(), named: "onion") }?.code == .malformed)
  }

  @Test func printedRows() throws {
    var value = Everything()
    value.word = 7
    value.name = "a\u{1B}b"
    value.items = [TimeBase(numerator: 1, denominator: 25)]
    value.rest = [0xAB, 1]
    var printer = FieldPrinter(at: 100)
    try printer.show(value, named: "thing")
    #expect(
      printer.text == """
        thing
          byte: 0
          word: 7 apples
          number: 0
          small: 3
          modality: image
          flag: no
          level: 1
          has time base: no
          fixed: 3 bytes: 000000
          name: a\\u001bb
          items: 1 item
            [0]
              numerator: 1 seconds
              denominator: 25 ticks
          rest: 2 bytes: ab01
        """)
    #expect(
      printer.json
        == #"{"thing":{"byte":0,"word":7,"number":0,"small":3,"modality":"image","flag":false,"level":1,"#
        + #""hasTimeBase":false,"fixed":{"count":3,"hex":"000000"},"name":"a\u001bb","#
        + #""items":[{"numerator":1,"denominator":25}],"rest":{"count":2,"hex":"ab01"}}}"#)
    let word = printer.rows[2]
    #expect((word.offset, word.byteCount) == (101, 4))
    let level = printer.rows[7]
    #expect((level.name, level.offset, level.byteCount) == ("level", 108, 2))
  }

  @Test func imageConfigurationLimits() throws {
    let large = try ImageConfiguration(width: 65535, height: 65535, colour: .rgb, quality: 1).serialised()
    #expect(failure { _ = try ImageConfiguration(parsing: large[...]) }?.code == .limitExceeded)
    let limits = ContainerLimits(maxPixels: Int.max)
    #expect(try ImageConfiguration(parsing: large[...], limits: limits).width == 65535)
    let broken: [(bytes: [UInt8], element: String)] = [
      ([0, 1, 0, 0], "width"), ([1, 0, 0, 0], "height"), ([0x80, 0x80, 4, 1, 0, 0], "width"), ([1, 1, 2, 0], "colour"),
      ([1, 1, 0xA0, 0], "sRGB"), ([1, 1, 0xE1, 0], "sRGB"), ([1, 1, 0, 101], "quality"), ([1, 1, 0, 100, 0], ""), ([1, 1, 0], "quality"),
    ]
    for (bytes, element) in broken {
      let error = failure { _ = try ImageConfiguration(parsing: bytes[...]) }
      #expect(error?.code == .malformed, "\(bytes)")
      #expect(error?.element.hasSuffix(element) == true, "\(bytes)")
    }
    #expect(failure { try ContainerLimits(maxMemory: 10).check(memory: 11, in: "") }?.code == .limitExceeded)
    #expect(failure { try ContainerLimits().check(width: .max, height: .max, in: "") }?.code == .limitExceeded)
  }
}
