import CLibAV
import Glibc
import Media

/// What is wanted of a file's time, in ticks of its video.
struct VideoStretch {
  /// Becomes time 0.
  var first: Int64
  /// Whether something before `first` is left out that way.
  var isCutAtStart: Bool
  /// Nil: to the file's end.
  var end: Int64?
}

/// A file whose first frame, or first after a place that was sought, has been decoded.
struct OpenedVideo {
  let demuxer: Demuxer
  let stream: VideoStream
  let decoder: VideoFrameDecoder
  let packets: VideoPackets
  let stretch: VideoStretch
  let timeBase: Rational
  /// Frames a second.
  let rate: Rational?
  let rateIsAssumed: Bool
  let frameCount: Int?
  /// The decoder's, until it is asked for the next.
  let frame: UnsafeMutablePointer<AVFrame>

  /// Throws `MediaIOError`.
  init(_ path: String, after start: [UInt8], _ options: VideoReader.Options) throws {
    if let opened = try OpenedVideo(path, after: start, options, seeks: options.start > 0) {
      self = opened
    } else if let opened = try OpenedVideo(path, after: start, options, seeks: false) {
      self = opened
    } else {
      preconditionFailure("nil only after seeking")
    }
  }

  /// Nil where seeking went past what is wanted.
  private init?(_ path: String, after start: [UInt8], _ options: VideoReader.Options, seeks: Bool) throws {
    demuxer = try Demuxer(
      MediaInput(path, after: start), for: "video", codecOptions: [("max_pixels", "\(options.limits.maxCodedPixels)")], limits: options.limits)
    stream = try VideoStream(demuxer)
    let (library, name) = (demuxer.library, demuxer.input.name)
    decoder = try VideoFrameDecoder(
      library, stream.pointer.pointee.codecpar, timeBase: stream.pointer.pointee.time_base, threads: options.threads, limits: options.limits,
      damage: options.damage, named: name)
    let isRaw = stream.isRaw
    var stretch = VideoStretch(first: isRaw ? 0 : stream.origin, isCutAtStart: options.start > 0, end: nil)
    if !isRaw { stretch.cut(options, in: stream.timeBase) }
    packets = try VideoPackets(demuxer, stream, stretch, options)
    var isSought = false
    if seeks, !isRaw, demuxer.input.byteCount != nil {
      // A second earlier, for what sound needs before.
      let target = stretch.first - Int64((stream.timeBase.reciprocal.value).rounded(.up))
      isSought = library.seekFile(demuxer.context, stream.pointer.pointee.index, .min, target, target, 0) >= 0
      // Where a format cannot, it may be anywhere now.
      if !isSought { return nil }
    }
    guard let frame = try packets.receive(decoder) else {
      if isSought { return nil }
      throw Self.nothing(name, stream.codec, decoder)
    }
    self.frame = frame
    let time = frame.pointee.best_effort_timestamp
    if isSought, time == LibAVFormat.noTime || time > stretch.first { return nil }
    if !isRaw {
      // Streams may say that they begin later than they do.
      if options.start == 0, time != LibAVFormat.noTime, abs(time) < 1 << 60 { stretch.first = min(stretch.first, time) }
      (self.stretch, timeBase, rate, rateIsAssumed) = (stretch, stream.timeBase, stream.frameRate, false)
    } else {
      let own = decoder.context.pointee.framerate
      var said = Rational(exactly: Int(own.num), Int(own.den))
      if let rate = said, !(0.01...1000).contains(rate.value) { said = nil }
      let rate = options.rate ?? said ?? Rational(exactly: 25, 1)!
      (self.rate, timeBase, rateIsAssumed) = (rate, rate.reciprocal, options.rate == nil && said == nil)
      stretch.cut(options, in: rate.reciprocal)
      self.stretch = stretch
    }
    let count = stream.frameCount.map { Double($0) }
    let rate = self.rate
    let isWhole = options.start == 0 && options.duration == nil
    frameCount = isWhole ? (isRaw ? nil : stream.frameCount) : rate.flatMap { rate in
      let whole = isRaw ? nil : count
      let left = whole.map { $0 - options.start * rate.value }
      let wanted = options.duration.map { $0 * rate.value }
      return [left, wanted].compactMap { $0 }.min().map { max(1, Int(min($0, 1e12).rounded())) }
    }
  }

  /// Why there is no frame.
  static func nothing(_ name: String, _ codec: String, _ decoder: VideoFrameDecoder) -> MediaIOError {
    decoder.damagedPackets > 0
      ? MediaIOError(.damaged, at: name, "nothing of its \(codec) could be decoded") : MediaIOError(.empty, at: name, "its video has no frames")
  }
}

extension VideoStretch {
  /// Seconds to ticks, to the nearest.
  mutating func cut(_ options: VideoReader.Options, in timeBase: Rational) {
    let perSecond = timeBase.reciprocal.value
    first += Int64((options.start * perSecond).rounded())
    end = options.duration.map { first + max(1, Int64(min($0 * perSecond, 1e17).rounded())) }
  }
}

/// Hands a file's packets to the decoder of its video, and keeps those of its sound.
final class VideoPackets {
  let tracks: [CopiedTrack]
  private(set) var notices: [String] = []
  /// Why there is no more, where that is not the file's end.
  private(set) var earlyEnd: String?

  private let demuxer: Demuxer
  private let video: Int
  private let policy: DamagePolicy
  private var copiers: [SoundCopier] = []
  /// What has been met and not been taken, from `taken` on.
  private var queue: [(track: Int, packet: CopiedPacket)] = []
  private var taken = 0
  private var packet: UnsafeMutablePointer<AVPacket>?
  private var isAtEnd = false
  private var isStopped = false

  init(_ demuxer: Demuxer, _ stream: VideoStream, _ stretch: VideoStretch, _ options: VideoReader.Options) throws(MediaIOError) {
    (self.demuxer, policy) = (demuxer, options.damage)
    video = Int(stream.pointer.pointee.index)
    packet = demuxer.library.av.allocatePacket()
    if options.copiesSound, !stream.isRaw {
      for other in demuxer.streams where other.pointee.codecpar.pointee.codec_type == AVMEDIA_TYPE_AUDIO {
        var reason = ""
        var excess = 0
        if demuxer.container == "mov", demuxer.input.byteCount != nil {
          excess = try RoundedEdits(demuxer, demuxer.input.name, track: Int(other.pointee.index))?.excess ?? 0
        }
        if let copier = SoundCopier(demuxer.library, other, stretch, in: stream.timeBase, excess: excess, reason: &reason) {
          copiers.append(copier)
        } else {
          notices.append(reason)
        }
      }
    }
    tracks = copiers.map(\.track)
    for other in demuxer.streams where other != stream.pointer && !copiers.contains(where: { $0.stream == Int(other.pointee.index) }) {
      other.pointee.discard = AVDISCARD_ALL
    }
    if packet == nil { throw MediaIOError(.outOfMemory, at: demuxer.input.name, "no memory") }
  }

  deinit { demuxer.library.av.freePacket(&packet) }

  /// The decoder's next frame; nil at the end. Throws `MediaIOError`.
  func receive(_ decoder: VideoFrameDecoder) throws(MediaIOError) -> UnsafeMutablePointer<AVFrame>? {
    if isStopped { return nil }
    while true {
      if let frame = try decoder.receive() { return frame }
      if isAtEnd { return nil }
      try read { packet throws(MediaIOError) in try decoder.send(packet) }
    }
  }

  /// No more frames are wanted.
  func stop() { isStopped = true }

  /// Meets what is left of the sound that is wanted. Throws `MediaIOError`.
  func finishSound() throws(MediaIOError) {
    while !isAtEnd, copiers.contains(where: { !$0.isDone }) { try read { _ in } }
  }

  func nextSound() -> (track: Int, packet: CopiedPacket)? {
    guard taken < queue.count else { return nil }
    taken += 1
    let next = queue[taken - 1]
    if taken == queue.count || taken >= 1024 {
      queue.removeFirst(taken)
      taken = 0
    }
    return next
  }

  /// One packet; those of the video, and nil at the end, go to `use`.
  private func read(_ use: (UnsafeMutablePointer<AVPacket>?) throws(MediaIOError) -> Void) throws(MediaIOError) {
    guard let packet else { return }
    let av = demuxer.library.av
    let status = demuxer.library.readFrame(demuxer.context, packet)
    if let failure = demuxer.input.failure { throw failure }
    guard status >= 0 else {
      if status == -ENOMEM { throw MediaIOError(.outOfMemory, at: demuxer.input.name, "no memory") }
      if status != LibAVFormat.end {
        if policy == .refuse { throw MediaIOError(.damaged, at: demuxer.input.name, "it ends early: \(av.reason(status))") }
        earlyEnd = av.reason(status)
      }
      isAtEnd = true
      try use(nil)
      return
    }
    defer { av.clearPacket(packet) }
    let stream = Int(packet.pointee.stream_index)
    if stream == video {
      try use(packet)
    } else if let track = copiers.firstIndex(where: { $0.stream == stream }) {
      for kept in copiers[track].take(packet, container: demuxer.container) { queue.append((track, kept)) }
    }
  }
}
