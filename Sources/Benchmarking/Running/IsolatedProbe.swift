import FoundationEssentials
import Media
import MediaIO

/// Encodes and decodes one point in a process each, which tell their peak memory.
package struct IsolatedProbe {
  /// What a child prints.
  package struct Answer: Codable {
    package var timing: Timing
    package var peakBytes: Int?
    package var error: String?
  }

  package let command: [String]
  package let repetitions: Int

  package func measure(_ item: BenchItem) throws -> Sides {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("nccodec-bench-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (coded, decoded) = (folder.appendingPathComponent("coded").path, folder.appendingPathComponent("decoded.png").path)
    let encoding = try run(["encode", item.file.path, coded], item)
    let bytes = try FileIO.read(coded).count
    let decoding = try run(["decode", coded, decoded], item)
    var sides = Sides(bytes: bytes, image: try ImageReader.read(try FileIO.read(decoded)).image)
    (sides.encoding, sides.encodePeakBytes) = (encoding.timing, encoding.peakBytes)
    (sides.decoding, sides.decodePeakBytes) = (decoding.timing, decoding.peakBytes)
    return sides
  }

  private func run(_ arguments: [String], _ item: BenchItem) throws -> Answer {
    let outcome = try ChildProcess.run(
      "/proc/self/exe",
      command + ["--codec", item.codec.name, "--value", "\(item.setting.value)", "--repetitions", "\(repetitions)"] + arguments)
    guard outcome.signal == nil, let answer = try? JSONDecoder().decode(Answer.self, from: Data(outcome.output)) else {
      let end = outcome.signal.map { "signal \($0)" } ?? "code \(outcome.code ?? 0)"
      throw BenchError("the process that measured it ended with \(end)")
    }
    if let error = answer.error { throw BenchError(error) }
    return answer
  }

  /// The child's side: does what `run` asked for and returns what to print.
  package static func answer(
    _ codec: any ImageBenchCodec, value: Double, repetitions: Int, isEncoding: Bool, input: String, output: String
  ) -> String {
    var answer = Answer(timing: Timing())
    do {
      if isEncoding {
        let image = try BenchFiles.readPicture(input)
        let setting = BenchSetting(text: "", value: value)
        let bytes = try answer.timing.measure(repetitions, clock: codec.isSingleThreaded ? .thread : .none) {
          try codec.encode(image, at: setting, BenchControl())
        }
        answer.peakBytes = peakBytes
        try FileIO.write(bytes, to: output, overwrite: true)
      } else {
        let bytes = try FileIO.read(input)
        let image = try answer.timing.measure(repetitions, clock: codec.isSingleThreaded ? .thread : .none) { try codec.decode(bytes) }
        answer.peakBytes = peakBytes
        try FileIO.write(try PNGWriter.write(image, options: .fast), to: output, overwrite: true)
      }
    } catch { answer.error = "\(error)" }
    let data = (try? JSONEncoder().encode(answer)) ?? Data()
    return String(decoding: data, as: UTF8.self)
  }

  /// The most that this process had resident. Not getrusage's, which begins with what its parent had.
  private static var peakBytes: Int? {
    guard let status = try? FileIO.read("/proc/self/status"),
      let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
      let kib = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) })
    else { return nil }
    return 1024 * kib
  }
}

extension ImageProbe {
  /// See `IsolatedProbe`: the child's side, for the command.
  package static func answer(
    _ codec: any ImageBenchCodec, value: Double, repetitions: Int, isEncoding: Bool, input: String, output: String
  ) -> String {
    IsolatedProbe.answer(
      codec, value: value, repetitions: repetitions, isEncoding: isEncoding, input: input, output: output)
  }
}
