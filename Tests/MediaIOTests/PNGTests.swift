import Media
import MediaIO
import Testing

struct PNGReaderTests {
  let scene = Scene()

  @Test(arguments: [1, 2, 4, 8, 16])
  func grey(depth: Int) throws {
    let read = try Fixture.read("grey\(depth).png")
    #expect(read.image.colour == .grey && read.image.alpha == nil)
    #expect(read.image.metadata.sourceBitDepth == depth)
    #expect(read.notices == (depth == 16 ? ["16-bit samples were rounded to 8 bits"] : []))
    expectSame(
      read.image.samples, scene.all { [expected8(stored(scene.grey($0, $1), depth: depth), depth: depth)] })
  }

  @Test(arguments: [("rgb8", 8), ("rgb8-adam7", 8), ("rgb16", 16)])
  func rgb(name: String, depth: Int) throws {
    let image = try Fixture.read("\(name).png").image
    #expect(image.colour == .rgb && image.alpha == nil && image.metadata.sourceBitDepth == depth)
    expectSame(
      image.samples, scene.all { scene.pixel($0, $1)[0..<3].map { expected8(stored($0, depth: depth), depth: depth) } })
  }

  @Test(arguments: [("rgba8", 8), ("rgba8-adam7", 8), ("rgba16", 16)])
  func rgba(name: String, depth: Int) throws {
    let image = try Fixture.read("\(name).png").image
    expectSame(
      image.samples, scene.all { scene.pixel($0, $1)[0..<3].map { expected8(stored($0, depth: depth), depth: depth) } })
    expectSame(
      image.alpha, scene.all { [expected8(stored(scene.pixel($0, $1)[3], depth: depth), depth: depth)] })
  }

  @Test func greyAlpha() throws {
    let image = try Fixture.read("greyalpha8.png").image
    #expect(image.colour == .grey)
    expectSame(
      image.samples, scene.all { [stored(scene.grey($0, $1), depth: 8)] })
    expectSame(
      image.alpha, scene.all { [stored(scene.pixel($0, $1)[3], depth: 8)] })
  }

  @Test func tinyInterlaced() throws {
    let image = try Fixture.read("grey4-adam7.png").image
    expectSame(
      image.samples, Scene(width: 5, height: 3).all { [($0 * 3 + $1) % 16 * 17] })
  }

  @Test(arguments: [false, true])
  func palette(transparent: Bool) throws {
    let image = try Fixture.read(transparent ? "palette4-trns.png" : "palette4.png").image
    let index = { (x: Int, y: Int) in (x / 3 + y) % 16 }
    expectSame(
      image.samples, scene.all { [index($0, $1) * 17, 255 - index($0, $1) * 17, index($0, $1) * 40 % 256] })
    // tRNS has nine entries; the rest are opaque.
    expectSame(
      image.alpha, (transparent ? scene.all { [index($0, $1) < 9 ? index($0, $1) * 25 : 255] } : nil))
  }

  @Test func greyPaletteBecomesGrey() throws {
    let image = try Fixture.read("palette8-grey.png").image
    #expect(image.colour == .grey)
    expectSame(
      image.samples, scene.all { [[0, 200, 255][($0 + $1) % 3]] })
  }

  @Test func transparentColour() throws {
    let image = try Fixture.read("rgb8-trns.png").image
    let key = stored(40000, depth: 8)
    expectSame(
      image.alpha, scene.all { x, y in scene.pixel(x, y)[0..<3].allSatisfy { stored($0, depth: 8) == key } ? [0] : [255] })
  }

  @Test func onePixel() throws {
    let image = try Fixture.read("1x1.png").image
    #expect(image.width == 1 && image.height == 1 && image.samples == [1, 2, 3])
  }

  /// All 65,536 values.
  @Test func sixteenBitsRoundToNearest() throws {
    var rows: [UInt8] = []
    for high in 0..<256 { rows += [0] + (0..<256).flatMap { [UInt8(high), UInt8($0)] } }
    let image = try ImageReader.read(
      PNGBytes.file(width: 256, height: 256, depth: 16, colourType: 0, rows: rows)
    ).image
    #expect(image.samples == (0..<65536).map { UInt8(expected8($0, depth: 16)) })
  }

  @Test func metadata() throws {
    let read = try Fixture.read("metadata.png")
    let metadata = read.image.metadata
    #expect(metadata.gamma == 50000)
    #expect(metadata.orientation == 6)
    #expect(metadata.exif?.count == 26)
    #expect(metadata.iccProfile.map { $0.count > 128 && Array($0[36..<40]) == Array("acsp".utf8) } == true)
    #expect(read.notices == [])

    let late = try Fixture.read("srgb-exif-last.png").image.metadata
    #expect(late.sRGBIntent == 1 && late.gamma == nil && late.orientation == 3)
  }

  @Test func animationIsNoticed() throws {
    let rows: [UInt8] = [0, 9]
    let acTL = PNGBytes.chunk("acTL", PNGBytes.big(2) + PNGBytes.big(0))
    let read = try ImageReader.read(
      PNGBytes.file(width: 1, height: 1, depth: 8, colourType: 0, rows: rows, before: acTL))
    #expect(read.image.samples == [9])
    #expect(read.notices == ["animated PNG: only the still picture was read"])
  }
}

struct PNGWriterTests {
  static let kinds = [
    "grey8", "greyalpha8", "rgb8", "rgba8", "rgb16", "palette4-trns", "1x1", "metadata", "srgb-exif-last", "photo",
  ]

  @Test(arguments: kinds)
  func roundTrip(name: String) throws {
    var image = try Fixture.read("\(name).png").image
    let back = try ImageReader.read(PNGWriter.write(image))
    image.metadata.sourceBitDepth = 8
    #expect(back.image == image)
    #expect(back.notices == [])
  }

  @Test func levels() throws {
    let image = try Fixture.read("photo.png").image
    let sizes = try [0, 1, 9].map { level in
      let bytes = try PNGWriter.write(image, options: .init(compressionLevel: level))
      #expect(try ImageReader.read(bytes).image == image)
      return bytes.count
    }
    #expect(sizes[0] > 256 * 256 * 3 && sizes[0] > sizes[1] && sizes[1] > sizes[2])
  }

  @Test func allMetadata() throws {
    var image = try Image(width: 2, height: 1, colour: .grey, samples: [1, 2], alpha: [3, 4])
    image.metadata.gamma = 45455
    image.metadata.chromaticities = .init(
      whiteX: 31270, whiteY: 32900, redX: 64000, redY: 33000, greenX: 30000, greenY: 60000, blueX: 15000, blueY: 6000)
    image.metadata.exif = EXIF.minimal(orientation: 7)
    #expect(try ImageReader.read(PNGWriter.write(image)).image == image)
  }

  /// Metadata from a hostile .ncb must not stop a picture from being written.
  @Test func badMetadataIsLeftOut() throws {
    var image = try Image(width: 1, height: 1, colour: .rgb, samples: [1, 2, 3])
    var profile = [UInt8](repeating: 0, count: 200)
    profile.replaceSubrange(0..<4, with: PNGBytes.big(200))
    profile.replaceSubrange(16..<20, with: Array("RGB ".utf8))
    profile.replaceSubrange(36..<40, with: Array("acsp".utf8))
    for icc in [[], [1, 2, 3], [UInt8](repeating: 255, count: 500), profile] {
      image.metadata.iccProfile = icc
      image.metadata.exif = [1, 2, 3]
      image.metadata.gamma = 4_000_000_000
      image.metadata.sRGBIntent = 9
      image.metadata.chromaticities = .init(
        whiteX: 0, whiteY: 0, redX: 4_000_000_000, redY: 1, greenX: 2, greenY: 3, blueX: 4, blueY: 5)
      let back = try ImageReader.read(PNGWriter.write(image)).image
      #expect(back.samples == [1, 2, 3] && back.metadata.exif == nil && back.metadata.sRGBIntent == nil)
    }
  }
}
