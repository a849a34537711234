import CLibAV
import Media

/// The frames of a file that libavformat reads. `VideoReader` says what they are.
final class VideoFileInput: VideoInput {
  let format: VideoFormat
  let frameCount: Int?
  let container: String
  let codec: String
  let soundTracks: [CopiedTrack]
  private(set) var frames = 0
  private(set) var notices: [String]
  var damagedPackets: Int { decoder.damagedPackets }
  var patchedFrames: Int { decoder.patchedFrames }

  private let name: String
  private let demuxer: Demuxer
  private let stream: VideoStream
  private let decoder: VideoFrameDecoder
  private let converter: PictureConverter
  private let packets: VideoPackets
  private let greyIsLimited: Bool
  private var clock: FrameClock
  private let stretch: VideoStretch
  /// Waits for the time of the one after it, with how long it lasts if there is none.
  private var pending: VideoFrame?
  /// How long the last frame lasts, where one after it was seen that is not wanted.
  private var nextTime: Int64?
  private var isEnded = false
  /// Of the first frame.
  private let sourceSize: (Int32, Int32)
  private var resizedFrames = 0

  init(_ path: String, after start: [UInt8], _ options: VideoReader.Options) throws {
    let opened = try OpenedVideo(path, after: start, options)
    (name, demuxer, stream, decoder, packets) = (opened.demuxer.input.name, opened.demuxer, opened.stream, opened.decoder, opened.packets)
    (container, codec) = (opened.demuxer.container, opened.stream.codec)
    stretch = opened.stretch
    sourceSize = (opened.frame.pointee.width, opened.frame.pointee.height)
    let (av, isGreyLimited) = (demuxer.library.av, ["h264", "hevc", "vp9", "av1"].contains(codec))
    greyIsLimited = isGreyLimited
    var notices = opened.stream.notices + packets.notices
    soundTracks = packets.tracks

    let frame = opened.frame
    let (width, height) = (Int(frame.pointee.width), Int(frame.pointee.height))
    try options.limits.check(width: width, height: height, named: codec)
    let size = options.size ?? (width, height)
    try options.limits.check(width: size.width, height: size.height, named: "scaled")
    let colour = try PictureConverter.colour(of: frame, av, fallback: stream.colour, greyIsLimited: isGreyLimited, named: name)
    let rotation = stream.rotation
    if rotation == nil { notices.append("its display matrix, which does not turn by quarters, was left out") }
    let depth = av.pixelFormat(AVPixelFormat(frame.pointee.format)).map { Int($0.pointee.comp.0.depth) } ?? 8
    if depth > 8 { notices.append("\(depth)-bit samples were rounded to 8 bits") }
    if [16, 18].contains(colour.transfer) { notices.append("it is HDR: its transfer function was kept, light was not mapped") }
    if frame.pointee.interlaced_frame != 0 { notices.append("its frames are interlaced, and stay so") }
    if opened.rateIsAssumed { notices.append("it says nothing of its rate: \(opened.rate?.description ?? "25") frames a second were assumed") }
    format = try VideoFormat(
      width: size.width, height: size.height, timeBase: opened.timeBase, frameRate: opened.rate,
      sampleAspectRatio: Self.aspectRatio(stream.sampleAspectRatio, from: (width, height), to: size), rotation: rotation ?? .none,
      colour: colour, sourceBitDepth: min(max(depth, 1), 16))
    frameCount = opened.frameCount
    converter = PictureConverter(av, width: size.width, height: size.height, named: name)
    clock = FrameClock(
      isCounting: stream.isRaw, usual: opened.rate.flatMap { $0.reciprocal.rescale(1, to: opened.timeBase) } ?? 1)
    self.notices = notices

    // Up to the first frame that is wanted.
    pending = try convertNext(opened.frame)
    if pending == nil {
      if frames == 0, options.start > 0 || options.duration != nil, decoder.damagedPackets == 0 {
        throw MediaIOError(.empty, at: name, "no frame of its video begins between the start and the end that were asked for")
      }
      throw OpenedVideo.nothing(name, codec, decoder)
    }
  }

  func next() throws -> VideoFrame? {
    guard var current = pending else {
      if !isEnded {
        isEnded = true
        try packets.finishSound()
        addNoticesOfTheEnd()
      }
      return nil
    }
    pending = try convertNext(nil)
    if let pending {
      current.duration = pending.time - current.time
    } else {
      // Packets' durations are distances between times of decoding; those of the last frame shown may be anything.
      let ends = stream.end.map { $0 - stretch.first - current.time } ?? 0
      let own: Int64 = nextTime ?? (ends > 0 ? ends : current.duration)
      current.duration = max(1, min(own, stretch.end.map { $0 - stretch.first - current.time } ?? .max))
    }
    frames += 1
    return current
  }

  func nextSoundPacket() -> (track: Int, packet: CopiedPacket)? { packets.nextSound() }

  /// The next wanted frame, converted; nil at the end. `decoded`: one that was received already.
  private func convertNext(_ decoded: UnsafeMutablePointer<AVFrame>?) throws -> VideoFrame? {
    var decoded = decoded
    while true {
      let received = try decoded ?? packets.receive(decoder)
      decoded = nil
      guard let frame = received else { return nil }
      let stated = frame.pointee.best_effort_timestamp
      let placed = clock.place(stated == LibAVFormat.noTime ? nil : stated, duration: frame.pointee.pkt_duration)
      if placed.time < stretch.first { continue }
      let time = placed.time - stretch.first
      if let end = stretch.end, placed.time >= end {
        if let pending { nextTime = time - pending.time }
        packets.stop()
        return nil
      }
      if (frame.pointee.width, frame.pointee.height) != sourceSize { resizedFrames += 1 }
      let colour = try PictureConverter.colour(
        of: frame, demuxer.library.av, fallback: stream.colour, greyIsLimited: greyIsLimited, named: name)
      return try converter.convert(frame, colour: colour, time: time, duration: placed.duration)
    }
  }

  private static func aspectRatio(_ ratio: Rational, from: (width: Int, height: Int), to: (width: Int, height: Int)) -> Rational {
    // The whole picture's shape stays.
    guard let change = Rational(exactly: from.width * to.height, from.height * to.width)?.reduced else { return ratio }
    let up = ratio.numerator.multipliedReportingOverflow(by: change.numerator)
    let down = ratio.denominator.multipliedReportingOverflow(by: change.denominator)
    if up.overflow || down.overflow { return ratio }
    var (a, b) = (up.partialValue, down.partialValue)
    while b != 0 { (a, b) = (b, a % b) }
    return Rational(exactly: up.partialValue / a, down.partialValue / a) ?? ratio
  }

  private func addNoticesOfTheEnd() {
    func times(_ count: Int, _ one: String, _ many: String) -> String { "\(count) \(count == 1 ? one : many)" }
    if decoder.damagedPackets > 0 {
      notices.append(times(decoder.damagedPackets, "damaged packet was left out", "damaged packets were left out"))
    }
    if decoder.patchedFrames > 0 { notices.append(times(decoder.patchedFrames, "damaged frame was patched up", "damaged frames were patched up")) }
    if clock.missing > 0 { notices.append(times(clock.missing, "frame had no time", "frames had no times") + " and follow the one before") }
    if clock.moved > 0 {
      notices.append(times(clock.moved, "frame's time did", "frames' times did") + " not come after the one before and was moved")
    }
    if resizedFrames > 0 {
      notices.append(times(resizedFrames, "frame of another size was", "frames of other sizes were") + " scaled to the first one's")
    }
    if let reason = packets.earlyEnd { notices.append("it ends early (\(reason)); the \(frames) frames before that were used") }
  }
}
