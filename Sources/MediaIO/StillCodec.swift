import CLibAV
import Media

/// One of libavcodec's encoders of stills with the decoder that goes with it: 8-bit RGB to the bytes of a whole file and
/// back, on the calling thread where the library allows. For measuring other codecs beside ours.
///
/// Colour is converted here (`YCbCrPlanes`, `YCbCrPicture`), as swscale's conversion would cost its codec quality; where
/// the library that codes converts by itself (libwebp, libjxl, OpenJPEG), it gets RGB.
package struct StillCodec: Sendable {
  /// What the encoder is given.
  package enum Samples: Sendable, Hashable {
    case rgb
    /// With opaque alpha, which libwebp finds out and leaves out.
    case bgra
    /// BT.601, full range. Luma samples a chroma sample each way: 1 or 2; bits a sample: 8 or 10.
    case yCbCr(chromaFactor: Int, depth: Int)
  }

  /// What its packets become.
  package enum File: Sendable, Hashable {
    /// They are files; decoded by `StillReader`.
    case jpeg, webp
    /// In `AVIFFile`.
    case avif
    /// They are files, or raw codestreams that count as ones (JPEG XL, JPEG 2000).
    case packet
  }

  private let av: LibAV
  private nonisolated(unsafe) let encoder: UnsafePointer<AVCodec>
  private nonisolated(unsafe) let decoder: UnsafePointer<AVCodec>?
  private let encoderName: String
  private let samples: Samples
  private let file: File

  /// `decoder` is nil where `StillReader` reads the file. Throws `MediaIOError` (unsupported) where libavcodec is not
  /// installed, or was built without one of them.
  package init(encoder: String, decoder: String? = nil, samples: Samples, file: File) throws(MediaIOError) {
    av = try LibAV.load()
    guard let found = av.findEncoderByName(encoder) else {
      throw MediaIOError(.unsupported, at: encoder, "this libavcodec (\(av.codecVersionText)) was built without the encoder")
    }
    var back: UnsafePointer<AVCodec>?
    if let decoder {
      back = av.findDecoderByName(decoder)
      guard back != nil else {
        throw MediaIOError(.unsupported, at: decoder, "this libavcodec (\(av.codecVersionText)) was built without the decoder")
      }
    }
    (self.encoder, self.decoder, encoderName) = (found, back, encoder)
    (self.samples, self.file) = (samples, file)
  }

  /// Such as "libavcodec 59.37.100, libwebp 1.2.4".
  package var version: String {
    let own = "libavcodec \(av.codecVersionText)"
    return libraryVersion.map { "\(own), \($0)" } ?? "\(own), \(encoderName)"
  }

  /// Asked of the library itself, where it has a function for that.
  private var libraryVersion: String? {
    typealias Number = @convention(c) () -> UInt32
    typealias Text = @convention(c) () -> UnsafePointer<CChar>?
    func text(_ function: String) -> String? { av.function(function, as: Text.self)?().map { String(cString: $0) } }
    switch encoderName {
    case "libwebp": return av.function("WebPGetEncoderVersion", as: Number.self).map { "libwebp \(LibAV.text($0()))" }
    case "libjxl":
      return av.function("JxlEncoderVersion", as: Number.self).map {
        let v = $0()
        return "libjxl \(v / 1_000_000).\(v / 1000 % 1000).\(v % 1000)"
      }
    case "libopenjpeg": return text("opj_version").map { "OpenJPEG \($0)" }
    case "libaom-av1": return text("aom_codec_version_str").map { "libaom \($0)" }
    case "libsvtav1": return text("svt_av1_get_version").map { "SVT-AV1 \($0)" }
    default: return nil
    }
  }

  /// The file of an RGB picture. `options` are libavcodec's, in its spelling; `matrices`, luma's and chroma's quantiser
  /// steps [64] in natural order, for mjpeg alone.
  ///
  /// Throws `MediaIOError`: unsupported for an option or a size that the encoder refuses, with libav's words.
  package func encode(_ image: Image, options: [(name: String, value: String)], matrices: [[UInt16]] = []) throws(MediaIOError)
    -> [UInt8]
  {
    precondition(image.colour == .rgb, "RGB")
    func fail(_ code: Int32, _ what: String) -> MediaIOError {
      MediaIOError(code == -ENOMEM ? .outOfMemory : .unsupported, at: encoderName, "\(what): \(av.reason(code))")
    }
    var context = av.allocateContext(encoder)
    var frame = av.allocateFrame()
    var packet = av.allocatePacket()
    defer {
      av.freeContext(&context)
      av.freeFrame(&frame)
      av.freePacket(&packet)
    }
    guard let context, let frame, let packet else { throw fail(-ENOMEM, "memory") }
    context.pointee.width = Int32(image.width)
    context.pointee.height = Int32(image.height)
    context.pointee.pix_fmt = pixelFormat
    context.pointee.time_base = AVRational(num: 1, den: 25)
    context.pointee.thread_count = 1
    context.pointee.color_range = AVCOL_RANGE_JPEG
    if case .yCbCr = samples, file == .avif {
      context.pointee.color_primaries = AVCOL_PRI_BT709
      context.pointee.color_trc = AVCOL_TRC_IEC61966_2_1
      context.pointee.colorspace = AVCOL_SPC_SMPTE170M
    }
    for (name, value) in options {
      // 1: AV_OPT_SEARCH_CHILDREN, the encoder's own among them.
      let status = av.setOption(context, name, value, 1)
      guard status >= 0 else { throw fail(status, "option \(name)=\(value)") }
    }
    if matrices.count == 2 {
      context.pointee.intra_matrix = try matrix(matrices[0])
      context.pointee.chroma_intra_matrix = try matrix(matrices[1])
    }
    var status = av.open(context, encoder, nil)
    guard status >= 0 else { throw fail(status, "a picture of \(image.width)x\(image.height)") }

    frame.pointee.format = pixelFormat.rawValue
    frame.pointee.width = Int32(image.width)
    frame.pointee.height = Int32(image.height)
    frame.pointee.color_range = context.pointee.color_range
    frame.pointee.quality = context.pointee.global_quality
    frame.pointee.pts = 0
    status = av.newFrameBuffer(frame, 0)
    guard status >= 0 else { throw fail(status, "memory") }
    fill(frame, with: image)

    var bytes: [UInt8] = []
    status = av.sendFrame(context, frame)
    if status >= 0 { status = av.sendFrame(context, nil) }
    while status >= 0 {
      status = av.receivePacket(context, packet)
      if status >= 0 {
        bytes.append(contentsOf: UnsafeBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size)))
        av.clearPacket(packet)
      }
    }
    // "EOF ": there is no more.
    guard status == -0x2046_4F45, !bytes.isEmpty else { throw fail(status, "encoding") }
    guard file == .avif, case .yCbCr(let factor, let depth) = samples else { return bytes }
    return AVIFFile(
      width: image.width, height: image.height, depth: depth, chromaFactor: factor,
      units: AVIFFile.withoutDelimiters(bytes)
    ).bytes()
  }

  /// The picture of a file that `encode` made. Throws `MediaIOError`.
  package func decode(_ bytes: [UInt8]) throws -> Image {
    switch file {
    case .jpeg: return try StillReader.read(bytes, format: .jpeg).image
    case .webp: return try StillReader.read(bytes, format: .webp).image
    case .avif, .packet:
      guard let decoder else { throw MediaIOError(.unsupported, at: encoderName, "no decoder was named") }
      let data = file == .avif ? try AVIFFile.units(of: bytes) : bytes
      let frame = try DecodedFrame(data, codec: decoder, format: encoderName, limits: ImageLimits())
      let image = try frame.makeImage(format: encoderName, usesAlpha: false, isFullRange: false)
      // OpenJPEG does not keep what the three planes were.
      if case .yCbCr = samples, frame.has(AV_PIX_FMT_FLAG_RGB) { return try Self.converted(image) }
      return image
    }
  }

  /// To RGB what stands in R, G and B as full-range Y, Cb and Cr.
  private static func converted(_ image: Image) throws -> Image {
    let (width, height) = (image.width, image.height)
    let planes = (0..<3).map { c in image.withUnsafeSamples { all in stride(from: c, to: all.count, by: 3).map { all[$0] } } }
    return try Image(width: width, height: height, colour: .rgb, hasAlpha: false, metadata: image.metadata) { samples, _ in
      planes[0].withUnsafeBufferPointer { luma in
        planes[1].withUnsafeBufferPointer { cb in
          planes[2].withUnsafeBufferPointer { cr in
            YCbCrPicture(
              width: width, height: height, luma: luma.baseAddress!, lumaStride: width, cb: cb.baseAddress!, cbStride: width,
              cr: cr.baseAddress!, crStride: width, horizontalFactor: 1, verticalFactor: 1, isFullRange: true, depth: 8
            ).convert(into: samples.baseAddress!)
          }
        }
      }
    }
  }

  private var pixelFormat: AVPixelFormat {
    switch samples {
    case .rgb: AV_PIX_FMT_RGB24
    case .bgra: AV_PIX_FMT_BGRA
    case .yCbCr(let factor, let depth):
      switch (factor, depth > 8) {
      case (1, false): AV_PIX_FMT_YUV444P
      case (1, true): AV_PIX_FMT_YUV444P10LE
      case (_, false): AV_PIX_FMT_YUV420P
      case (_, true): AV_PIX_FMT_YUV420P10LE
      }
    }
  }

  /// 64 numbers in memory that the context frees.
  private func matrix(_ steps: [UInt16]) throws(MediaIOError) -> UnsafeMutablePointer<UInt16> {
    precondition(steps.count == 64, "8x8")
    guard let memory = av.allocate(128) else { throw MediaIOError(.outOfMemory, at: encoderName, "no memory") }
    let matrix = memory.bindMemory(to: UInt16.self, capacity: 64)
    for i in 0..<64 { matrix[i] = steps[i] }
    return matrix
  }

  private func fill(_ frame: UnsafeMutablePointer<AVFrame>, with image: Image) {
    let (width, height) = (image.width, image.height)
    let planes = [frame.pointee.data.0, frame.pointee.data.1, frame.pointee.data.2]
    let strides = [frame.pointee.linesize.0, frame.pointee.linesize.1, frame.pointee.linesize.2].map(Int.init)
    switch samples {
    case .rgb, .bgra:
      guard let to = planes[0] else { return }
      image.withUnsafeSamples { rgb in
        for y in 0..<height {
          let (row, from) = (to + y * strides[0], y * width * 3)
          if samples == .rgb {
            for i in 0..<(3 * width) { row[i] = rgb[from + i] }
          } else {
            for x in 0..<width {
              row[4 * x] = rgb[from + 3 * x + 2]
              row[4 * x + 1] = rgb[from + 3 * x + 1]
              row[4 * x + 2] = rgb[from + 3 * x]
              row[4 * x + 3] = 255
            }
          }
        }
      }
    case .yCbCr(let factor, let depth):
      let picture = YCbCrPlanes(image, factor: factor, depth: depth)
      for (c, plane) in picture.planes.enumerated() {
        guard let to = planes[c] else { return }
        let (w, h) = c == 0 ? (width, height) : (picture.chromaWidth, picture.chromaHeight)
        plane.withUnsafeBufferPointer { plane in
          for y in 0..<h {
            let row = UnsafeMutableRawPointer(to + y * strides[c])
            if depth > 8 {
              let out = row.assumingMemoryBound(to: UInt16.self)
              for x in 0..<w { out[x] = plane[y * w + x].littleEndian }
            } else {
              let out = row.assumingMemoryBound(to: UInt8.self)
              for x in 0..<w { out[x] = UInt8(truncatingIfNeeded: plane[y * w + x]) }
            }
          }
        }
      }
    }
  }
}
