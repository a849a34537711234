import AudioCodec
import Bitstream
import Media

/// A coded sound track's place in a video's file: what its encoder makes goes to `keep`.
// bitstream-spec 14.2
final class SoundBesideVideo: SoundOutput {
  private(set) var byteCount = 0
  /// Of the track chunk; the encoder says it when it is made.
  private(set) var header: TrackHeader?
  private let keep: (Payload) throws -> Void
  /// The number that the container gives the track.
  var number: UInt32 = 0

  init(keep: @escaping (Payload) throws -> Void) { self.keep = keep }

  /// A video's file has no place for a sound's tags.
  func begin(_ track: TrackHeader, tags: [AudioTag]) { header = track }

  func append(_ payload: Payload) throws {
    var payload = payload
    payload.track = number
    byteCount += payload.data.count
    try keep(payload)
  }

  func finish() -> Int { byteCount }
}
