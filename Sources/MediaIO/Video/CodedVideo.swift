import CLibAV
import Glibc
import Media

/// A video that one of libavcodec's encoders coded, in memory, without a container. For measuring other codecs beside ours.
package struct CodedVideo: Sendable {
  package struct Packet: Sendable {
    /// In ticks of the format's time base; `decodingTime` may be negative.
    package let time: Int64
    package let decodingTime: Int64
    package let duration: Int64
    package let isKey: Bool
    /// With the codec's headers before key frames, where it has any.
    package let data: [UInt8]
  }

  package let format: VideoFormat
  package let encoder: String
  /// In the order of decoding.
  package private(set) var packets: [Packet] = []
  /// Of all packets.
  package private(set) var byteCount = 0
  /// What an encoder without headers in its packets needs besides; not in `byteCount`.
  package private(set) var extradata: [UInt8] = []
  private let codec: AVCodecID
  private let pixelFormat: Int32
  private let colour: ColourDescription

  /// Codes all frames that are left in `source`. Throws `MediaIOError` (unsupported) for an encoder that is not there, an option or size that it
  /// refuses, and what the source throws.
  package init(_ source: inout some FrameSource, _ encoding: VideoEncoding) throws {
    format = source.format
    encoder = encoding.encoder
    let encoder = try VideoFrameEncoder(
      LibAVFormat.load(), format, encoding, timeBase: format.timeBase, frameRate: format.frameRate, isInContainer: false, named: encoding.encoder)
    let context = encoder.context
    (codec, pixelFormat) = (context.pointee.codec_id, context.pointee.pix_fmt.rawValue)
    colour = ColourDescription(
      matrix: UInt8(truncatingIfNeeded: context.pointee.colorspace.rawValue), isFullRange: context.pointee.color_range == AVCOL_RANGE_JPEG,
      chromaLocation: UInt8(truncatingIfNeeded: context.pointee.chroma_sample_location.rawValue))
    while let frame = try source.next() {
      try encoder.encode(frame, time: frame.time, duration: frame.duration) { packet in keep(packet) }
    }
    try encoder.encode(nil) { packet in keep(packet) }
    if let data = context.pointee.extradata {
      extradata = Array(UnsafeBufferPointer(start: data, count: Int(context.pointee.extradata_size)))
    }
  }

  /// What coded it, such as "libavcodec 59.37.100, x264 - core 164 r3095 baee400", as far as the library or its first packet tells.
  package var version: String {
    guard let av = try? LibAV.load() else { return encoder }
    typealias Text = @convention(c) () -> UnsafePointer<CChar>?
    func text(_ function: String) -> String? { av.function(function, as: Text.self)?().map { String(cString: $0) } }
    /// x264 and x265 sign their first packet.
    func signature(_ beginning: String) -> String? {
      let (data, wanted) = (packets.first?.data ?? [], Array(beginning.utf8))
      guard let start = data.indices.first(where: { data[$0...].starts(with: wanted) }) else { return nil }
      let line = data[start...].prefix { (32..<127).contains($0) }
      return String(decoding: line, as: UTF8.self).part(before: " - H.26")
    }
    let library: String? =
      switch encoder {
      case "libx264": signature("x264 - core")
      case "libx265": signature("x265 (build")
      case "libsvtav1": text("svt_av1_get_version").map { "SVT-AV1 \($0)" }
      case "libvpx-vp9": text("vpx_codec_version_str").map { "libvpx \($0)" }
      default: nil
      }
    return "libavcodec \(av.codecVersionText), \(library ?? encoder)"
  }

  private mutating func keep(_ packet: UnsafeMutablePointer<AVPacket>) {
    let data = Array(UnsafeBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size)))
    byteCount += data.count
    packets.append(
      Packet(
        time: packet.pointee.pts, decodingTime: packet.pointee.dts, duration: packet.pointee.duration,
        isKey: packet.pointee.flags & AV_PKT_FLAG_KEY != 0, data: data))
  }

  /// Decodes all frames, in the order in which they are shown, on one thread unless `threads` says more. Throws `MediaIOError`, and what `body`
  /// throws.
  package func decode(threads: Int = 1, _ body: (VideoFrame) throws -> Void) throws {
    let library = try LibAVFormat.load()
    var parameters = library.allocateParameters()
    var packet = library.av.allocatePacket()
    defer {
      library.freeParameters(&parameters)
      library.av.freePacket(&packet)
    }
    guard let parameters, let packet else { throw MediaIOError(.outOfMemory, at: encoder, "no memory") }
    parameters.pointee.codec_type = AVMEDIA_TYPE_VIDEO
    (parameters.pointee.codec_id, parameters.pointee.format) = (codec, pixelFormat)
    (parameters.pointee.width, parameters.pointee.height) = (Int32(format.width), Int32(format.height))
    if !extradata.isEmpty {
      guard let memory = library.zeroed(extradata.count + Int(AV_INPUT_BUFFER_PADDING_SIZE)) else {
        throw MediaIOError(.outOfMemory, at: encoder, "no memory")
      }
      extradata.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
      parameters.pointee.extradata = memory.assumingMemoryBound(to: UInt8.self)
      parameters.pointee.extradata_size = Int32(extradata.count)
    }
    let decoder = try VideoFrameDecoder(
      library, parameters, timeBase: AVRational(num: Int32(format.timeBase.numerator), den: Int32(format.timeBase.denominator)),
      threads: threads, limits: ImageLimits(), damage: .refuse, named: encoder)
    let converter = PictureConverter(library.av, width: format.width, height: format.height, named: encoder)
    let durations = Dictionary(packets.map { ($0.time, $0.duration) }) { first, _ in first }
    func drain() throws {
      while let frame = try decoder.receive() {
        let time = frame.pointee.best_effort_timestamp
        let own = try PictureConverter.colour(of: frame, library.av, fallback: colour, greyIsLimited: false, named: encoder)
        try body(converter.convert(frame, colour: own, time: time, duration: durations[time] ?? 1))
      }
    }
    for one in packets {
      guard library.av.newPacket(packet, Int32(one.data.count)) >= 0 else { throw MediaIOError(.outOfMemory, at: encoder, "no memory") }
      one.data.withUnsafeBytes { from in
        if let start = from.baseAddress { UnsafeMutableRawPointer(packet.pointee.data).copyMemory(from: start, byteCount: from.count) }
      }
      (packet.pointee.pts, packet.pointee.dts, packet.pointee.duration) = (one.time, one.decodingTime, one.duration)
      if one.isKey { packet.pointee.flags |= AV_PKT_FLAG_KEY }
      defer { library.av.clearPacket(packet) }
      try decoder.send(packet)
      try drain()
    }
    try decoder.send(nil)
    try drain()
  }
}

extension String {
  /// Up to where `text` begins; all where it does not occur.
  fileprivate func part(before text: String) -> String {
    var rest = self[...]
    while !rest.isEmpty {
      if rest.hasPrefix(text) { return String(self[..<rest.startIndex]) }
      rest.removeFirst()
    }
    return self
  }
}
