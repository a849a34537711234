import FoundationEssentials
import Media

/// VMAF of one frame, through libvmaf's own program or an ffmpeg that was built with it.
///
/// Both get the same raw frames: BT.709 in limited range, 4:2:0, as the shipped models were trained on video (they look at
/// luma alone). The model is libvmaf's default.
package struct VMAFMeasure: ImageMeasure {
  package let name = "vmaf"
  package let title = "VMAF"
  package let unit = ""
  package let isHigherBetter = true
  package let version: String
  package let missing: String?

  private enum Program {
    case vmaf(ExternalTool)
    case ffmpeg(ExternalTool)
  }

  private let program: Program?

  package init(searchPath: String) {
    if let tool = ExternalTool("vmaf", searchPath: searchPath) {
      (program, missing) = (.vmaf(tool), nil)
      version = "vmaf \(Self.firstLine(of: tool, "--version") ?? ""), \(tool.path): default model, one frame"
      return
    }
    let ffmpeg = ExternalTool("ffmpeg", searchPath: searchPath)
    if let ffmpeg, Self.hasFilter(ffmpeg) {
      (program, missing) = (.ffmpeg(ffmpeg), nil)
      let version = Self.firstLine(of: ffmpeg, "-version")?.split(separator: " ").prefix(3).joined(separator: " ")
      self.version = "libvmaf in \(version ?? "ffmpeg"), \(ffmpeg.path): default model, one frame"
      return
    }
    program = nil
    version = "VMAF, 100 at most"
    let found = ffmpeg.map { "; \($0.path) was built without libvmaf" } ?? ""
    missing = "neither a program vmaf nor an ffmpeg with libvmaf on the PATH (Debian 12 packages neither; "
      + "the ffmpeg in PyPI's imageio-ffmpeg has it)\(found)"
  }

  private static func firstLine(of tool: ExternalTool, _ option: String) -> String? {
    let output = try? ExternalTool.withFolder { try tool.run([option], in: $0, seconds: 20, mayFail: true) }
    return output.flatMap { ($0.output + $0.errors).split(separator: "\n").first.map(String.init) }
  }

  private static func hasFilter(_ ffmpeg: ExternalTool) -> Bool {
    let output = try? ExternalTool.withFolder { folder in
      try ffmpeg.run(["-v", "error", "-h", "filter=libvmaf"], in: folder, seconds: 20, mayFail: true)
    }
    return output?.output.contains("Filter libvmaf") == true
  }

  /// Throws `MeasureError`, and what writing a file throws.
  package func measure(reference: Image, decoded: Image) throws -> Double? {
    guard let program else { throw MeasureError(.missing, "VMAF: \(missing ?? "missing").") }
    guard reference.width == decoded.width, reference.height == decoded.height else {
      throw MeasureError(
        .mismatch, "VMAF: \(reference.width)x\(reference.height) against \(decoded.width)x\(decoded.height).")
    }
    // libvmaf's features go four scales down, and are not defined below this.
    guard min(reference.width, reference.height) >= 32 else { return nil }
    return try ExternalTool.withFolder { folder in
      for (image, file) in [(reference, "original.y4m"), (decoded, "decoded.y4m")] {
        try ExternalTool.write(Y4M.frame(of: image), to: "\(folder)/\(file)")
      }
      let seconds = ToolMeasures.patience(reference)
      let output: ExternalTool.Output
      switch program {
      case .vmaf(let tool):
        output = try tool.run(
          ["--reference", "original.y4m", "--distorted", "decoded.y4m", "--json", "--output", "vmaf.json", "--quiet"],
          in: folder, seconds: seconds)
      case .ffmpeg(let tool):
        output = try tool.run(
          [
            "-nostdin", "-v", "error", "-i", "decoded.y4m", "-i", "original.y4m",
            "-lavfi", "libvmaf=log_fmt=json:log_path=vmaf.json", "-f", "null", "-",
          ], in: folder, seconds: seconds)
      }
      guard let log = try? Data(contentsOf: URL(filePath: "\(folder)/vmaf.json")),
        let value = try? JSONDecoder().decode(Log.self, from: log).pooled_metrics.vmaf.mean, value.isFinite
      else { throw MeasureError(.unreadable, "VMAF: no mean in the program's log: \(output.complaint).") }
      return value
    }
  }

  private struct Log: Decodable {
    struct Pooled: Decodable { let vmaf: Mean }
    struct Mean: Decodable { let mean: Double }
    let pooled_metrics: Pooled
  }
}

/// YUV4MPEG2: a line of parameters, then frames of planes.
package enum Y4M {
  /// One frame, 8 bits, limited range, BT.709, 4:2:0 with chroma in the middle of 2x2 pixels (of fewer at odd edges).
  package static func frame(of image: Image) -> [UInt8] {
    let (width, height, channels) = (image.width, image.height, image.channels)
    let (halfWidth, halfHeight) = ((width + 1) / 2, (height + 1) / 2)
    var bytes = Array("YUV4MPEG2 W\(width) H\(height) F25:1 Ip A1:1 C420jpeg\nFRAME\n".utf8)
    bytes.reserveCapacity(bytes.count + width * height + 2 * halfWidth * halfHeight)
    let (kr, kb): (Float, Float) = (0.2126, 0.0722)
    image.withUnsafeSamples { samples in
      /// Red, green and blue, 0...255.
      func pixel(_ x: Int, _ y: Int) -> (Float, Float, Float) {
        let i = (y * width + x) * channels
        let last = channels - 1
        return (Float(samples[i]), Float(samples[i + last / 2]), Float(samples[i + last]))
      }
      func luma(_ p: (Float, Float, Float)) -> Float { kr * p.0 + (1 - kr - kb) * p.1 + kb * p.2 }
      for y in 0..<height {
        for x in 0..<width { bytes.append(UInt8(16 + (luma(pixel(x, y)) * 219 / 255).rounded())) }
      }
      for plane in 0..<2 {
        for y in 0..<halfHeight {
          for x in 0..<halfWidth {
            var (sum, count): (Float, Float) = (0, 0)
            for (i, j) in [(0, 0), (1, 0), (0, 1), (1, 1)] where 2 * x + i < width && 2 * y + j < height {
              let p = pixel(2 * x + i, 2 * y + j)
              sum += plane == 0 ? (p.2 - luma(p)) / (2 * (1 - kb)) : (p.0 - luma(p)) / (2 * (1 - kr))
              count += 1
            }
            bytes.append(UInt8(128 + (sum / count * 224 / 255).rounded()))
          }
        }
      }
    }
    return bytes
  }
}
