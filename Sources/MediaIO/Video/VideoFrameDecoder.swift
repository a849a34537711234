import CLibAV
import Glibc
import Media

/// What becomes of packets that cannot be decoded as they should be.
package enum DamagePolicy: Sendable {
  /// Left out and counted; frames that a decoder patched up are taken and counted.
  case skip
  /// An error at the first.
  case refuse
}

extension ImageLimits {
  /// What decoders hold their own sizes against: they code somewhat more than is shown.
  var maxCodedPixels: Int64 { Int64(maxPixels) + Int64(maxPixels) / 4 + 1 << 16 }
}

/// A decoder of libavcodec for one video stream.
final class VideoFrameDecoder {
  let library: LibAVFormat
  private let name: String
  private let policy: DamagePolicy
  private var opened: UnsafeMutablePointer<AVCodecContext>?
  private var frame: UnsafeMutablePointer<AVFrame>?
  private var isDraining = false
  private var packets = 0
  private(set) var damagedPackets = 0
  private(set) var patchedFrames = 0

  /// Throws `MediaIOError`: `unsupported` for a codec without decoder here, `tooLarge`.
  init(
    _ library: LibAVFormat, _ parameters: UnsafePointer<AVCodecParameters>, timeBase: AVRational, threads: Int, limits: ImageLimits,
    damage policy: DamagePolicy, named name: String
  ) throws(MediaIOError) {
    (self.library, self.policy, self.name) = (library, policy, name)
    let codecName = library.name(of: parameters.pointee.codec_id)
    guard let codec = library.av.findDecoder(parameters.pointee.codec_id) else {
      throw MediaIOError(.unsupported, at: name, "this libavcodec has no decoder for \(codecName)")
    }
    // Headers may leave the size open; the decoder holds what it finds against max_pixels.
    if parameters.pointee.width > 0 || parameters.pointee.height > 0 {
      try limits.check(width: Int(parameters.pointee.width), height: Int(parameters.pointee.height), named: codecName)
    }
    opened = library.av.allocateContext(codec)
    frame = library.av.allocateFrame()
    guard let opened, frame != nil else { throw failure(-ENOMEM) }
    var status = library.contextFromParameters(opened, parameters)
    guard status >= 0 else { throw failure(status) }
    opened.pointee.pkt_timebase = timeBase
    opened.pointee.thread_count = Int32(threads)
    opened.pointee.max_pixels = limits.maxCodedPixels
    if policy == .refuse { opened.pointee.err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE }
    status = library.av.open(opened, codec, nil)
    guard status >= 0 else { throw failure(status) }
  }

  deinit {
    library.av.freeContext(&opened)
    library.av.freeFrame(&frame)
  }

  var context: UnsafeMutablePointer<AVCodecContext> { opened! }

  /// Nil: there is no more. All frames must have been received. Throws `MediaIOError`.
  func send(_ packet: UnsafeMutablePointer<AVPacket>?) throws(MediaIOError) {
    let status = library.av.sendPacket(context, packet)
    if packet == nil { isDraining = true } else { packets += 1 }
    if status < 0 { try note(status) }
  }

  /// The next frame, valid until the next call; nil where it takes a packet first, and at the end. Throws `MediaIOError`.
  func receive() throws(MediaIOError) -> UnsafeMutablePointer<AVFrame>? {
    guard let frame else { return nil }
    while true {
      let status = library.av.receiveFrame(context, frame)
      switch status {
      case 0...:
        if frame.pointee.flags & AV_FRAME_FLAG_CORRUPT != 0 || frame.pointee.decode_error_flags != 0 {
          if policy == .refuse { throw damage("a frame has faults") }
          patchedFrames += 1
        }
        return frame
      case -EAGAIN, LibAVFormat.end: return nil
      default:
        try note(status)
        // A decoder that fails while it is drained has nothing left to say.
        if isDraining { return nil }
      }
    }
  }

  private func note(_ status: Int32) throws(MediaIOError) {
    switch status {
    case -EAGAIN, LibAVFormat.end: return
    case -ENOMEM: throw failure(status)
    default:
      if policy == .refuse { throw damage(library.av.reason(status)) }
      damagedPackets += 1
    }
  }

  private func damage(_ reason: String) -> MediaIOError {
    MediaIOError(.damaged, at: name, "at packet \(packets) of its video: \(reason)")
  }

  private func failure(_ status: Int32) -> MediaIOError {
    MediaIOError(status == -ENOMEM ? .outOfMemory : .unsupported, at: name, "libavcodec: \(library.av.reason(status))")
  }
}
