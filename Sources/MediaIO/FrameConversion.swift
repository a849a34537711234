import CLibAV
import Media

extension DecodedFrame {
  /// The frame as an 8-bit picture. Throws `MediaIOError.unsupported` for float, Bayer and hardware formats.
  ///
  /// `isFullRange`: YCbCr is 0...255 whatever the frame says.
  func makeImage(format: String, usesAlpha: Bool, isFullRange: Bool) throws -> Image {
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
        try convertYCbCr(into: samples, format: format, isFullRange: isFullRange)
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
    let (width, height) = (width, height)
    if isPalette {
      // Plane 1 is 256 native-endian words 0xAARRGGBB.
      let shift = UInt32([16, 8, 0, 24][index])
      let palette = UnsafeRawPointer(plane(1)!).assumingMemoryBound(to: UInt32.self)
      let values = (0..<256).map { UInt8(truncatingIfNeeded: palette[$0] >> shift) }
      for y in 0..<height {
        let row = plane(0)! + y * stride(0)
        let to = out + y * width * step
        for x in 0..<width { to[x * step] = values[Int(row[x])] }
      }
      return
    }
    let layout = component(index)
    let depth = Int(layout.depth)
    if depth == 8, layout.shift == 0, !has(AV_PIX_FMT_FLAG_BITSTREAM), let plane = plane(Int(layout.plane)) {
      for y in 0..<height {
        let row = plane + y * stride(Int(layout.plane)) + Int(layout.offset)
        let to = out + y * width * step
        for x in 0..<width { to[x * step] = row[x * Int(layout.step)] }
      }
      return
    }
    let top = (1 << depth) - 1
    var scaled = (0...top).map { UInt8(($0 * 255 + top / 2) / top) }
    // Of monochrome formats this one counts ink.
    if frame.pointee.format == AV_PIX_FMT_MONOWHITE.rawValue { scaled.reverse() }
    withUnsafePointer(to: &frame.pointee.data) { data in
      withUnsafePointer(to: &frame.pointee.linesize) { linesize in
        let planes = UnsafeMutableRawPointer(mutating: data).assumingMemoryBound(to: UnsafePointer<UInt8>?.self)
        let strides = UnsafeRawPointer(linesize).assumingMemoryBound(to: Int32.self)
        var line = [UInt16](repeating: 0, count: width)
        for y in 0..<height {
          av.readLine(&line, planes, strides, descriptor, 0, Int32(y), Int32(index), Int32(width), 0, 2)
          let to = out + y * width * step
          for x in 0..<width { to[x * step] = scaled[Int(line[x]) & top] }
        }
      }
    }
  }

  private func plane(_ index: Int) -> UnsafePointer<UInt8>? {
    let all = frame.pointee.data
    return UnsafePointer([all.0, all.1, all.2, all.3][index])
  }

  /// Bytes from row to row; negative where a decoder stores them upside down.
  private func stride(_ index: Int) -> Int {
    let all = frame.pointee.linesize
    return Int([all.0, all.1, all.2, all.3][index])
  }

  private func convertYCbCr(into samples: UnsafeMutableBufferPointer<UInt8>, format: String, isFullRange: Bool) throws {
    let depth = component(0).depth
    guard depth == 8 || depth == 10, !has(AV_PIX_FMT_FLAG_BE),
      (0..<3).allSatisfy({
        component($0).depth == depth && component($0).step == (depth + 7) / 8 && Int(component($0).plane) == $0
          && component($0).shift == 0
      }),
      let luma = plane(0), let cb = plane(1), let cr = plane(2)
    else {
      let name = String(cString: descriptor.pointee.name)
      throw MediaIOError(.unsupported, at: "\(format) pixels", "pixel format \(name)")
    }
    guard let out = samples.baseAddress else { return }
    let isFullRange = isFullRange || frame.pointee.color_range == AVCOL_RANGE_JPEG
    func convert<Sample: FixedWidthInteger & UnsignedInteger>(_ type: Sample.Type) {
      func samples(_ plane: UnsafePointer<UInt8>) -> UnsafePointer<Sample> {
        UnsafeRawPointer(plane).assumingMemoryBound(to: type)
      }
      let size = MemoryLayout<Sample>.size
      YCbCrPicture(
        width: width, height: height, luma: samples(luma), lumaStride: stride(0) / size, cb: samples(cb),
        cbStride: stride(1) / size, cr: samples(cr), crStride: stride(2) / size,
        horizontalFactor: 1 << Int(descriptor.pointee.log2_chroma_w),
        verticalFactor: 1 << Int(descriptor.pointee.log2_chroma_h), isFullRange: isFullRange, depth: Int(depth)
      ).convert(into: out)
    }
    if depth == 8 { convert(UInt8.self) } else { convert(UInt16.self) }
  }
}
