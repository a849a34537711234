import FoundationEssentials
import KVCodec
import MediaIO

extension BenchRun.Machine {
  /// This one. What cannot be found out is "unknown".
  package static var current: BenchRun.Machine {
    func value(_ key: String, in path: String, separator: Character) -> String? {
      guard let bytes = try? FileIO.read(path) else { return nil }
      for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
        let parts = line.split(separator: separator, maxSplits: 1).map { part in
          String(part.drop { " \t\"".contains($0) }.reversed().drop { " \t\"".contains($0) }.reversed())
        }
        if parts.count == 2, parts[0] == key { return parts[1] }
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
    return "nccodec \(release), build \(sha256(bytes).prefix(8))"
  }
}

/// 64 hexadecimal digits.
package func sha256(_ bytes: [UInt8]) -> String {
  KVDigest.sha256(bytes).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

extension BenchRun {
  /// As ISO 8601 in UTC.
  package static var now: String { Date.now.ISO8601Format() }

  package static var cores: Int { Machine.current.cores }

  /// A run that starts on this machine.
  package init(started: String, command: String, nccodec: String, workers: Int) {
    self.init(started: started, command: command, nccodec: nccodec, machine: .current, workers: workers)
  }
}
