import Bitstream
import Testing

/// Codec 8: bytes as the specification has them.
@Suite struct VideoSyntaxTests {
  private func code(_ bytes: [UInt8]) -> BitstreamError.Code? {
    failure { _ = try VideoConfiguration(parsing: bytes[...]) }?.code
  }

  private func payloadCode(_ bytes: [UInt8]) -> BitstreamError.Code? {
    failure { _ = try VideoPayloadHeader.parse(bytes[...], into: VideoPayloadHeader(), named: "video payload") }?.code
  }

  @Test func configurationByteByByte() throws {
    var configuration = VideoConfiguration()
    (configuration.width, configuration.height) = (1280, 640)
    configuration.aspect = (16, 15)
    configuration.rate = (30_000, 1001)
    (configuration.turns, configuration.isFullRange, configuration.chromaLocation) = (3, true, 1)
    (configuration.bitDepth, configuration.family) = (10, .nirvana)
    (configuration.primaries, configuration.transfer, configuration.matrix) = (9, 16, 10)
    let bytes: [UInt8] = [
      0x80, 0x0A, 0x80, 0x05,  // 1280 x 640
      16, 15, 0xB0, 0xEA, 0x01, 0xE9, 0x07,  // pixels of 16:15, 30000/1001 frames a second
      0b001_1_11, 0x39, 9, 16, 10,  // three quarter turns, full range, chroma at the left; 10 bits, nirvana; colours
    ]
    #expect(try configuration.serialised() == bytes)
    #expect(try VideoConfiguration(parsing: bytes[...]) == configuration)
    for count in bytes.indices { #expect(code(Array(bytes[..<count])) == .malformed) }
    #expect(code(bytes + [0]) == .malformed)
    // Without a rate.
    #expect(try VideoConfiguration().serialised() == [1, 1, 1, 1, 0, 0, 0x07, 2, 2, 2])
    #expect(try VideoConfiguration(parsing: [1, 1, 1, 1, 0, 0, 0x07, 2, 2, 2]).rate == nil)
  }

  @Test func configurationsThatAreRefused() {
    #expect(code([1, 1, 1, 1, 0, 0, 7, 2, 2, 2]) == nil)
    #expect(code([0, 1, 1, 1, 0, 0, 7, 2, 2, 2]) == .malformed)
    #expect(code([0x80, 0x80, 0x04, 1, 1, 1, 0, 0, 7, 2, 2, 2]) == .malformed)  // 65536 wide
    #expect(code([1, 1, 0, 1, 0, 0, 7, 2, 2, 2]) == .malformed)  // no width of a pixel
    #expect(code([1, 1, 1, 0x80, 0x80, 0x80, 0x80, 0x08, 0, 0, 7, 2, 2, 2]) == .malformed)  // 2^31
    #expect(code([1, 1, 1, 1, 25, 0, 0, 7, 2, 2, 2]) == .malformed)  // 25 frames in 0 seconds
    #expect(code([1, 1, 1, 1, 0, 0x40, 7, 2, 2, 2]) == .malformed)  // reserved
    #expect(code([1, 1, 1, 1, 0, 0x38, 7, 2, 2, 2]) == .malformed)  // chroma location 7
    #expect(code([1, 1, 1, 1, 0, 0, 0x47, 2, 2, 2]) == .malformed)  // family 4
  }

  @Test func timesByteByByte() throws {
    func bytes(_ times: [(time: Int64, duration: Int64)], last: Bool = false, first: UInt64 = 0) throws -> [UInt8] {
      var header = VideoPayloadHeader(times: times)
      (header.isLast, header.first) = (last, first)
      let bytes = try header.serialised()
      let back = try VideoPayloadHeader.parse(bytes[...], into: VideoPayloadHeader(), named: "")
      #expect(back == header && back.isLast == last && back.first == first && back.times.count == times.count)
      var time = times[0].time
      for (step, given) in zip(back.times, times) {
        time += Int64(step.gap)
        #expect(time == given.time && Int64(step.duration) == given.duration)
      }
      for count in bytes.indices { #expect(payloadCode(Array(bytes[..<count])) == .malformed) }
      return bytes
    }
    #expect(try bytes([(7, 3)]) == [0, 0, 1, 3])
    #expect(try bytes([(7, 3), (10, 3), (13, 3)], last: true, first: 300) == [1, 0xAC, 0x02, 3, 3])
    #expect(try bytes([(0, 41), (41, 42), (83, 42)]) == [0b010, 0, 3, 41, 42, 42])
    // Gaps, and times that overlap.
    #expect(try bytes([(0, 40), (40, 40), (200, 40)], last: true) == [0b101, 0, 3, 40, 40, 40, 0xA0, 0x01, 40])
    #expect(try bytes([(0, 40), (10, 40)]) == [0b100, 0, 2, 40, 10, 40])
    #expect(try bytes((0..<4096).map { (Int64($0) * 2, 2) }) == [0, 0, 0x80, 0x20, 2])
  }

  @Test func timesThatAreRefused() {
    #expect(payloadCode([0, 0, 1, 3]) == nil)
    #expect(payloadCode([0, 0, 0, 3]) == .malformed)  // no frame
    #expect(payloadCode([0, 0, 0x81, 0x20, 3]) == .malformed)  // 4097 frames
    #expect(payloadCode([0, 0, 1, 0]) == .malformed)  // lasts no tick
    #expect(payloadCode([0b110, 0, 1, 3]) == .malformed)  // timing 3
    #expect(payloadCode([0b1000, 0, 1, 3]) == .malformed)  // reserved
    #expect(payloadCode([0b010, 0, 2, 3, 3]) == .malformed)  // steady
    #expect(payloadCode([0b010, 0, 2, 3, 4]) == nil)
    #expect(payloadCode([0b100, 0, 2, 3, 3, 4]) == .malformed)  // seamless
    #expect(payloadCode([0b100, 0, 2, 3, 0, 4]) == .malformed)  // two at a time
    #expect(payloadCode([0, 0, 1, 0x81, 0x80, 0x80, 0x80, 0x80, 0x20]) == .malformed)  // 2^40 + 1 ticks
    // Many frames are held against the bytes that are there.
    #expect(payloadCode([0b010, 0, 0x80, 0x20, 1, 2]) == .malformed)
  }

  @Test func networksByteByByte() throws {
    func code(_ bytes: [UInt8]) -> BitstreamError.Code? {
      failure { _ = try NetworkSyntax.parse(bytes[...], into: NetworkSyntax(), named: "network") }?.code
    }
    var network = NetworkSyntax()
    (network.channels, network.height, network.width, network.activation) = (26, 9, 16, .swish)
    var stem = StemSyntax()
    (stem.levels, stem.hidden) = (40, 512)
    (stem.first.shift, stem.first.fraction, stem.first.multiplier, stem.second.centreShift, stem.second.biasShift) = (7, 10, 0x1234, 4, 2)
    stem.second.amplitude = 300
    var stage = StageSyntax()
    (stage.outputs, stage.side, stage.factor, stage.format.shift) = (3, 3, 5, 1)
    network.stages = [stage, StageSyntax()]
    let stages: [UInt8] = [2, 3, 0b100_01, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0]
    #expect(try network.serialised() == [26, 9, 16, 0b001, 0] + stages)
    network.stem = stem
    // Levels, hidden; rounding, multiplier, steps and amplitude of each layer.
    let stemBytes: [UInt8] = [40, 0x80, 0x04, 0b110_00111, 0x34, 0x12, 0, 0, 0, 1, 0, 0x24, 0xAC, 0x02]
    let bytes = [26, 9, 16, 0b101, 0] + stemBytes + stages
    #expect(try network.serialised() == bytes)
    #expect(try NetworkSyntax.parse(bytes[...], into: NetworkSyntax(), named: "network") == network)
    for count in bytes.indices { #expect(code(Array(bytes[..<count])) == .malformed) }
    for (place, bad) in [(3, UInt8(0b110)), (3, 0b111), (3, 0b1101), (3, 0x85), (4, 1), (5, 0), (5, 41), (7, 5)] {
      var other = bytes
      other[place] = bad
      #expect(code(other) == .malformed, "\(bad) at \(place)")
    }
    // Stages that add, that are depthwise, that have no activation.
    (network.stages[0].sums, network.stages[0].isDepthwise, network.stages[1].isLinear) = ([2, 15], true, true)
    let adding = [26, 9, 16, 0b101, 0] + stemBytes + [2, 3, 0b101_100_01, 0xF2, 1, 1, 0, 0, 0, 1, 0b010_000_00, 0, 1, 0, 0, 0]
    #expect(try network.serialised() == adding)
    #expect(try NetworkSyntax.parse(adding[...], into: NetworkSyntax(), named: "network") == network)
    for count in adding.indices { #expect(code(Array(adding[..<count])) == .malformed) }
    var none = adding
    none[5 + stemBytes.count + 3] = 0xF0
    #expect(code(none) == .malformed)
    (network.stages[0].sums, network.stages[0].isDepthwise, network.stages[1].isLinear) = ([7], false, false)
    #expect(try NetworkSyntax.parse(try network.serialised()[...], into: NetworkSyntax(), named: "network") == network)
    network.stages[0].sums = []
    // Groups in the stem's place.
    (network.stem, network.channels, network.groupFrames) = (nil, 12, 4)
    let groups = [12, 9, 16, 0b1001, 0, 4] + stages
    #expect(try network.serialised() == groups)
    #expect(try NetworkSyntax.parse(groups[...], into: NetworkSyntax(), named: "network") == network)
    for count in groups.indices { #expect(code(Array(groups[..<count])) == .malformed) }
    for (place, bad) in [(0, UInt8(6)), (3, 0b11001), (3, 0b1011), (4, 1), (5, 0), (5, 9)] {
      var other = groups
      other[place] = bad
      #expect(code(other) == .malformed, "\(bad) at \(place)")
    }
    #expect(code([12, 9, 16, 0b1101, 0] + stemBytes + [4] + stages) == .malformed)
    #expect(code([0xA0, 1, 9, 16, 9, 0, 4] + stages) == nil && code([0xA4, 1, 9, 16, 9, 0, 4] + stages) == .malformed)
    // Channels of embeddings are fewer.
    #expect(code([64, 9, 16, 1, 0] + stages) == nil && code([65, 9, 16, 1, 0] + stages) == .malformed)
    #expect(code([0x80, 4, 9, 16, 5, 0] + stemBytes + stages) == nil && code([0x81, 4, 9, 16, 5, 0] + stemBytes + stages) == .malformed)
  }
}
