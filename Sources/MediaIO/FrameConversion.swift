import CLibAV
import Media

extension DecodedFrame {
  /// The frame as an 8-bit picture. Throws `MediaIOError.unsupported` for float, Bayer and hardware formats.
  func makeImage(format: ImageFormat, usesAlpha: Bool) throws -> Image {
    let components = Int(descriptor.pointee.nb_components)
    let name = String(cString: descriptor.pointee.name)
    guard !has(AV_PIX_FMT_FLAG_HWACCEL), !has(AV_PIX_FMT_FLAG_BAYER), !has(AV_PIX_FMT_FLAG_FLOAT),
      (1...4).contains(components), (1...16).contains(component(0).depth)
    else { throw MediaIOError(.unsupported, at: "\(format) pixels", "pixel format \(name)") }
    let alphaComponent = isPalette ? 3 : has(AV_PIX_FMT_FLAG_ALPHA) ? components - 1 : nil
    let isGrey = !isPalette && !has(AV_PIX_FMT_FLAG_RGB) && components - (alphaComponent == nil ? 0 : 1) == 1
    let isRGB = isPalette || has(AV_PIX_FMT_FLAG_RGB)
    let metadata = ImageMetadata(sourceBitDepth: isPalette ? 8 : UInt8(component(0).depth))
    return try Image(
      width: width, height: height, colour: isGrey ? .grey : .rgb, hasAlpha: usesAlpha && alphaComponent != nil,
      metadata: metadata
    ) { samples, alpha in
      if isGrey {
        readComponent(0, into: samples.baseAddress!, step: 1)
      } else if isRGB {
        for c in 0..<3 { readComponent(c, into: samples.baseAddress! + c, step: 3) }
      } else {
        try convertYCbCr(into: samples, format: format)
      }
      if let alpha, let alphaComponent { readComponent(alphaComponent, into: alpha.baseAddress!, step: 1) }
    }
  }

  private func component(_ index: Int) -> AVComponentDescriptor {
    let all = descriptor.pointee.comp
    return [all.0, all.1, all.2, all.3][index]
  }

  /// Writes component `index`, rounded to 8 bits, to every `step`-th byte of `out`, rows without padding.
  private func readComponent(_ index: Int, into out: UnsafeMutablePointer<UInt8>, step: Int) {
    // Palette entries are 8-bit RGBA, whatever the descriptor's depth says of the indices.
    let depth = isPalette ? 8 : Int(component(index).depth)
    let top = (1 << depth) - 1
    var scaled = (0...top).map { UInt8(($0 * 255 + top / 2) / top) }
    // Of monochrome formats this one counts ink.
    if frame.pointee.format == AV_PIX_FMT_MONOWHITE.rawValue { scaled.reverse() }
    let (width, height) = (width, height)
    let layout = component(index)
    let isPlainByte = depth == 8 && layout.shift == 0 && !isPalette && !has(AV_PIX_FMT_FLAG_BITSTREAM)

    withUnsafePointer(to: &frame.pointee.data) { data in
      withUnsafePointer(to: &frame.pointee.linesize) { linesize in
        let planes = UnsafeMutableRawPointer(mutating: data).assumingMemoryBound(to: UnsafePointer<UInt8>?.self)
        let strides = UnsafeRawPointer(linesize).assumingMemoryBound(to: Int32.self)
        if isPlainByte, let plane = planes[Int(layout.plane)] {
          for y in 0..<height {
            let row = plane + y * Int(strides[Int(layout.plane)]) + Int(layout.offset)
            let to = out + y * width * step
            for x in 0..<width { to[x * step] = row[x * Int(layout.step)] }
          }
          return
        }
        var line = [UInt16](repeating: 0, count: width)
        for y in 0..<height {
          av_read_image_line2(
            &line, planes, strides, descriptor, 0, Int32(y), Int32(index), Int32(width), isPalette ? 1 : 0, 2)
          let to = out + y * width * step
          for x in 0..<width { to[x * step] = scaled[Int(line[x]) & top] }
        }
      }
    }
  }

  /// YCbCr to RGB `[height, width, 3]`, BT.601: full range for JPEG (JFIF), as the frame says otherwise.
  private func convertYCbCr(into samples: UnsafeMutableBufferPointer<UInt8>, format: ImageFormat) throws {
    func fail(_ reason: String) -> MediaIOError { MediaIOError(.unsupported, at: "\(format) pixels", reason) }
    // The deprecated J formats are their plain twins with full range.
    let (source, isJ): (AVPixelFormat, Bool) =
      switch AVPixelFormat(rawValue: frame.pointee.format) {
      case AV_PIX_FMT_YUVJ420P: (AV_PIX_FMT_YUV420P, true)
      case AV_PIX_FMT_YUVJ422P: (AV_PIX_FMT_YUV422P, true)
      case AV_PIX_FMT_YUVJ444P: (AV_PIX_FMT_YUV444P, true)
      case AV_PIX_FMT_YUVJ440P: (AV_PIX_FMT_YUV440P, true)
      case AV_PIX_FMT_YUVJ411P: (AV_PIX_FMT_YUV411P, true)
      case let other: (other, false)
      }
    let isFull = isJ || format == .jpeg || frame.pointee.color_range == AVCOL_RANGE_JPEG
    let flags = SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_BITEXACT
    let (w, h) = (Int32(width), Int32(height))
    guard
      let scaler = sws_getContext(w, h, source, w, h, AV_PIX_FMT_RGB24, flags, nil, nil, nil)
    else { throw fail("swscale cannot convert \(String(cString: descriptor.pointee.name))") }
    defer { sws_freeContext(scaler) }
    let matrix = sws_getCoefficients(SWS_CS_ITU601)
    guard sws_setColorspaceDetails(scaler, matrix, isFull ? 1 : 0, matrix, 1, 0, 1 << 16, 1 << 16) >= 0 else {
      throw fail("swscale refuses BT.601")
    }
    // swscale may write past a row's end, so it gets rows of its own.
    let stride = (width * 3 + 63) / 64 * 64 + 64
    guard let buffer = av_malloc(stride * height) else {
      throw MediaIOError(.outOfMemory, at: "\(format) pixels", "\(stride * height) bytes")
    }
    defer { av_free(buffer) }
    let rows = buffer.assumingMemoryBound(to: UInt8.self)
    let done = withUnsafePointer(to: &frame.pointee.data) { data in
      withUnsafePointer(to: &frame.pointee.linesize) { linesize in
        let planes = UnsafeRawPointer(data).assumingMemoryBound(to: UnsafePointer<UInt8>?.self)
        let strides = UnsafeRawPointer(linesize).assumingMemoryBound(to: Int32.self)
        let to: [UnsafeMutablePointer<UInt8>?] = [rows, nil, nil, nil]
        let toStride: [Int32] = [Int32(stride), 0, 0, 0]
        return sws_scale(scaler, planes, strides, 0, h, to, toStride)
      }
    }
    guard done == h else { throw fail("swscale gave \(done) of \(h) rows") }
    for y in 0..<height {
      (samples.baseAddress! + y * width * 3).update(from: rows + y * stride, count: width * 3)
    }
  }
}
