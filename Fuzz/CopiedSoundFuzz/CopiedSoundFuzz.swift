// Copied sound (codec 7) under libFuzzer: any bytes either are packets in order, which are written and read to the same again, or are refused.
// The first byte says what the rest is: a configuration; a payload; a payload behind a good one; a file without checksums.

private let header: TrackHeader = {
  var track = CopiedTrack(codec: "opus", timeBase: Rational(exactly: 1, 48_000)!, sampleRate: 48_000, layout: .stereo)
  track.extradata = Array("OpusHead".utf8)
  return try! CopiedTrackWriter(track).header
}()

private func demand(_ condition: Bool, _ rule: String) {
  if !condition { fatalError("not so: \(rule)") }
}

private func checkOrder(_ packets: [CopiedPacket]) {
  demand(zip(packets, packets.dropFirst()).allSatisfy { $0.time <= $1.time }, "times ascend")
  demand(packets.allSatisfy { $0.duration >= 0 && $0.skippedAtStart >= 0 && $0.skippedAtEnd >= 0 }, "nothing is negative")
}

/// Writes packets anew, reads them, and cuts them.
private func exercise(_ packets: [CopiedPacket], _ track: CopiedTrack) {
  checkOrder(packets)
  guard var writer = try? CopiedTrackWriter(track) else { fatalError("not so: a track that was read can be written") }
  demand((try? CopiedTrackReader(writer.header).track) == track, "a track goes there and back")
  var payloads: [Payload] = []
  do {
    for packet in packets { if let payload = try writer.append(packet) { payloads.append(payload) } }
    if let payload = try writer.finish() { payloads.append(payload) }
  } catch {
    // Times may be further apart than one payload can say.
    return
  }
  var reader = try! CopiedTrackReader(writer.header)
  var back: [CopiedPacket] = []
  for payload in payloads {
    guard let more = try? reader.packets(of: payload) else { fatalError("not so: what was written is read") }
    back += more
  }
  demand(back == packets, "packets go there and back")
  guard let first = packets.first, let last = packets.last else { return }
  let (start, end) = (first.time + (last.time - first.time) / 3, last.time)
  var trimmer = PacketTrimmer(track, origin: start, from: start, to: end)
  let cut = packets.flatMap { trimmer.trim($0) }
  checkOrder(cut)
  demand(cut.allSatisfy { $0.time < end - start }, "a stretch ends where it should")
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzCopiedSound(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard let mode = input.first else { return 0 }
  let rest = input[1...]
  switch mode & 3 {
  case 0:
    var track = header
    track.configuration = rest
    if let reader = try? CopiedTrackReader(track) {
      guard let writer = try? CopiedTrackWriter(reader.track) else { fatalError("not so: a track that was read can be written") }
      demand(Array(writer.header.configuration) == Array(rest), "a configuration that was read is written alike")
    }
  case 1, 2:
    if let run = try? CopiedPackets(parsing: rest) {
      demand((try? run.serialised()) == Array(rest), "a payload that was read is written alike")
    }
    var reader = try! CopiedTrackReader(header)
    var packets: [CopiedPacket] = []
    if mode & 3 == 2 {
      var writer = try! CopiedTrackWriter(reader.track)
      _ = try! writer.append(CopiedPacket(time: -312, duration: 960, data: [1, 2, 3]))
      packets += try! reader.packets(of: writer.finish()!)
    }
    let payload = Payload(start: UInt64(mode >> 2) * 40, data: rest)
    if let more = try? reader.packets(of: payload) { exercise(packets + more, reader.track) }
  default:
    let limits = ContainerLimits(maxFileBytes: 1 << 20, maxChunkBytes: 1 << 18, maxChunks: 64, maxTracks: 4, maxMetadataBytes: 1 << 12)
    guard let file = try? Container(reading: (Magic.bytes + [1, 0] + rest)[...], limits: limits, checksums: .ignored) else { return 0 }
    for (number, track) in file.tracks.enumerated() {
      guard var reader = try? CopiedTrackReader(track) else { continue }
      var packets: [CopiedPacket] = []
      for payload in file.payloads where payload.track == number {
        guard let more = try? reader.packets(of: payload) else { break }
        packets += more
      }
      exercise(packets, reader.track)
    }
  }
  return 0
}
