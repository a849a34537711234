import Foundation
import MediaIO
import Metrics
import Testing

struct ReportTests {
  private func object(_ outcome: Command.Outcome) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(outcome.output)) as? [String: Any])
  }

  @Test func encodeReportsOneLine() throws {
    let folder = try Folder()
    let outcome = try Command.run("encode", "--quality", "30", Fixture.photo, "p.ncb", in: folder)
    let size = try folder.read("p.ncb").count
    let bpp = String(format: "%.3f", Double(size) * 8 / 65536)
    #expect(outcome.text == "\(Fixture.photo): 256x256 RGB, \(size) bytes, \(bpp) bpp, quality 30\n")
    #expect(outcome.errors.isEmpty)
  }

  @Test func encodeReportsJSON() throws {
    let folder = try Folder()
    let plain = try object(Command.run("encode", "--json", Fixture.path("rgba16.png"), "p.ncb", in: folder))
    let size = try folder.read("p.ncb").count
    #expect(plain["bytes"] as? Int == size && plain["width"] as? Int == 35 && plain["height"] as? Int == 27)
    #expect(plain["alpha"] as? Bool == true && plain["colour"] as? String == "rgb" && plain["quality"] as? Int == 50)
    #expect(plain["bitsPerPixel"] as? Double == Double(size) * 8 / 945)
    #expect(plain["notices"] as? [String] == ["16-bit samples were rounded to 8 bits"])
    #expect(plain["psnr"] == nil && plain["asked"] == nil)
  }

  /// What is reported is what a decoder gets, in 8 bits.
  @Test func psnrIsThatOfTheDecodedPicture() throws {
    let folder = try Folder()
    let report = try object(Command.run("encode", "--json", "--psnr", "28", Fixture.photo, "p.ncb", in: folder))
    #expect(try Command.run("decode", "p.ncb", "p.png", in: folder).status == 0)
    let back = try ImageReader.read(folder.read("p.png")).image
    let measured = try Metrics.psnr(Fixture.read("photo.png").image, back)
    let reported = try #require(report["psnr"] as? Double)
    #expect(abs(reported - measured) < 1e-9)
    #expect((report["asked"] as? [String: Double]) == ["psnr": 28])
  }

  @Test func targetsOutOfReachAreNamed() throws {
    let low = try Command.run("encode", "--bpp", "0.001", Fixture.photo, "-").errors
    #expect(low.contains("quality 0 ") && low.hasSuffix(" (the nearest reachable point to the 0.001 bpp asked for)\n"))
    let high = try Command.run("encode", "--psnr", "99", Fixture.photo, "-").errors
    #expect(high.contains("quality 100, PSNR "))
    #expect(high.hasSuffix(" (the nearest reachable point to the 99.00 dB asked for)\n"))
  }

  /// Asking for what a quality gives finds that quality.
  @Test func targetsWithinReachAreMet() throws {
    let folder = try Folder()
    let plain = try object(Command.run("encode", "--json", "--quality", "40", Fixture.photo, "p.ncb", in: folder))
    let bpp = try #require(plain["bitsPerPixel"] as? Double)
    let outcome = try Command.run("encode", "--bpp", "\(bpp)", Fixture.photo, "q.ncb", in: folder)
    #expect(outcome.text.contains(String(format: ", %.3f bpp, quality ", bpp)))
    #expect(!outcome.text.contains("nearest"))
    #expect(try folder.read("q.ncb").count == folder.read("p.ncb").count)
  }

  @Test func infoAddsUp() throws {
    let folder = try Folder()
    for name in ["rgba8.png", "metadata.png", "photo.png", "greyalpha8.png"] {
      #expect(try Command.run("encode", "--force", Fixture.path(name), "p.ncb", in: folder).status == 0)
      let size = try folder.read("p.ncb").count
      let info = try object(Command.run("info", "--json", "p.ncb", in: folder))
      let sections = try #require(info["sections"] as? [String: Any])
      let payload = try #require(sections["payload"] as? [String: Int])
      let container = try #require(sections["container"] as? Int)
      let metadata = try #require(sections["metadata"] as? Int)
      #expect(info["bytes"] as? Int == size)
      #expect(container + metadata + payload["bytes"]! == size)
      #expect(payload["alpha"]! + payload["latents"]! == payload["bytes"]!)
      #expect((payload["alpha"]! > 0) == name.contains("a8"))
      #expect((metadata > 0) == (name == "metadata.png"))
      #expect(container <= 40)
      #expect(info["codec"] as? Int == 1 && info["codecName"] as? String == "hyperprior" && info["model"] as? Int == 1)
      let picture = try #require(info["picture"] as? [String: Any])
      let image = try Fixture.read(name).image
      #expect(picture["width"] as? Int == image.width && picture["height"] as? Int == image.height)
      #expect(picture["alpha"] as? Bool == (image.alpha != nil) && picture["quality"] as? Int == 50)
      #expect((info["fields"] as? [String: Any])?["chunks"] is [Any])
    }
  }

  @Test func infoShowsEveryField() throws {
    let encoded = try Command.run("encode", "--quality", "7", Fixture.path("rgba8.png"), "-").output
    let text = try Command.run("info", "-", input: encoded).text
    for line in [
      "file:        standard input", "picture:     35x27 RGB with alpha", "codec:       1 (hyperprior)",
      "model:       1", "quality:     7", "  magic: 8 bytes: 8e4e43420d0a1a0a", "  major version: 1", "  minor version: 0",
      "    modality: image", "      width: 35 pixels", "      height: 27 pixels", "      colour: RGB", "      alpha: yes",
    ] { #expect(text.split(separator: "\n").contains(Substring(line)), "\(line)") }
  }

  /// A model that is not here is no reason to say nothing.
  @Test func infoNeedsNoModel() throws {
    let file = NCBBytes.file([NCBBytes.track(model: 99), NCBBytes.payload, NCBBytes.end])
    let outcome = try Command.run("info", "-", input: file)
    #expect(outcome.status == 0 && outcome.text.contains("model:       99\n"))
  }

  @Test func verifyPrintsTheSameChecksumEveryTime() throws {
    let encoded = try Command.run("encode", Fixture.path("rgba8.png"), "-").output
    let lines = try Set(["1", "2"].map { try Command.run("verify", "--threads", $0, "-", input: encoded).text })
    let line = try #require(lines.first)
    #expect(lines.count == 1)
    let pattern = /standard input: intact, 3 checksums match, 35x27 RGB with alpha decoded, CRC-32 of samples [0-9a-f]{8}\n/
    #expect(line.wholeMatch(of: pattern) != nil)
  }
}
