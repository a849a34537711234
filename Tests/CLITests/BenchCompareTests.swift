import Foundation
import Media
import MediaIO
import Testing

/// Values: Tests/MetricsTests/reference.py.
struct BenchCompareTests {
  /// Writes photo.png at sixteen levels.
  static func writeOther(to folder: Folder) throws {
    let photo = try Fixture.read("photo.png").image
    let samples = photo.samples.map { $0 / 16 * 16 + 8 }
    let other = try Image(width: photo.width, height: photo.height, colour: .rgb, samples: samples)
    try folder.write("other.png", PNGWriter.write(other))
  }

  @Test func table() throws {
    let folder = try Folder()
    try Self.writeOther(to: folder)
    let outcome = try Command.run(
      "bench", "compare", "--measures", "psnr,psnrYUV,ssim,msssim", Fixture.photo, "other.png", in: folder)
    #expect(outcome.status == 0 && outcome.errors.isEmpty)
    #expect(
      outcome.text == """
        PSNR               34.9830 dB
        PSNR of YUV 6:1:1  37.6158 dB
        SSIM               0.9416
        MS-SSIM            0.9912

        """)
  }

  struct Entry: Decodable {
    let value: Double?
    let unit, version: String
    let isHigherBetter: Bool
    let why: String?
  }

  @Test func json() throws {
    let folder = try Folder()
    try Self.writeOther(to: folder)
    let outcome = try Command.run("bench", "compare", "--json", Fixture.photo, "other.png", in: folder)
    #expect(outcome.status == 0 && outcome.errors.isEmpty)
    let entries = try JSONDecoder().decode([String: Entry].self, from: Data(outcome.output))
    #expect(
      entries.keys.sorted()
        == ["butteraugli", "msssim", "psnr", "psnrYUV", "ssim", "ssimulacra", "ssimulacra2", "vmaf"])
    #expect(abs(try #require(entries["psnr"]?.value) - 34.982991959) < 1e-8 && entries["psnr"]?.unit == "dB")
    #expect(abs(try #require(entries["msssim"]?.value) - 0.9912243) < 2e-5)
    // Each has a value, or says why not.
    for (name, entry) in entries { #expect((entry.value == nil) == (entry.why != nil), "\(name)") }
    #expect(entries["butteraugli"]?.isHigherBetter == false)
  }

  @Test func equalAndTooSmallPictures() throws {
    let one = try Command.run("bench", "compare", Fixture.path("1x1.png"), Fixture.path("1x1.png"))
    #expect(one.status == 0)
    #expect(one.text.hasPrefix("PSNR                    infinite (equal)\n"))
    #expect(one.text.contains("MS-SSIM                 not defined for pictures as small as this\n"))
    let json = try Command.run("bench", "compare", "--json", "--measures", "psnr,ssim", Fixture.path("1x1.png"), Fixture.path("1x1.png"))
    #expect(json.text.hasPrefix(#"{"psnr":{"value":"inf","unit":"dB""#))
    #expect(json.text.contains(#""ssim":{"value":null"#))
  }

  @Test func greyAgainstColour() throws {
    let folder = try Folder()
    let grey = try Fixture.read("grey8.png").image
    let rgb = try Image(
      width: grey.width, height: grey.height, colour: .rgb, samples: grey.samples.flatMap { [$0, $0, $0] })
    // A pixel with a colour, or the reader makes it grey again where it has a palette.
    try folder.write("rgb.png", PNGWriter.write(rgb))
    let outcome = try Command.run(
      "bench", "compare", "--measures", "psnr,psnrYUV", Fixture.path("grey8.png"), "rgb.png", in: folder)
    #expect(outcome.status == 0)
    #expect(outcome.text == "PSNR               infinite (equal)\nPSNR of YUV 6:1:1  infinite (equal)\n")
  }

  @Test func failures() throws {
    let folder = try Folder()
    let cases: [([String], Int32, String)] = [
      ([Fixture.photo, Fixture.path("1x1.png")], 1, "1x1, but the original is 256x256"),
      ([Fixture.photo, "none.png"], 1, "none.png: No such file or directory"),
      ([Fixture.photo, Fixture.path("broken-truncated.png")], 1, "broken-truncated.png"),
      (["--measures", "psnr,lpips", Fixture.photo, Fixture.photo], 2, "No measure is called 'lpips'; there are psnr, "),
      (["--measures", "", Fixture.photo, Fixture.photo], 2, "No measure is called ''"),
      (["-", "-"], 2, "Only one of the two"), ([Fixture.photo], 2, "Missing"),
    ]
    for (arguments, status, words) in cases {
      let outcome = try Command.finish(Command.process(["bench", "compare"] + arguments, in: folder))
      #expect(outcome.status == status && !outcome.isKilled, "\(arguments)")
      #expect(outcome.output.isEmpty && outcome.errorLines.count == 1, "\(arguments): \(outcome.errors)")
      #expect(outcome.errors.contains(words), "\(arguments): \(outcome.errors)")
    }
  }

  /// What a program answers, and one that fails beside measures that do not.
  @Test func programs() throws {
    let folder = try Folder()
    for (name, script) in [("ssimulacra2", "echo 71.5"), ("ssimulacra_main", "echo no luck >&2; exit 4")] {
      try folder.write("\(name).txt", Array("#!/bin/sh\n\(script)\n".utf8))
      // Another process copies it: a file that this one has had open to write cannot be run while other tests start programs.
      let install = Process()
      install.executableURL = URL(filePath: "/usr/bin/install")
      install.arguments = ["-m", "755", folder.path("\(name).txt"), folder.path(name)]
      try install.run()
      install.waitUntilExit()
    }
    let process = Command.process(
      ["bench", "compare", "--measures", "psnr,ssimulacra2,ssimulacra", Fixture.photo, Fixture.photo], in: folder)
    process.environment?["PATH"] = folder.url.path
    let outcome = try Command.finish(process)
    #expect(outcome.status == 1 && outcome.errors.isEmpty)
    #expect(
      outcome.text == """
        PSNR                    infinite (equal)
        SSIMULACRA 2            71.5000
        SSIMULACRA (version 1)  ssimulacra_main: exit code 4: no luck.

        """)
  }

  @Test func help() throws {
    let outcome = try Command.run("bench", "compare", "--help")
    #expect(outcome.status == 0 && outcome.text == Self.help)
  }

  static let help = """
    OVERVIEW: Measure how far a picture is from another.

    Prints every measure that bench image has, of 8-bit samples, alpha left out:
    PSNR, PSNR of YUV by 6:1:1, SSIM, MS-SSIM, and SSIMULACRA, Butteraugli and VMAF
    where their programs are installed. A grey picture against one in colour is
    taken as RGB.

    Examples:
      nccodec bench compare photo.png decoded.png
      nccodec bench compare --json --measures psnr,msssim photo.png decoded.png

    USAGE: nccodec bench compare <original> <decoded> [--measures <name,...>] [--json]

    ARGUMENTS:
      <original>              The original; - for standard input.
      <decoded>               The picture to hold against it.

    OPTIONS:
      --measures <name,...>   The measures to take, by name. (default: all)
      --json                  Print one JSON object: a number for each measure, or
                              null, and why.
      --version               Show the version.
      -h, --help              Show help information.

    """
}
