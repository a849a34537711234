import Testing

struct UsageTests {
  @Test(arguments: [
    ["--foo"], ["foo"], ["encode"], ["encode", "a"], ["encode", "a", "b", "c"], ["encode", "a", "b", "--quality", "101"],
    ["encode", "a", "b", "--quality", "x"], ["encode", "a", "b", "--quality", "5", "--bpp", "1"],
    ["encode", "a", "b", "--bpp", "0"], ["encode", "a", "b", "--psnr", "nan"], ["encode", "a", "b", "--codec", "jpeg"],
    ["encode", "a", "b", "--effort", "0"], ["encode", "a", "b", "--effort", "10"],
    ["encode", "a", "b", "--codec", "overfit", "--lambda", "0"], ["encode", "a", "b", "--lambda", "0.001"],
    ["encode", "a", "b", "--effort", "5", "--lambda", "0.1", "--bpp", "1"], ["encode", "a", "b", "--decoder-cost", "500"],
    ["encode", "a", "b", "--effort", "4", "--decoder-cost", "700"], ["encode", "a", "b", "--keep-best"],
    ["encode", "a", "b", "--codec", "hyperprior", "--effort", "9", "--keep-best"],
    ["encode", "a", "b", "--threads", "0"], ["decode", "a"], ["decode", "a", "b.jpg"],
    ["decode", "a", "b", "--png-level", "10"], ["decode", "a", "b", "--json"], ["info"], ["info", "a", "b"],
    ["verify"], ["verify", "a", "--threads", "x"],
  ])
  func mistakesExitWith2(arguments: [String]) throws {
    let folder = try Folder()
    let process = Command.process(arguments, in: folder)
    let outcome = try Command.finish(process)
    #expect(outcome.status == 2 && !outcome.isKilled)
    #expect(outcome.output.isEmpty && folder.names.isEmpty)
    #expect(outcome.errorLines.count == 1)
    #expect(outcome.errors.hasPrefix("nccodec: "))
    let subcommand = ["encode", "decode", "info", "verify"].contains(arguments[0]) ? " \(arguments[0])" : ""
    #expect(outcome.errors.hasSuffix(" See 'nccodec\(subcommand) --help'.\n"))
  }

  @Test func version() throws {
    let outcome = try Command.run("--version")
    #expect(outcome.status == 0 && outcome.text == "0.1.0\n" && outcome.errors.isEmpty)
  }

  @Test(arguments: [([], Help.root), (["--help"], Help.root), (["encode", "--help"], Help.encode),
    (["decode", "--help"], Help.decode), (["info", "--help"], Help.info), (["verify", "--help"], Help.verify),
    (["help", "encode"], Help.encode), (["kv", "--help"], Help.kv), (["kv", "plan", "--help"], Help.kvPlan),
    (["kv", "calibrate", "--help"], Help.kvCalibrate), (["kv", "store", "--help"], Help.kvStore)])
  func help(arguments: [String], expected: String) throws {
    let outcome = try Command.finish(Command.process(arguments))
    #expect(outcome.status == 0 && outcome.errors.isEmpty)
    #expect(outcome.text == expected)
  }
}
