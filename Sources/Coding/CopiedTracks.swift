import Bitstream
import Media

/// Puts a copied track's packets into payloads, some at a time. The inverse is `CopiedTrackReader`.
// bitstream-spec 13
package struct CopiedTrackWriter: Sendable {
  /// Of the track chunk.
  package let header: TrackHeader
  /// The number that the container gives the track.
  package var number: UInt32 = 0
  private var waiting: [CopiedPacket] = []
  private var waitingBytes = 0
  private var last: Int64?
  /// Of the payload before.
  private var lastStart: Int64 = -1
  private let ticksPerSecond: Int64

  private static let maximumBytes = 1 << 20
  private static let maximumCount = 4096

  /// Throws `CodecError` (invalidOption) for what the syntax has no room for.
  package init(_ track: CopiedTrack) throws(CodecError) {
    var configuration = CopiedTrackConfiguration()
    (configuration.codec, configuration.language) = (track.codec, track.language)
    configuration.mask = track.layout.mask
    configuration.channels = UInt32(track.layout.count)
    func put<Number: FixedWidthInteger & UnsignedInteger>(_ value: Int, _ name: String) throws(CodecError) -> Number {
      guard let number = Number(exactly: value) else {
        throw CodecError(.invalidOption, "a copied track cannot have \(name) \(value).")
      }
      return number
    }
    configuration.sampleRate = try put(track.sampleRate, "sample rate")
    configuration.bitRate = try put(track.bitRate, "bit rate")
    configuration.bitsPerCodedSample = try put(track.bitsPerCodedSample, "coded bits")
    configuration.bitsPerRawSample = try put(track.bitsPerRawSample, "meant bits")
    configuration.blockAlign = try put(track.blockAlign, "block")
    configuration.frameSize = try put(track.frameSize, "frame")
    configuration.profile = try put(track.profile, "profile")
    configuration.initialPadding = try put(track.initialPadding, "padding")
    configuration.seekPreroll = try put(track.seekPreroll, "preroll")
    configuration.header = track.extradata[...]
    let base = TimeBase(numerator: UInt32(track.timeBase.numerator), denominator: UInt32(track.timeBase.denominator))
    do {
      header = TrackHeader(
        modality: .audio, codec: CodecID.copiedPackets, timeBase: base, configuration: try configuration.serialised()[...])
    } catch {
      throw CodecError(.invalidOption, error.description)
    }
    ticksPerSecond = Int64(track.timeBase.reciprocal.value.rounded(.up))
  }

  /// Takes the next packet; gives a payload of those before it once they are many, or last a second. Throws `CodecError` (invalidOption) for
  /// times that descend, or are beyond the syntax.
  package mutating func append(_ packet: CopiedPacket) throws(CodecError) -> Payload? {
    guard packet.time >= last ?? .min, packet.duration >= 0, abs(packet.time) <= 1 << 59 else {
      throw CodecError(.invalidOption, "a packet's time, \(packet.time), does not go on from \(last ?? 0).")
    }
    var payload: Payload?
    if let first = waiting.first {
      // A payload begins where decoding can, later than the one before, unless there is no more room.
      let canBegin = packet.isKey && packet.time > max(0, first.time)
      let isLong = packet.time - first.time >= ticksPerSecond || waitingBytes >= Self.maximumBytes
      if canBegin && isLong || waiting.count == Self.maximumCount { payload = try close() }
    }
    waiting.append(packet)
    waitingBytes += packet.data.count
    last = packet.time
    return payload
  }

  /// The packets that are left; nil where there are none. Throws `CodecError` (invalidOption).
  package mutating func finish() throws(CodecError) -> Payload? { waiting.isEmpty ? nil : try close() }

  private mutating func close() throws(CodecError) -> Payload {
    defer { (waiting, waitingBytes) = ([], 0) }
    let first = waiting[0].time
    let start = max(0, first)
    var run = CopiedPackets()
    run.early = UInt64(start - first)
    var before: CopiedPacket?
    for packet in waiting {
      var coded = CopiedPackets.Packet()
      coded.isKey = packet.isKey
      let gap = packet.time - (before?.time ?? packet.time)
      if before.map({ $0.duration != gap || $0.duration != packet.duration }) ?? true { coded.times = (UInt64(gap), UInt64(packet.duration)) }
      coded.decodingDelay = packet.time - packet.decodingTime
      (coded.skippedAtStart, coded.skippedAtEnd) = (UInt64(max(0, packet.skippedAtStart)), UInt64(max(0, packet.skippedAtEnd)))
      coded.data = packet.data[...]
      run.packets.append(coded)
      before = packet
    }
    let isRandomAccess = waiting[0].isKey && start > lastStart || lastStart < 0
    lastStart = start
    do {
      return Payload(track: number, isRandomAccess: isRandomAccess, start: UInt64(start), data: try run.serialised()[...])
    } catch {
      throw CodecError(.invalidOption, error.description)
    }
  }
}

/// Takes a copied track's packets out of payloads. The inverse is `CopiedTrackWriter`.
// bitstream-spec 13
package struct CopiedTrackReader: Sendable {
  package let track: CopiedTrack
  private var last: Int64 = .min

  /// Throws `CodecError`: `unsupported` for a track of another codec, `malformed`.
  package init(_ header: TrackHeader) throws(CodecError) {
    guard header.modality == .audio, header.codec == CodecID.copiedPackets else {
      throw CodecError(.unsupported, "the track is of codec \(header.codec), not sound that was copied.")
    }
    do {
      let configuration = try CopiedTrackConfiguration(parsing: header.configuration)
      guard header.model == 0, let base = header.timeBase, let timeBase = Rational(exactly: Int(base.numerator), Int(base.denominator)) else {
        throw Self.damaged("its model or time base is beyond what it may be")
      }
      var track = CopiedTrack(
        codec: configuration.codec, timeBase: timeBase, sampleRate: Int(configuration.sampleRate),
        layout: try ChannelLayout(count: Int(configuration.channels), mask: configuration.mask))
      track.extradata = Array(configuration.header)
      track.bitRate = Int(configuration.bitRate)
      track.bitsPerCodedSample = Int(configuration.bitsPerCodedSample)
      track.bitsPerRawSample = Int(configuration.bitsPerRawSample)
      track.blockAlign = Int(configuration.blockAlign)
      track.frameSize = Int(configuration.frameSize)
      track.profile = Int(configuration.profile)
      track.initialPadding = Int(configuration.initialPadding)
      track.seekPreroll = Int(configuration.seekPreroll)
      track.language = configuration.language
      self.track = track
    } catch let error as BitstreamError {
      throw CodecError(error)
    } catch let error as CodecError {
      throw error
    } catch {
      throw Self.damaged("\(error)")
    }
  }

  /// The payload's packets, which come after those of the payload before. Throws `CodecError` (malformed).
  package mutating func packets(of payload: Payload) throws(CodecError) -> [CopiedPacket] {
    let run: CopiedPackets
    do { run = try CopiedPackets(parsing: payload.data) } catch { throw CodecError(error) }
    guard payload.start <= CopiedPackets.maximumTicks, run.early == 0 || payload.start == 0 else {
      throw Self.damaged("a payload begins at \(payload.start), and \(run.early) ticks before")
    }
    guard run.packets[0].isKey || !payload.isRandomAccess || last == .min else {
      throw Self.damaged("a payload for random access begins with a packet that is none")
    }
    // 2^16 packets of 2^40 ticks stay far below 2^63.
    var time = Int64(payload.start) - Int64(run.early)
    guard time >= last else { throw Self.damaged("a payload's packets begin at \(time), before those of the payload before end") }
    var packets: [CopiedPacket] = []
    packets.reserveCapacity(run.packets.count)
    var duration: Int64 = 0
    for coded in run.packets {
      time += coded.times.map { Int64($0.gap) } ?? duration
      duration = coded.times.map { Int64($0.duration) } ?? duration
      packets.append(
        CopiedPacket(
          time: time, decodingTime: time - coded.decodingDelay, duration: duration, isKey: coded.isKey,
          skippedAtStart: Int(coded.skippedAtStart), skippedAtEnd: Int(coded.skippedAtEnd), data: Array(coded.data)))
    }
    last = time
    return packets
  }

  /// Forgets where the last payload ended, to go on with another one for random access.
  package mutating func seek() { last = .min }

  private static func damaged(_ reason: String) -> CodecError { CodecError(.malformed, "the file's copied sound is damaged: \(reason).") }
}
