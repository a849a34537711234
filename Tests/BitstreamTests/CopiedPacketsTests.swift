import Bitstream
import Testing

/// Codec 7: bytes as the specification has them.
@Suite struct CopiedPacketsTests {
  private func code(_ bytes: [UInt8]) -> BitstreamError.Code? {
    failure { _ = try CopiedPackets(parsing: bytes[...]) }?.code
  }

  @Test func packetsByteByByte() throws {
    var run = CopiedPackets()
    run.early = 300
    var packet = CopiedPackets.Packet()
    (packet.times, packet.data) = ((0, 1024), [0xAA, 0xBB])
    run.packets.append(packet)
    packet.times = nil
    packet.data = []
    run.packets.append(packet)
    (packet.isKey, packet.times, packet.decodingDelay) = (false, (5, 6), -1)
    (packet.skippedAtStart, packet.skippedAtEnd, packet.data) = (0, 200, [1])
    run.packets.append(packet)
    let bytes: [UInt8] = [
      0xAC, 0x02, 3,  // early, three packets
      0b0011, 0, 0x80, 0x08, 2, 0xAA, 0xBB,  // key, timed: gap 0, duration 1024
      0b0001, 0,  // key, as the one before, empty
      0b1110, 5, 6, 1, 0, 0xC8, 0x01, 1, 1,  // timed, decoded a tick later than its time, 200 samples skipped at its end
    ]
    #expect(try run.serialised() == bytes)
    #expect(try CopiedPackets(parsing: bytes[...]) == run)
    #expect(try run.byteCount() == bytes.count)
    for count in bytes.indices { #expect(code(Array(bytes[..<count])) == .malformed) }
    #expect(code(bytes + [0]) == .malformed)
  }

  @Test func whatIsRefused() throws {
    let first: [UInt8] = [0, 1, 0b0010, 0, 1]
    #expect(code(first + [0]) == nil)
    #expect(code([0, 0]) == .malformed)  // no packet
    #expect(code([0, 1, 0, 0]) == .malformed)  // the first without times
    #expect(code([0, 1, 0b0010, 1, 1, 0]) == .malformed)  // the first with a gap
    #expect(code([0, 1, 0b1_0010, 0, 1, 0]) == .malformed)  // reserved
    #expect(code([0, 1, 0b0110, 0, 1, 0, 0]) == .malformed)  // reordered by nothing
    #expect(code([0, 1, 0b1010, 0, 1, 0, 0, 0]) == .malformed)  // skips nothing
    #expect(code(first + [1]) == .malformed)  // data beyond the end
    #expect(code([0, 0x81, 0x80, 0x04] + [UInt8](repeating: 0, count: 20)) == .limitExceeded)  // 65537 packets
    // Many packets are held against the bytes that are there before memory is taken for them.
    #expect(code([0, 0xFF, 0xFF, 0x03] + [UInt8](repeating: 0, count: 20)) == .malformed)
    let long: [UInt8] = [0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]  // 2^60 + 1
    #expect(code(long + [1, 0b0010, 0, 1, 0]) == .malformed)
    let duration: [UInt8] = [0x81, 0x80, 0x80, 0x80, 0x80, 0x20]  // 2^40 + 1
    #expect(code([0, 1, 0b0010, 0] + duration + [0]) == .malformed)
    #expect(code(first + [0x81, 0x80, 0x80, 0x80, 0x01]) == .limitExceeded)  // 2^28 + 1 bytes of data
    #expect(failure { _ = try CopiedPackets().serialised() } != nil)
  }

  @Test func reorderingFoldsSigns() throws {
    for (delay, folded) in [(1, 2), (-1, 1), (2, 4), (-64, 127), (64, 128)] as [(Int64, Int)] {
      var run = CopiedPackets()
      var packet = CopiedPackets.Packet()
      (packet.times, packet.decodingDelay) = ((0, 1), delay)
      run.packets = [packet]
      let bytes = try run.serialised()
      #expect(bytes == [0, 1, 0b0111, 0, 1] + (folded < 128 ? [UInt8(folded)] : [UInt8(folded & 127 | 128), UInt8(folded >> 7)]) + [0])
      #expect(try CopiedPackets(parsing: bytes[...]).packets[0].decodingDelay == delay)
    }
    var packet = CopiedPackets.Packet()
    (packet.times, packet.decodingDelay) = ((0, 1), 1 << 40 + 1)
    var run = CopiedPackets()
    run.packets = [packet]
    #expect(failure { _ = try run.serialised() } != nil)
  }

  @Test func configuration() throws {
    var configuration = CopiedTrackConfiguration()
    (configuration.codec, configuration.sampleRate, configuration.channels, configuration.mask) = ("aac", 44_100, 2, 3)
    (configuration.bitRate, configuration.frameSize, configuration.profile, configuration.initialPadding) = (128_000, 1024, 2, 1024)
    (configuration.language, configuration.header) = ("eng", [0x12, 0x10])
    let bytes: [UInt8] =
      [3, 0x61, 0x61, 0x63, 0xC4, 0xD8, 0x02, 2, 3, 0x80, 0xE8, 0x07, 0, 0, 0, 0x80, 0x08, 2, 0x80, 0x08, 0, 3, 0x65, 0x6E, 0x67, 0x12, 0x10]
    #expect(try configuration.serialised() == bytes)
    #expect(try CopiedTrackConfiguration(parsing: bytes[...]) == configuration)
    func code(_ change: (inout [UInt8]) -> Void) -> BitstreamError.Code? {
      var bad = bytes
      change(&bad)
      return failure { _ = try CopiedTrackConfiguration(parsing: bad[...]) }?.code
    }
    #expect(code { $0[0] = 0 } != nil)
    #expect(code { $0.removeLast(20) } == .malformed)
    #expect(code { $0[1] = 0xFF } == .malformed)  // no UTF-8
    #expect(code { $0[7] = 0 } == .malformed)  // no channel
    #expect(code { $0[8] = 1 } == .malformed)  // one loudspeaker for two channels
    #expect(code { $0.append(contentsOf: [UInt8](repeating: 0, count: 1 << 18)) } == .limitExceeded)
    #expect(failure { _ = try CopiedTrackConfiguration().serialised() } != nil)
  }

  /// `nccodec info` shows what the track is.
  @Test func reports() throws {
    var configuration = CopiedTrackConfiguration()
    (configuration.codec, configuration.language) = ("vorbis", "fra")
    let track = TrackHeader(
      modality: .audio, codec: CodecID.copiedPackets, timeBase: TimeBase(denominator: 48_000), configuration: try configuration.serialised()[...])
    let file = try Container(tracks: [track]).serialised()
    let text = try ContainerReader(MemorySource(file)).report().text
    #expect(text.contains("copied sound") && text.contains("vorbis") && text.contains("fra"))
  }
}
