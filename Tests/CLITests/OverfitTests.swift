import Foundation
import Glibc
import MediaIO
import Metrics
import Testing

/// `--codec overfit`, from the command line.
struct OverfitTests {
  private func object(_ outcome: Command.Outcome) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any])
  }

  @Test func encodeReportsAndComesBack() throws {
    let folder = try Folder()
    let path = Fixture.path("rgba8.png")
    let outcome = try Command.run("encode", "--codec", "overfit", "--lambda", "0.002", path, "p.ncb", in: folder)
    #expect(outcome.status == 0, "\(outcome.errors)")
    let size = try folder.read("p.ncb").count
    let bpp = String(format: "%.3f", Double(size) * 8 / 945)
    #expect(outcome.text.hasPrefix("\(path): 35x27 RGB with alpha, \(size) bytes, \(bpp) bpp, lambda 0.00200, PSNR "))
    #expect(outcome.text.hasSuffix(" dB\n"))
    #expect(try Command.run("verify", "p.ncb", in: folder).text.hasPrefix("p.ncb: intact, 3 checksums match, "))
    #expect(try Command.run("decode", "p.ncb", "p.png", in: folder).status == 0)
    let back = try ImageReader.read(folder.read("p.png")).image
    let original = try Fixture.read("rgba8.png").image
    #expect(back.alpha == original.alpha && back.metadata == original.metadata)
    let answer = try Command.run(
      "encode", "--json", "--threads", "3", "--codec", "overfit", "--lambda", "0.002", path, "q.ncb", in: folder)
    let report = try object(answer)
    // As measured, whatever the threads; looked for in the text, because JSONSerialization may miss a number's last bit.
    #expect(answer.text.contains("\"psnr\":\(try Metrics.psnr(original, back)),"))
    #expect(try folder.read("q.ncb") == folder.read("p.ncb"))
    #expect(report["codec"] as? String == "overfit" && report["lambda"] as? Double == 0.002)
    #expect(report["iterations"] as? Int == 250 && report["complete"] as? Bool == true)
  }

  @Test func infoShowsWhereTheBytesGo() throws {
    let folder = try Folder()
    #expect(
      try Command.run("encode", "--codec", "overfit", "--decoder-cost", "500", Fixture.path("rgba8.png"), "p.ncb", in: folder)
        .status == 0)
    let text = try Command.run("info", "p.ncb", in: folder).text
    let lines = text.split(separator: "\n")
    #expect(lines.contains("codec:       2 (overfit)"))
    for start in [
      "      grids:                      ", "        hyper-latents 4:          ", "        latents 0:                ",
      "      network:                    ", "        entropy model weights:    ", "      side information:           ",
      "      architecture:               6 neighbours, 2 features, 2 hidden layers; synthesis 8 wide, 1 3x3 layers",
    ] { #expect(lines.contains { $0.hasPrefix(start) }, "\(start) in \(text)") }
    let info = try object(Command.run("info", "--json", "p.ncb", in: folder))
    #expect(info["codec"] as? Int == 2 && info["codecName"] as? String == "overfit")
    let sections = try #require(info["sections"] as? [String: Any])
    let payload = try #require(sections["payload"] as? [String: Any])
    let overfit = try #require(payload["overfit"] as? [String: Any])
    let grids = try #require(overfit["grids"] as? [String: Any])
    let network = try #require(overfit["network"] as? [String: Any])
    let header = try #require(overfit["header"] as? Int), side = try #require(overfit["side"] as? Int)
    #expect(header + side + (grids["bytes"] as! Int) == payload["latents"] as? Int)
    #expect((grids["list"] as? [[String: Any]])?.count == 10)
    let groups = try #require(network["list"] as? [[String: Any]])
    let bytes = groups.reduce(0) { $0 + ($1["bytes"] as! Double) }
    #expect(abs(bytes - (network["bytes"] as! Double)) < 1e-6 && bytes < Double(side))
  }

  @Test func missedTargetsAreNamed() throws {
    let outcome = try Command.run("encode", "--codec", "overfit", "--bpp", "0.01", Fixture.path("rgb8.png"), "-")
    #expect(outcome.status == 0)
    #expect(outcome.errors.hasSuffix(" (what the fits came to for the 0.010 bpp asked for)\n"))
  }

  /// Starts a fit that would last for minutes; returns once it shows iterations.
  private func fitting(_ more: String..., in folder: Folder, terminal: PseudoTerminal) throws -> (Process, Pipe) {
    let process = Command.process(["encode", "--effort", "9"] + more + [Fixture.photo, "out.ncb"], in: folder)
    let output = Pipe()
    process.standardOutput = output
    process.standardError = terminal.handle
    try process.run()
    Command.limit(process)
    var shown = terminal.output(containing: " dB, ", within: 20)
    shown += terminal.output(containing: " left", within: 5)
    #expect(shown.contains(/fit [0-9]+\/[0-9]+, loss 0\.[0-9]+, [0-9.]+ bpp, [0-9.]+ dB, [0-9]+ (s|min [0-9]+ s) left/), "\(shown)")
    return (process, output)
  }

  @Test func interruptionLeavesNothingBehind() throws {
    let (folder, terminal) = (try Folder(), try PseudoTerminal())
    let (process, _) = try fitting(in: folder, terminal: terminal)
    #expect(folder.names.count == 1 && folder.names[0].hasSuffix(".tmp"))
    kill(process.processIdentifier, SIGINT)
    process.waitUntilExit()
    // A shell makes 130 of it.
    #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGINT)
    #expect(folder.names.isEmpty)
  }

  @Test func theBestSoFarIsKept() throws {
    let (folder, terminal) = (try Folder(), try PseudoTerminal())
    let (process, output) = try fitting("--keep-best", in: folder, terminal: terminal)
    kill(process.processIdentifier, SIGINT)
    process.waitUntilExit()
    #expect(process.terminationReason == .exit && process.terminationStatus == 0)
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    #expect(text.contains(/; interrupted after [0-9]+ of [0-9]+ iterations, this is the best so far\n/), "\(text)")
    #expect(folder.names == ["out.ncb"])
    #expect(try Command.run("verify", "--quiet", "out.ncb", in: folder).status == 0)
  }

  @Test func aSecondInterruptionKills() throws {
    let (folder, terminal) = (try Folder(), try PseudoTerminal())
    let (process, _) = try fitting("--keep-best", in: folder, terminal: terminal)
    kill(process.processIdentifier, SIGINT)
    usleep(20_000)
    kill(process.processIdentifier, SIGINT)
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == SIGINT)
    #expect(folder.names.isEmpty)
  }
}
