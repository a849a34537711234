/// Cuts packets of a copied track to a stretch of time, and counts their times from another beginning.
///
/// Packets that overlap the stretch are kept whole; what lies outside is marked as skipped. Packets before it that a decoder has to have seen go
/// along, skipped throughout: of `seekPreroll` samples, and one in any case.
package struct PacketTrimmer: Sendable {
  private let track: CopiedTrack
  /// Ticks, in the packets' own time: what becomes 0, where the stretch begins, and where it ends.
  private let origin: Int64
  private let start: Int64
  private let end: Int64
  private let preroll: Int64
  private let perSample: Rational
  /// Before the stretch; nothing has been given yet.
  private var before: [CopiedPacket] = []
  private var hasBegun: Bool
  /// Whether no packet that overlaps can come any more.
  package private(set) var isDone = false

  /// Ticks of the track, in the packets' own time: `origin` becomes 0; the stretch is from `start` up to `end`, nil for the track's own.
  package init(_ track: CopiedTrack, origin: Int64, from start: Int64? = nil, to end: Int64? = nil) {
    (self.track, self.origin, self.start, self.end) = (track, origin, start ?? .min, end ?? .max)
    hasBegun = start == nil
    perSample = Rational(exactly: 1, max(1, track.sampleRate)) ?? .one
    preroll = perSample.rescale(Int64(track.seekPreroll), to: track.timeBase) ?? 0
  }

  /// What is to be kept, now that this packet has come, in order.
  package mutating func trim(_ packet: CopiedPacket) -> [CopiedPacket] {
    if packet.time >= end { isDone = true }
    if isDone { return [] }
    let finish = packet.time + packet.duration
    guard hasBegun || (finish > start && samples(packet.duration) > packet.skippedAtStart + packet.skippedAtEnd) else {
      before.append(packet)
      dropNeedless()
      return []
    }
    var kept = packet
    kept.skippedAtStart = max(packet.skippedAtStart, start > packet.time ? samples(start - packet.time) : 0)
    kept.skippedAtEnd = max(packet.skippedAtEnd, finish > end ? samples(finish - end) : 0)
    if hasBegun { return [moved(kept)] }
    hasBegun = true
    defer { before = [] }
    return before.map { early in
      var early = early
      early.skippedAtStart = samples(early.duration)
      early.skippedAtEnd = 0
      return moved(early)
    } + [moved(kept)]
  }

  /// Of those before, keeps what the next one may need.
  private mutating func dropNeedless() {
    guard let last = before.last else { return }
    let finish = min(last.time + last.duration, start)
    // The last key packet that begins early enough, and what follows it.
    if let first = before.lastIndex(where: { $0.isKey && $0.time <= finish - preroll - 1 }) { before.removeFirst(first) }
    if before.count > 4096 { before.removeFirst(before.count - 4096) }
  }

  private func moved(_ packet: CopiedPacket) -> CopiedPacket {
    var packet = packet
    packet.time -= origin
    packet.decodingTime -= origin
    return packet
  }

  private func samples(_ ticks: Int64) -> Int { Int(track.timeBase.rescale(ticks, to: perSample) ?? 0) }
}
