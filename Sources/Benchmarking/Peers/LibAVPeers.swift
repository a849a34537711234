import MediaIO

/// What people would pick instead, as libavcodec has it, with settings that people would pick.
extension LibAVCodec {
  package static var definitions: [Definition] { [jpeg, jpegPlain, webp, webpMiddle] + avif + [jxl, jpeg2000] }

  /// libavcodec's own encoder. It scales MPEG-1's matrix, which no other JPEG encoder does, so it gets the tables of
  /// ITU-T T.81, Annex K, scaled by quality as libjpeg does. One difference stays: its step for DC is always 8, where
  /// libjpeg's falls from 80 (luma, quality 10) over 16 (50) to 3 (90).
  private static var jpeg: Definition {
    Definition(
      name: "jpeg", title: "JPEG", encoder: "mjpeg", samples: .yCbCr(chromaFactor: 2, depth: 8), file: .jpeg,
      settings: "4:2:0, tables of Annex K scaled as libjpeg does but for DC (step 8), optimal Huffman tables, sequential",
      knob: Knob(name: "quality", first: 10, last: 93),
      options: [("huffman", "optimal"), ("flags", "+qscale+bitexact"), ("global_quality", "\(8 * 118)"), ("strict", "unofficial")],
      varied: { _ in [] }, matrices: { JPEGTables.scaled(quality: Int($0)) }, secondsPerMegapixel: 0.04)
  }

  /// As most programs write it, and as published curves have it.
  private static var jpegPlain: Definition {
    var plain = jpeg
    (plain.name, plain.title) = ("jpegplain", "JPEG, plain")
    plain.settings = plain.settings.replacing("optimal Huffman tables", with: "example Huffman tables")
    plain.options = plain.options.map { $0.name == "huffman" ? ("huffman", "default") : $0 }
    return plain
  }

  /// At the usual effort, as published curves have it.
  private static var webpMiddle: Definition {
    var middle = webp
    (middle.name, middle.title) = ("webp4", "WebP, method 4")
    (middle.settings, middle.options) = ("method 4, lossy (4:2:0)", [("compression_level", "4")])
    return middle
  }

  private static var webp: Definition {
    Definition(
      name: "webp", title: "WebP", encoder: "libwebp", samples: .bgra, file: .webp, settings: "method 6, lossy (4:2:0)",
      knob: Knob(name: "quality", first: 5, last: 95), options: [("compression_level", "6")],
      varied: { [("quality", "\($0)")] }, secondsPerMegapixel: 0.5)
  }

  private static var avif: [Definition] {
    func aom(_ name: String, _ title: String, _ settings: String, factor: Int, depth: Int, speed: Int, cost: Double) -> Definition {
      Definition(
        name: name, title: title, encoder: "libaom-av1", decoder: "libdav1d",
        samples: .yCbCr(chromaFactor: factor, depth: depth), file: .avif, settings: settings,
        knob: Knob(name: "crf", first: 60, last: 14),
        options: [
          ("usage", "allintra"), ("still-picture", "1"), ("cpu-used", "\(speed)"), ("tune", "psnr"), ("b", "0"), ("g", "1"),
          ("lag-in-frames", "0"), ("row-mt", "0"),
        ], varied: { [("crf", "\(Int($0))")] }, secondsPerMegapixel: cost)
    }
    return [
      aom("avif", "AVIF", "all intra, speed 6, 4:4:4, 8 bits, tuned for PSNR", factor: 1, depth: 8, speed: 6, cost: 2),
      aom("avif420", "AVIF 4:2:0", "all intra, speed 6, 4:2:0, 8 bits, tuned for PSNR", factor: 2, depth: 8, speed: 6, cost: 1.5),
      aom("avifslow", "AVIF, slow", "all intra, speed 0, 4:4:4, 10 bits, tuned for PSNR", factor: 1, depth: 10, speed: 0, cost: 60),
      Definition(
        name: "svtav1", title: "AVIF by SVT-AV1", encoder: "libsvtav1", decoder: "libdav1d",
        samples: .yCbCr(chromaFactor: 2, depth: 8), file: .avif, settings: "preset 6, 4:2:0, 8 bits, one logical processor",
        knob: Knob(name: "crf", first: 60, last: 14), options: [("preset", "6"), ("svtav1-params", "lp=1:tune=1")],
        varied: { [("crf", "\(Int($0))")] }, isSingleThreaded: false, secondsPerMegapixel: 1.5),
    ]
  }

  private static var jxl: Definition {
    Definition(
      name: "jxl", title: "JPEG XL", encoder: "libjxl", decoder: "libjxl", samples: .rgb, file: .packet,
      settings: "effort 7, bare codestream", knob: Knob(name: "distance", first: 12, last: 0.5, isGeometric: true, digits: 2),
      options: [("effort", "7")], varied: { [("distance", "\($0)")] },
      // libjxl hands everything to a thread of its own.
      isSingleThreaded: false, secondsPerMegapixel: 1)
  }

  private static var jpeg2000: Definition {
    Definition(
      name: "jpeg2000", title: "JPEG 2000", encoder: "libopenjpeg", decoder: "libopenjpeg", samples: .yCbCr(chromaFactor: 1, depth: 8), file: .packet,
      settings: "9/7 wavelet, 4:4:4, JP2", knob: Knob(name: "level", first: 120, last: 5, isGeometric: true),
      options: [("irreversible", "1"), ("format", "jp2")], varied: { [("compression_level", "\(Int($0))")] },
      secondsPerMegapixel: 1.5)
  }
}

/// The example tables of ITU-T T.81, K.1, which nearly every JPEG file has, scaled.
package enum JPEGTables {
  private static let luma: [Int] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
  ]
  private static let chroma: [Int] = [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
  ] + [Int](repeating: 99, count: 32)

  /// Luma's and chroma's steps in natural order, as libjpeg scales them for a quality of 1...100.
  package static func scaled(quality: Int) -> [[UInt16]] {
    let quality = min(max(quality, 1), 100)
    let scale = quality < 50 ? 5000 / quality : 200 - 2 * quality
    return [luma, chroma].map { $0.map { UInt16(min(max(($0 * scale + 50) / 100, 1), 255)) } }
  }
}
