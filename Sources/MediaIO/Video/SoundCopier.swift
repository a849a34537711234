import CLibAV
import Media

/// Takes a sound stream's packets as they are.
struct SoundCopier {
  let track: CopiedTrack
  let stream: Int
  private let library: LibAVFormat
  private var trimmer: PacketTrimmer
  /// Samples that packets to come have to skip, as one has not enough.
  private var owed = 0
  /// Samples by which an MP4 file's edit list ends early for being coarse.
  private let excess: Int
  private var last: Int64?
  private var isHeard = false

  /// What a codec's header may have.
  static let maximumExtradata = 1 << 18

  /// `stretch`: in ticks of `timeBase`, of the file's own time. `excess`: of
  /// `RoundedEdits`. Nil for a track that cannot be copied, and `reason` says why.
  init?(
    _ library: LibAVFormat, _ stream: UnsafeMutablePointer<AVStream>, _ stretch: VideoStretch, in timeBase: Rational, excess: Int,
    reason: inout String
  ) {
    let parameters = stream.pointee.codecpar.pointee
    let codec = library.name(of: parameters.codec_id)
    let base = stream.pointee.time_base
    guard let own = Rational(exactly: Int(base.num), Int(base.den)), (1...AudioFormat.maximumSampleRate).contains(Int(parameters.sample_rate)),
      let layout = try? ChannelLayout(
        count: Int(parameters.ch_layout.nb_channels),
        mask: parameters.ch_layout.order == AV_CHANNEL_ORDER_NATIVE ? parameters.ch_layout.u.mask : 0),
      library.codecNamed(codec)?.pointee.id == parameters.codec_id, parameters.extradata_size <= Self.maximumExtradata,
      let origin = timeBase.rescale(stretch.first, to: own)
    else {
      reason = "its sound (\(codec)) was left out: what its decoder must know cannot be kept"
      return nil
    }
    self.stream = Int(stream.pointee.index)
    self.library = library
    var track = CopiedTrack(codec: codec, timeBase: own, sampleRate: Int(parameters.sample_rate), layout: layout)
    if let data = parameters.extradata { track.extradata = Array(UnsafeBufferPointer(start: data, count: Int(parameters.extradata_size))) }
    func positive(_ number: some BinaryInteger) -> Int { number > 0 && number <= 1 << 40 ? Int(number) : 0 }
    track.bitRate = positive(parameters.bit_rate)
    track.bitsPerCodedSample = positive(parameters.bits_per_coded_sample)
    track.bitsPerRawSample = positive(parameters.bits_per_raw_sample)
    track.blockAlign = positive(parameters.block_align)
    track.frameSize = positive(parameters.frame_size)
    track.profile = positive(Int(parameters.profile) + 1)
    track.initialPadding = positive(parameters.initial_padding)
    track.seekPreroll = positive(parameters.seek_preroll)
    let language = library.entries(of: stream.pointee.metadata).first { $0.key.lowercased() == "language" }?.value ?? ""
    if language != "und", language.utf8.count <= 16 { track.language = language }
    self.track = track
    self.excess = excess
    trimmer = PacketTrimmer(
      track, origin: origin, from: stretch.isCutAtStart ? origin : nil, to: stretch.end.flatMap { timeBase.rescale($0, to: own) })
  }

  var isDone: Bool { trimmer.isDone }

  /// What is to be kept, now that this packet of the stream has come.
  mutating func take(_ packet: UnsafePointer<AVPacket>, container: String) -> [CopiedPacket] {
    guard packet.pointee.size > 0, let data = packet.pointee.data else { return [] }
    let (stated, decoding) = (packet.pointee.pts, packet.pointee.dts)
    let time = stated != LibAVFormat.noTime ? stated : decoding != LibAVFormat.noTime ? decoding : last ?? 0
    let isLeftOut = packet.pointee.flags & AV_PKT_FLAG_DISCARD != 0
    // Behind the end of an edit list nothing is needed.
    guard abs(time) < 1 << 60, !isLeftOut || !isHeard else { return [] }
    isHeard = isHeard || !isLeftOut
    let full = track.frameSize > 0 ? samplesAsTicks(track.frameSize) : 0
    var duration = Int64(Int32(truncatingIfNeeded: packet.pointee.duration))
    // Where an edit list ends before the last packet does, libavformat has shortened its duration, below 0 even.
    var cut = 0
    if container == "mov", full > 0, duration < full, !isLeftOut, isOneFrameLong {
      cut = max(0, ticksAsSamples(full - duration) - excess)
      duration = full
    }
    duration = max(0, duration == 0 ? full : duration)
    var kept = CopiedPacket(
      time: max(time, last ?? time), decodingTime: decoding == LibAVFormat.noTime || decoding == stated ? nil : decoding, duration: duration,
      isKey: packet.pointee.flags & AV_PKT_FLAG_KEY != 0,
      data: Array(UnsafeBufferPointer(start: data, count: Int(packet.pointee.size))))
    let count = ticksAsSamples(duration)
    var size = 0
    if let skips = library.sideData(packet, AV_PKT_DATA_SKIP_SAMPLES, &size), size >= 8 {
      // Little-endian numbers of samples to leave out at the beginning, of this packet and those after, and at the end.
      let numbers = (0..<2).map { n in (0..<4).reduce(0) { $0 | Int(skips[4 * n + $1]) << (8 * $1) } }
      owed = numbers[0]
      // Ogg has it in the duration already.
      if container != "ogg" { cut = max(cut, numbers[1]) }
    }
    if isLeftOut { owed = max(owed, count) }
    kept.skippedAtStart = min(owed, count)
    owed -= kept.skippedAtStart
    kept.skippedAtEnd = min(cut, count - kept.skippedAtStart)
    last = kept.time
    return trimmer.trim(kept)
  }

  /// Codecs whose packets all have `frameSize` samples, so that a shorter one was cut.
  private var isOneFrameLong: Bool { ["aac", "mp3", "ac3", "eac3", "alac"].contains(track.codec) }

  private var perSample: Rational { Rational(exactly: 1, track.sampleRate) ?? .one }
  private func samplesAsTicks(_ samples: Int) -> Int64 { perSample.rescale(Int64(samples), to: track.timeBase) ?? 0 }
  private func ticksAsSamples(_ ticks: Int64) -> Int { Int(track.timeBase.rescale(ticks, to: perSample) ?? 0) }
}
