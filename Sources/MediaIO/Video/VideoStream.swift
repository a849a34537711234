import CLibAV
import Glibc
import Media

/// The video stream of an opened file, and what the file says of it.
struct VideoStream {
  let demuxer: Demuxer
  let pointer: UnsafeMutablePointer<AVStream>
  /// Such as "h264".
  let codec: String
  /// Whether the file has no times at all: elementary streams.
  let isRaw: Bool
  var notices: [String] = []

  /// libavformat's names of formats without times; it makes some up.
  private static let elementary: Set = [
    "h264", "hevc", "m4v", "mpegvideo", "h263", "h261", "vc1", "cavsvideo", "avs2", "avs3", "dirac", "dnxhd", "mjpeg", "obu",
  ]

  /// Throws `MediaIOError`: `noVideo`, `unsupported`.
  init(_ demuxer: Demuxer) throws(MediaIOError) {
    self.demuxer = demuxer
    let (library, name) = (demuxer.library, demuxer.input.name)
    let all = demuxer.streams
    func kind(_ stream: UnsafeMutablePointer<AVStream>) -> AVMediaType { stream.pointee.codecpar.pointee.codec_type }
    let covers = all.count(where: \.isAttachedPicture)
    // A cover may be what libavformat finds best, if it is large.
    var best = library.findBestStream(demuxer.context, AVMEDIA_TYPE_VIDEO, -1, -1, nil, 0)
    if best >= 0, all[Int(best)].isAttachedPicture {
      best = Int32(all.firstIndex { kind($0) == AVMEDIA_TYPE_VIDEO && !$0.isAttachedPicture } ?? -1)
    }
    guard best >= 0 else {
      let cover = covers > 0 ? " but a cover, which is a picture" : ""
      if let sound = all.first(where: { kind($0) == AVMEDIA_TYPE_AUDIO }) {
        let codec = library.name(of: sound.pointee.codecpar.pointee.codec_id)
        throw MediaIOError(.noVideo, at: name, "has sound (\(codec)) and no video\(cover): sound alone is for the codec of sound, mdct")
      }
      throw MediaIOError(.noVideo, at: name, "has no video\(cover) (\(demuxer.container))")
    }
    pointer = all[Int(best)]
    codec = library.name(of: pointer.pointee.codecpar.pointee.codec_id)
    isRaw = Self.elementary.contains(demuxer.container)
    let videos = all.count { kind($0) == AVMEDIA_TYPE_VIDEO && !$0.isAttachedPicture }
    if videos > 1 { notices.append("of \(videos) video tracks the best was read, number \(best)") }
    guard pointer.pointee.time_base.num > 0, pointer.pointee.time_base.den > 0 else {
      throw MediaIOError(.damaged, at: name, "its ticks have no length")
    }
  }

  /// Of a file with times.
  var timeBase: Rational {
    let base = pointer.pointee.time_base
    return Rational(exactly: Int(base.num), Int(base.den)) ?? .one
  }

  /// Frames a second; nil where nothing sensible is said.
  var frameRate: Rational? {
    let rate = demuxer.library.guessFrameRate(demuxer.context, pointer, nil)
    guard let rate = Rational(exactly: Int(rate.num), Int(rate.den)), (0.01...1000).contains(rate.value) else { return nil }
    return rate
  }

  /// As the headers say, or about as many; nil where they do not.
  var frameCount: Int? {
    if pointer.pointee.nb_frames > 0 { return Int(pointer.pointee.nb_frames) }
    guard let rate = frameRate else { return nil }
    let (ticks, whole) = (pointer.pointee.duration, demuxer.context.pointee.duration)
    let seconds = ticks > 0 ? Double(ticks) * timeBase.value : whole > 0 && !isRaw ? Double(whole) / Double(AV_TIME_BASE) : 0
    let count = (seconds * rate.value).rounded()
    return count >= 1 && count < 1e12 ? Int(count) : nil
  }

  /// When the last frame ends, in ticks, where the headers say it; nil where they do not.
  var end: Int64? {
    let (start, duration) = (pointer.pointee.start_time, pointer.pointee.duration)
    guard demuxer.container == "mov", duration > 0, duration < 1 << 60, start != LibAVFormat.noTime, abs(start) < 1 << 60 else { return nil }
    return start + duration
  }

  /// The earliest of the starts of video and sound, in ticks of the video.
  var origin: Int64 {
    var first: Int64?
    for stream in demuxer.streams where !stream.isAttachedPicture {
      let type = stream.pointee.codecpar.pointee.codec_type
      guard type == AVMEDIA_TYPE_VIDEO || type == AVMEDIA_TYPE_AUDIO, stream.pointee.start_time != LibAVFormat.noTime else { continue }
      let base = stream.pointee.time_base
      // Sound before 0 only prepares its decoder.
      let stated = type == AVMEDIA_TYPE_AUDIO ? max(0, stream.pointee.start_time) : stream.pointee.start_time
      guard let own = Rational(exactly: Int(base.num), Int(base.den)), let start = own.rescale(stated, to: timeBase) else { continue }
      first = min(first ?? start, start)
    }
    return first ?? 0
  }

  var sampleAspectRatio: Rational {
    let ratio = demuxer.library.guessAspectRatio(demuxer.context, pointer, nil)
    return Rational(exactly: Int(ratio.num), Int(ratio.den))?.reduced ?? .one
  }

  /// Of the stream's display matrix; nil where it does something else than to turn by quarters.
  // Nine native 32-bit integers, a b u c d v x y w, 16.16 (u, v, w 2.30): (x, y) becomes (a x + c y, b x + d y); ISO/IEC 14496-12, 6.2.2.
  var rotation: Rotation? {
    var size = 0
    guard let data = demuxer.library.streamSideData(pointer, AV_PKT_DATA_DISPLAYMATRIX, &size), size >= 36 else { return Rotation.none }
    let matrix = (0..<9).map { UnsafeRawPointer(data).loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self) }
    return Rotation.allCases.first { rotation in
      let wanted = rotation.displayMatrix(width: 0, height: 0)
      return [0, 1, 3, 4].allSatisfy { abs(Int(matrix[$0]) - Int(wanted[$0])) < 1 << 8 }
    }
  }

  /// As the headers say.
  var colour: ColourDescription {
    let parameters = pointer.pointee.codecpar.pointee
    func byte(_ number: UInt32) -> UInt8 { number < 256 ? UInt8(number) : 2 }
    return ColourDescription(
      primaries: byte(parameters.color_primaries.rawValue), transfer: byte(parameters.color_trc.rawValue),
      matrix: byte(parameters.color_space.rawValue), isFullRange: parameters.color_range == AVCOL_RANGE_JPEG,
      chromaLocation: UInt8(truncatingIfNeeded: parameters.chroma_location.rawValue))
  }
}

extension Rotation {
  /// As libav has it, of a picture stored at this size, with its upper left corner back at 0.
  func displayMatrix(width: Int, height: Int) -> [Int32] {
    let one: Int32 = 1 << 16
    let (a, b): (Int32, Int32) =
      switch self {
      case .none: (one, 0)
      case .quarter: (0, one)
      case .half: (-one, 0)
      case .threeQuarters: (0, -one)
      }
    // 16.16 holds no more.
    let (right, down) = (Int32(min(width, 32_767)) * one, Int32(min(height, 32_767)) * one)
    let (x, y): (Int32, Int32) =
      switch self {
      case .none: (0, 0)
      case .quarter: (down, 0)
      case .half: (right, down)
      case .threeQuarters: (0, right)
      }
    return [a, b, 0, -b, a, 0, x, y, 1 << 30]
  }
}

extension UnsafeMutablePointer<AVStream> {
  /// A cover, which containers list as a video.
  var isAttachedPicture: Bool { pointee.disposition & AV_DISPOSITION_ATTACHED_PIC != 0 }
}
