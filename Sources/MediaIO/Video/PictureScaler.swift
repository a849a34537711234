import CLibAV
import Glibc
import Media

/// libswscale between two kinds of pictures, of one size or two.
///
/// Chroma is interpolated at full resolution, by the same cubic filter that scales, from where its samples lie; products are rounded and the
/// same on every processor (`accurate_rnd`, `bitexact`), and nothing is dithered.
final class PictureScaler {
  /// What samples of one side stand for.
  struct Side: Hashable {
    var width: Int32
    var height: Int32
    /// An `AVPixelFormat`.
    var format: Int32
    /// By ITU-T H.273; of no matter where there is R, G and B. One that `knows` knows.
    var matrix: UInt8 = 6
    var isFullRange = true
    /// By libav's numbers; 0 is taken for left.
    var chromaLocation: UInt8 = 0

    /// In 1/256 of a luma sample, from the first one's middle: libswscale's units.
    fileprivate var chromaPosition: (x: Int, y: Int) {
      switch chromaLocation {
      case 2: (128, 128)
      case 3: (0, 0)
      case 4: (128, 0)
      case 5: (0, 256)
      case 6: (128, 256)
      default: (0, 128)
      }
    }
  }

  let source: Side
  let target: Side
  private let library: LibSWScale
  private let context: OpaquePointer

  /// Whether there are coefficients for a matrix of H.273.
  static func knows(_ matrix: UInt8) -> Bool { [1, 4, 5, 6, 7, 9].contains(matrix) }

  /// Throws `MediaIOError` (unsupported) for formats that libswscale does not convert, and where it is not installed.
  init(from source: Side, to target: Side, named name: String) throws(MediaIOError) {
    (self.source, self.target) = (source, target)
    library = try LibSWScale.load()
    guard library.takes(AVPixelFormat(source.format)) > 0 else {
      throw MediaIOError(.unsupported, at: name, "libswscale reads no \(library.av.name(ofPixelFormat: source.format)) pixels")
    }
    guard library.gives(AVPixelFormat(target.format)) > 0 else {
      throw MediaIOError(.unsupported, at: name, "libswscale writes no \(library.av.name(ofPixelFormat: target.format)) pixels")
    }
    guard let context = library.allocate() else { throw MediaIOError(.outOfMemory, at: name, "no memory") }
    self.context = context
    let (from, to) = (source.chromaPosition, target.chromaPosition)
    let options = [
      ("srcw", "\(source.width)"), ("srch", "\(source.height)"), ("src_format", "\(source.format)"),
      ("dstw", "\(target.width)"), ("dsth", "\(target.height)"), ("dst_format", "\(target.format)"),
      ("sws_flags", "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact"), ("sws_dither", "none"),
      ("src_range", source.isFullRange ? "1" : "0"), ("dst_range", target.isFullRange ? "1" : "0"),
      ("src_h_chr_pos", "\(from.x)"), ("src_v_chr_pos", "\(from.y)"), ("dst_h_chr_pos", "\(to.x)"), ("dst_v_chr_pos", "\(to.y)"),
    ]
    for (name, value) in options {
      let status = library.av.setOption(UnsafeMutableRawPointer(context), name, value, 0)
      guard status >= 0 else { throw failure(status, "its option \(name)", name) }
    }
    // Before it is initialised, so that nothing is set up twice; it says -1 where there is no colour to convert.
    _ = library.setColours(
      context, library.coefficients(Int32(source.matrix)), source.isFullRange ? 1 : 0, library.coefficients(Int32(target.matrix)),
      target.isFullRange ? 1 : 0, 0, 1 << 16, 1 << 16)
    let status = library.start(context, nil, nil)
    guard status >= 0 else { throw failure(status, "\(source.width)x\(source.height) to \(target.width)x\(target.height)", name) }
  }

  deinit { library.free(context) }

  /// Both frames are of this converter's sides. Throws `MediaIOError`.
  func convert(_ frame: UnsafePointer<AVFrame>, into out: UnsafeMutablePointer<AVFrame>, named name: String) throws(MediaIOError) {
    let status = withUnsafePointer(to: frame.pointee.data) { data in
      withUnsafePointer(to: frame.pointee.linesize) { strides in
        withUnsafePointer(to: out.pointee.data) { outData in
          withUnsafePointer(to: out.pointee.linesize) { outStrides in
            library.convert(
              context, UnsafeRawPointer(data).assumingMemoryBound(to: UnsafePointer<UInt8>?.self),
              UnsafeRawPointer(strides).assumingMemoryBound(to: Int32.self), 0, source.height,
              UnsafeRawPointer(outData).assumingMemoryBound(to: UnsafeMutablePointer<UInt8>?.self),
              UnsafeRawPointer(outStrides).assumingMemoryBound(to: Int32.self))
          }
        }
      }
    }
    guard status == target.height else { throw failure(status, "converting", name) }
  }

  private func failure(_ status: Int32, _ what: String, _ name: String) -> MediaIOError {
    MediaIOError(status == -ENOMEM ? .outOfMemory : .unsupported, at: name, "libswscale, \(what): \(library.av.reason(status))")
  }
}

extension LibAV {
  /// Such as "yuv420p".
  func name(ofPixelFormat format: Int32) -> String {
    pixelFormat(AVPixelFormat(format)).map { String(cString: $0.pointee.name) } ?? "pixel format \(format)"
  }
}

/// A frame of libav's that this owns.
final class PictureBuffer {
  let frame: UnsafeMutablePointer<AVFrame>
  private let av: LibAV

  /// With memory of its own for one picture. Throws `MediaIOError` (outOfMemory).
  init(_ av: LibAV, width: Int, height: Int, format: AVPixelFormat) throws(MediaIOError) {
    self.av = av
    var frame = av.allocateFrame()
    guard let made = frame else { throw MediaIOError(.outOfMemory, at: "picture", "no memory") }
    (made.pointee.width, made.pointee.height, made.pointee.format) = (Int32(width), Int32(height), format.rawValue)
    guard av.newFrameBuffer(made, 0) >= 0 else {
      av.freeFrame(&frame)
      throw MediaIOError(.outOfMemory, at: "picture", "no memory for \(width)x\(height)")
    }
    self.frame = made
  }

  deinit {
    var frame: UnsafeMutablePointer<AVFrame>? = frame
    av.freeFrame(&frame)
  }

  /// Of a picture of planes G, B and R: those of R, G and B, with their rows' distances in bytes.
  private var colourPlanes: [(memory: UnsafeMutablePointer<UInt8>, stride: Int)] {
    let (data, strides) = (frame.pointee.data, frame.pointee.linesize)
    return [(data.2!, Int(strides.2)), (data.0!, Int(strides.0)), (data.1!, Int(strides.1))]
  }

  /// Of a picture of planes G, B and R (`AV_PIX_FMT_GBRP`). The inverse is `fill`.
  func makeVideoFrame(time: Int64, duration: Int64) -> VideoFrame {
    let (width, height) = (Int(frame.pointee.width), Int(frame.pointee.height))
    // Sides were checked when this was made.
    return try! VideoFrame(width: width, height: height, time: time, duration: duration) { samples in
      for (c, plane) in colourPlanes.enumerated() {
        let out = samples.baseAddress! + c * width * height
        for y in 0..<height { memcpy(out + y * width, plane.memory + y * plane.stride, width) }
      }
    }
  }

  /// With a frame of the same size. The inverse is `makeVideoFrame`.
  func fill(with picture: VideoFrame) {
    let (width, height) = (picture.width, picture.height)
    picture.withUnsafeSamples { samples in
      for (c, plane) in colourPlanes.enumerated() {
        let from = samples.baseAddress! + c * width * height
        for y in 0..<height { memcpy(plane.memory + y * plane.stride, from + y * width, width) }
      }
    }
  }
}
