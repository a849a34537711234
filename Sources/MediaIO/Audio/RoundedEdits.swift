import CLibAV

/// An MP4 file whose edit list ends early only because it counts in coarse units.
///
/// An edit list leaves out the encoder's delay, and says how long the sound is in the movie's time scale, often 1/1000 or 1/600 s. The
/// track's own durations are exact. Where both differ by less than a unit, the track is believed. That takes reading the file's beginning
/// again, so what comes through a pipe ends where the edit list says.
struct RoundedEdits {
  /// Reads the track without its edit list.
  let demuxer: Demuxer
  /// Samples at the beginning that are the encoder's delay.
  let delay: Int
  /// Samples by which the edit list ends early.
  let excess: Int

  /// Nil for a track that is not so. `edited`: the file as its edit list has it.
  init?(_ edited: Demuxer, _ path: String, track: Int) throws(MediaIOError) {
    let stream = edited.streams[track].pointee
    let rate = Int(stream.codecpar.pointee.sample_rate)
    guard stream.time_base.num == 1, Int(stream.time_base.den) == rate, stream.duration > 0 else { return nil }
    demuxer = try Demuxer(MediaInput(path, after: []), options: [("ignore_editlist", "1")])
    let streams = demuxer.streams
    guard streams.count > track, streams[track].pointee.id == stream.id, let delay = try Self.delay(path, track: track) else { return nil }
    let excess = Int(streams[track].pointee.duration) - delay - Int(stream.duration)
    guard excess > 0, excess <= rate / 600 + 1 else { return nil }
    (self.delay, self.excess) = (delay, excess)
  }

  /// What the first packet says of samples to skip.
  private static func delay(_ path: String, track: Int) throws(MediaIOError) -> Int? {
    let demuxer = try Demuxer(MediaInput(path, after: []))
    var packet = demuxer.library.av.allocatePacket()
    defer { demuxer.library.av.freePacket(&packet) }
    while let packet, demuxer.library.readFrame(demuxer.context, packet) >= 0 {
      if Int(packet.pointee.stream_index) == track {
        var size = 0
        guard let data = demuxer.library.sideData(packet, AV_PKT_DATA_SKIP_SAMPLES, &size), size >= 4 else { return nil }
        return (0..<4).reduce(0) { $0 | Int(data[$1]) << (8 * $1) }
      }
      demuxer.library.av.clearPacket(packet)
    }
    return nil
  }
}
