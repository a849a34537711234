import Foundation
import MediaIO
import NeuralCodecs

extension BenchRun.Machine {
  /// This one. What cannot be found out is "unknown".
  static var current: BenchRun.Machine {
    func value(_ key: String, in path: String, separator: Character) -> String? {
      guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
      for line in text.split(separator: "\n") {
        let parts = line.split(separator: separator, maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
        if parts.count == 2, parts[0] == key { return parts[1].trimmingCharacters(in: CharacterSet(charactersIn: "\"")) }
      }
      return nil
    }
    let flags = Set((value("flags", in: "/proc/cpuinfo", separator: ":") ?? "").split(separator: " "))
    let best = [("avx512f", "avx512"), ("avx2", "avx2"), ("sse4_2", "sse4")].first { flags.contains(Substring($0.0)) }?.1
    return BenchRun.Machine(
      cpu: value("model name", in: "/proc/cpuinfo", separator: ":") ?? "unknown",
      cores: ProcessInfo.processInfo.activeProcessorCount,
      simd: ProcessInfo.processInfo.environment["NCCODEC_SIMD"] ?? best ?? "unknown",
      os: value("PRETTY_NAME", in: "/etc/os-release", separator: "=") ?? "unknown")
  }
}

package enum Build {
  /// The release with the first digits of the program's SHA-256, so that measurements of another build are not taken for
  /// this one's, such as "nccodec 0.1.0, build 0123abcd".
  package static func version(release: String) -> String {
    guard let bytes = try? FileIO.read("/proc/self/exe") else { return "nccodec \(release)" }
    return "nccodec \(release), build \(hex(KVDigest.sha256(bytes)).prefix(8))"
  }
}

func hex(_ bytes: [UInt8]) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// Now, as ISO 8601 in UTC.
func timestamp() -> String { ISO8601DateFormatter().string(from: Date()) }
