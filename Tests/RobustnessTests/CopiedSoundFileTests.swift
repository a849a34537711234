import Bitstream
import Coding
import Media
import Testing

/// What becomes of a file: how it is refused, or its packets.
private func outcome(_ bytes: [UInt8]) -> Result<[CopiedPacket], CodecError>? {
  do {
    let container = try Container(reading: bytes)
    var reader = try CopiedTrackReader(container.tracks[0])
    return .success(try container.payloads.flatMap { try reader.packets(of: $0) })
  } catch let error as CodecError {
    #expect(!error.description.isEmpty && !error.description.contains("\n"))
    return .failure(error)
  } catch let error as BitstreamError {
    return .failure(CodecError(error))
  } catch {
    Issue.record("not a CodecError: \(error)")
    return nil
  }
}

private let packets: [CopiedPacket] = (0..<120).map { i -> CopiedPacket in
  var packet = CopiedPacket(time: Int64(i * 1024 - 2048), duration: i == 119 ? 500 : 1024, isKey: i % 3 == 0, data: [])
  if i % 50 == 3 { packet.decodingTime -= 2 }
  if i < 2 { packet.skippedAtStart = 1024 }
  if i == 119 { packet.skippedAtEnd = 24 }
  for n in 0..<(20 + i % 7) { packet.data.append(UInt8(truncatingIfNeeded: i * 31 + n * 7)) }
  return packet
}

private func sample() throws -> Container {
  var track = CopiedTrack(codec: "aac", timeBase: Rational(exactly: 1, 44_100)!, sampleRate: 44_100, layout: .stereo)
  (track.extradata, track.frameSize, track.initialPadding, track.language) = ([0x12, 0x10], 1024, 2048, "deu")
  var writer = try CopiedTrackWriter(track)
  var container = Container(tracks: [writer.header], hasIndex: true)
  for packet in packets { if let payload = try writer.append(packet) { container.payloads.append(payload) } }
  if let payload = try writer.finish() { container.payloads.append(payload) }
  return container
}

@Suite struct CopiedSoundFileTests {
  @Test func thereAndBack() throws {
    let file = try sample()
    #expect(file.payloads.count == 3)
    #expect(file.payloads.map(\.start) == [0, 44_032, 90_112] && file.payloads.allSatisfy(\.isRandomAccess))
    #expect(try outcome(file.serialised())?.get() == packets)
    // From the midst.
    var reader = try CopiedTrackReader(file.tracks[0])
    let rest = try reader.packets(of: file.payloads[2])
    #expect(rest == packets.suffix(rest.count))
    reader.seek()
    #expect(try reader.packets(of: file.payloads[0]) == Array(packets.prefix(45)))
    #expect(try CopiedTrackReader(file.tracks[0]).track.language == "deu")
  }

  @Test func flippedBitsAndCutsAreFound() throws {
    let bytes = try sample().serialised()
    for place in bytes.indices {
      var bad = bytes
      bad[place] ^= 1 << UInt8(place % 8)
      guard case .failure? = outcome(bad) else {
        Issue.record("byte \(place) may be changed")
        continue
      }
      guard case .failure? = outcome(Array(bytes[..<place])) else {
        Issue.record("\(place) bytes are read")
        continue
      }
    }
  }

  /// Behind right checksums: refused, or packets in order.
  @Test func damagedPayloadsEndInOrder() throws {
    let good = try sample()
    var (refused, accepted) = (0, 0)
    for trial in 0..<3000 {
      var file = good
      let payload = trial % file.payloads.count
      var data = Array(file.payloads[payload].data)
      data[trial * 31 % data.count] ^= UInt8(truncatingIfNeeded: 1 + trial * 7)
      if trial % 5 == 0 { data.removeLast(trial % data.count) }
      file.payloads[payload].data = data[...]
      switch outcome(try file.serialised()) {
      case .success(let packets):
        accepted += 1
        #expect(zip(packets, packets.dropFirst()).allSatisfy { $0.time <= $1.time })
      case .failure(let error):
        refused += 1
        #expect([.malformed, .limitExceeded].contains(error.code))
      case nil: break
      }
    }
    #expect(refused > 500 && accepted > 500 && refused + accepted == 3000)
  }

  @Test func payloadsHaveToFitTogether() throws {
    let good = try sample()
    func code(_ change: (inout Container) -> Void) throws -> CodecError.Code? {
      var file = good
      change(&file)
      if case .failure(let error)? = outcome(try file.serialised()) { return error.code }
      return nil
    }
    #expect(try code { _ in } == nil)
    #expect(try code { $0.payloads.remove(at: 1) } == nil)  // packets that are missing are a gap
    #expect(try code { $0.payloads[1].start = 1 } == .malformed)  // before the last packet
    #expect(try code { $0.payloads[0].start = 7 } == .malformed)  // early, and not at 0
    #expect(try code { $0.payloads[1].data = [] } == .malformed)
    #expect(try code { $0.payloads[1].start = 1 << 62; $0.payloads.removeLast() } == .malformed)
    #expect(try code { $0.tracks[0].codec = 5 } == .unsupported)
    #expect(try code { $0.tracks[0].modality = .video } == .unsupported)
    #expect(try code { $0.tracks[0].model = 1 } == .malformed)
    #expect(try code { $0.tracks[0].timeBase = TimeBase(numerator: 1, denominator: 1 << 31) } == .malformed)
    #expect(try code { $0.tracks[0].configuration = [] } == .malformed)
  }

  @Test func writersRefuseWhatCannotBeRead() throws {
    let track = CopiedTrack(codec: "aac", timeBase: Rational(exactly: 1, 44_100)!, sampleRate: 44_100, layout: .stereo)
    func refuses(_ change: (inout CopiedTrack) -> Void) -> Bool {
      var bad = track
      change(&bad)
      return (try? CopiedTrackWriter(bad)) == nil
    }
    #expect(!refuses { _ in })
    #expect(refuses { $0.codec = "" } && refuses { $0.sampleRate = 0 } && refuses { $0.bitRate = -1 } && refuses { $0.frameSize = 1 << 30 })
    #expect(refuses { $0.extradata = [UInt8](repeating: 0, count: 1 << 18 + 1) } && refuses { $0.language = "far too long a language" })
    var writer = try CopiedTrackWriter(track)
    _ = try writer.append(CopiedPacket(time: 5, duration: 1, data: []))
    #expect(throws: CodecError.self) { try writer.append(CopiedPacket(time: 4, duration: 1, data: [])) }
    #expect(throws: CodecError.self) { try writer.append(CopiedPacket(time: 1 << 60, duration: 1, data: [])) }
    // Packets that are no keys stay together, up to a number; then a payload goes on from the one before.
    writer = try CopiedTrackWriter(track)
    var payloads: [Payload] = []
    for i in 0..<5000 {
      if let payload = try writer.append(CopiedPacket(time: Int64(i * 1024), duration: 1024, isKey: i == 0, data: [1])) { payloads.append(payload) }
    }
    if let payload = try writer.finish() { payloads.append(payload) }
    #expect(payloads.map(\.isRandomAccess) == [true, false])
    let file = Container(tracks: [writer.header], payloads: payloads)
    #expect(try outcome(file.serialised())?.get().count == 5000)
  }
}
