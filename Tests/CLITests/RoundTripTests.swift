import Foundation
import Media
import MediaIO
import Metrics
import Testing

struct RoundTripTests {
  @Test(arguments: [
    "1x1.png", "grey1.png", "grey2.png", "grey4.png", "grey4-adam7.png", "grey8.png", "grey16.png", "greyalpha8.png",
    "palette4.png", "palette4-trns.png", "palette8-grey.png", "rgb8.png", "rgb8-adam7.png", "rgb8-trns.png", "rgb16.png",
    "rgba8.png", "rgba16.png", "metadata.png", "srgb-exif-last.png", "photo.png", "444.jpg", "progressive.jpg",
    "orientation6-icc.jpg", "lossless-alpha.webp", "lossy.webp", "grey.bmp", "rgb8.tif", "mono.tif", "rgb.ppm",
  ])
  func everyKindOfPicture(name: String) throws {
    let folder = try Folder()
    let original = try Fixture.read(name)
    let encoding = try Command.run("encode", "--quality", "90", Fixture.path(name), "p.ncb", in: folder)
    #expect(encoding.status == 0, "\(encoding.errors)")
    #expect(encoding.text.hasPrefix("\(Fixture.path(name)): \(original.image.width)x\(original.image.height) "))
    #expect(encoding.errorLines.map(String.init) == original.notices.map { "nccodec: note: \(Fixture.path(name)): \($0)" })
    let decoding = try Command.run("decode", "p.ncb", "p.png", in: folder)
    #expect(decoding.status == 0, "\(decoding.errors)")
    #expect(folder.names == ["p.ncb", "p.png"])

    let back = try ImageReader.read(folder.read("p.png"))
    #expect(back.notices.isEmpty)
    #expect(back.image.width == original.image.width && back.image.height == original.image.height)
    #expect(back.image.colour == original.image.colour)
    #expect(back.image.alpha == original.image.alpha)
    var metadata = original.image.metadata
    metadata.sourceBitDepth = 8
    #expect(back.image.metadata == metadata)
    #expect(try Metrics.psnr(original.image, back.image) > 10)
  }

  @Test func sixteenBitsAreAnnounced() throws {
    let outcome = try Command.run("encode", Fixture.path("rgb16.png"), "-")
    #expect(outcome.errors.contains("16-bit samples were rounded to 8 bits\n"))
    #expect(outcome.output.starts(with: [0x8E, 0x4E, 0x43, 0x42]))
  }

  @Test func pipesCarryTheSameBytes() throws {
    let folder = try Folder()
    #expect(try Command.run("encode", Fixture.photo, "p.ncb", in: folder).status == 0)
    #expect(try Command.run("decode", "p.ncb", "p.png", in: folder).status == 0)
    let encoded = try Command.run("encode", "-", "-", input: FileIO.read(Fixture.photo))
    #expect(encoded.status == 0)
    #expect(encoded.output == (try folder.read("p.ncb")))
    #expect(encoded.errors.hasPrefix("standard input: 256x256 RGB, \(encoded.output.count) bytes, "))
    let decoded = try Command.run("decode", "-", "-", input: encoded.output)
    #expect(decoded.output == (try folder.read("p.png")))
    #expect(decoded.errors == "standard output: 256x256 RGB, \(decoded.output.count) bytes\n")
    #expect(try Command.run("verify", "-", input: encoded.output).text.hasPrefix("standard input: intact, "))
  }

  @Test func threadsDoNotChangeTheBytes() throws {
    let one = try Command.run("encode", "--threads", "1", Fixture.photo, "-")
    let three = try Command.run("encode", "--threads", "3", Fixture.photo, "-")
    #expect(one.output == three.output && !one.output.isEmpty)
    let pictures = try ["1", "3"].map {
      try Command.run("decode", "--threads", $0, "-", "-", input: one.output).output
    }
    #expect(pictures[0] == pictures[1] && !pictures[0].isEmpty)
  }

  @Test func pngLevelsGiveTheSameSamples() throws {
    let encoded = try Command.run("encode", Fixture.photo, "-").output
    let fast = try Command.run("decode", "-", "-", input: encoded).output
    let small = try Command.run("decode", "--png-level", "9", "-", "-", input: encoded).output
    let stored = try Command.run("decode", "--png-level", "0", "-", "-", input: encoded).output
    #expect(small.count < fast.count && fast.count < stored.count)
    #expect(try ImageReader.read(fast).image == ImageReader.read(small).image)
    #expect(try ImageReader.read(fast).image == ImageReader.read(stored).image)
  }

  @Test func quietSaysNothing() throws {
    let folder = try Folder()
    for arguments in [
      ["encode", "--quiet", Fixture.path("rgb16.png"), "p.ncb"], ["decode", "--quiet", "p.ncb", "p.png"],
      ["verify", "--quiet", "p.ncb"],
    ] {
      let outcome = try Command.finish(Command.process(arguments, in: folder))
      #expect(outcome.status == 0 && outcome.output.isEmpty && outcome.errors.isEmpty)
    }
    #expect(folder.names == ["p.ncb", "p.png"])
  }
}
