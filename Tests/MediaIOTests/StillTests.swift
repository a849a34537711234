import Media
import MediaIO
import Testing

struct StillReaderTests {
  let scene = Scene()

  /// Against libjpeg-turbo and libwebp, which round chroma to 8 bits before the matrix.
  @Test(arguments: [
    ("grey.jpg", 1, 0.05), ("444.jpg", 2, 0.1), ("422.jpg", 3, 0.5), ("420.jpg", 3, 0.5),
    ("progressive.jpg", 3, 0.5), ("lossy.webp", 3, 0.5), ("cmyk.jpg", 2, 1.1),
  ])
  func closeToOtherDecoders(name: String, worst: Int, mean: Double) throws {
    let read = try Fixture.read(name)
    let truth = try Fixture.read("\(name).truth.png").image
    #expect(read.image.colour == truth.colour && read.image.alpha == nil && read.notices == [])
    try #require(read.image.samples.count == truth.samples.count)
    let differences = zip(read.image.samples, truth.samples).map { abs(Int($0) - Int($1)) }
    let average = Double(differences.reduce(0, +)) / Double(differences.count)
    #expect(differences.max()! <= worst)
    #expect(average <= mean)
  }

  @Test(arguments: ["rgb.bmp", "rgb8.tif"])
  func rgb(name: String) throws {
    let image = try Fixture.read(name).image
    #expect(image.colour == .rgb && image.alpha == nil)
    expectSame(
      image.samples, scene.all { scene.pixel($0, $1)[0..<3].map { stored($0, depth: 8) } })
  }

  @Test(arguments: ["rgba8.tif", "lossless-alpha.webp"])
  func rgba(name: String) throws {
    let image = try Fixture.read(name).image
    expectSame(
      image.samples, scene.all { scene.pixel($0, $1)[0..<3].map { stored($0, depth: 8) } })
    expectSame(
      image.alpha, scene.all { [stored(scene.pixel($0, $1)[3], depth: 8)] })
  }

  @Test func losslessWebPWithoutAlpha() throws {
    let image = try Fixture.read("lossless.webp").image
    let photo = try Fixture.read("photo.png").image
    #expect(image.width == 67 && image.height == 45 && image.alpha == nil)
    for y in 0..<45 {
      let row = photo.samples[((y + 64) * 256 * 3 + 96 * 3)...].prefix(67 * 3)
      #expect(image.samples[(y * 67 * 3)..<((y + 1) * 67 * 3)] == row)
    }
  }

  @Test func lossyWebPKeepsAlphaExactly() throws {
    let image = try Fixture.read("lossy-alpha.webp").image
    #expect(image.colour == .rgb)
    expectSame(
      image.alpha, scene.all { [stored(scene.pixel($0, $1)[3], depth: 8)] })
  }

  @Test func greyAndBlackWhite() throws {
    let bmp = try Fixture.read("grey.bmp").image
    #expect(bmp.colour == .grey)
    let luma = { (x: Int, y: Int) -> Int in
      let p = scene.pixel(x, y).map { stored($0, depth: 8) }
      return (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16  // Pillow's
    }
    expectSame(
      bmp.samples, scene.all { [luma($0, $1)] })
    let mono = try Fixture.read("mono.bmp").image
    #expect(mono.colour == .grey && Set(mono.samples) == [0, 255])
    #expect(try Fixture.read("mono.tif").image.samples == mono.samples)
  }

  @Test func sixteenBitTIFF() throws {
    let read = try Fixture.read("grey16.tif")
    #expect(read.image.colour == .grey && read.image.metadata.sourceBitDepth == 16)
    expectSame(
      read.image.samples, scene.all { [expected8(scene.grey($0, $1), depth: 16)] })
    #expect(read.notices == ["16-bit samples were rounded to 8 bits"])
  }

  @Test func portablePixmap() throws {
    let scene = Scene(width: 9, height: 5)
    expectSame(
      try Fixture.read("rgb.ppm").image.samples, scene.all { scene.pixel($0, $1)[0..<3].map { stored($0, depth: 8) } })
  }

  @Test(arguments: [("orientation6-icc.jpg", 6), ("lossless-alpha.webp", 8), ("rgb8.tif", 3)])
  func metadata(name: String, orientation: Int) throws {
    let read = try Fixture.read(name)
    let metadata = read.image.metadata
    #expect(metadata.orientation == orientation)
    // make.py gives them all one profile.
    #expect(metadata.iccProfile != nil)
    expectSame(metadata.iccProfile, try Fixture.read("metadata.png").image.metadata.iccProfile)
    #expect(read.notices == [])
    // And it all fits into a PNG.
    #expect(try ImageReader.read(PNGWriter.write(read.image)).image == read.image)
  }

  /// A profile in several APP2 segments, out of order.
  @Test func splitProfile() throws {
    let plain = try Fixture.bytes("444.jpg")
    let profile = try #require(try Fixture.read("metadata.png").image.metadata.iccProfile)
    let middle = profile.count / 3
    func segment(_ number: UInt8, of count: UInt8, _ part: ArraySlice<UInt8>) -> [UInt8] {
      let body = Array("ICC_PROFILE\0".utf8) + [number, count] + part
      return [0xFF, 0xE2, UInt8((body.count + 2) >> 8), UInt8((body.count + 2) & 255)] + body
    }
    let parts = segment(2, of: 2, profile[middle...]) + segment(1, of: 2, profile[..<middle])
    let image = try ImageReader.read(plain[..<2] + parts + plain[2...]).image
    #expect(image.metadata.iccProfile == profile)
    #expect(image.samples == (try ImageReader.read(plain).image.samples))

    let half = try ImageReader.read(plain[..<2] + segment(1, of: 2, profile[..<middle]) + plain[2...])
    #expect(half.image.metadata.iccProfile == nil)
    #expect(half.notices == ["JPEG: an incomplete ICC profile was left out"])
  }

  @Test func moreThanOnePicture() throws {
    let pages = try Fixture.read("pages.tif")
    #expect(pages.notices == ["TIFF: only the first page was read"])
    #expect(throws: MediaIOError(.unsupported)) { try Fixture.read("animated.webp") }
  }

  @Test func premultipliedTIFF() throws {
    var bytes = try Fixture.bytes("rgba8.tif")
    // ExtraSamples (338), SHORT, one value: 2 becomes 1, "associated alpha" (TIFF 6.0, section 18).
    let tag: [UInt8] = [0x52, 0x01, 3, 0, 1, 0, 0, 0, 2, 0]
    let at = try #require((0..<(bytes.count - 10)).first { Array(bytes[$0..<($0 + 10)]) == tag })
    bytes[at + 8] = 1
    let image = try ImageReader.read(bytes).image
    expectSame(
      image.samples, scene.all { x, y in
          let p = scene.pixel(x, y).map { stored($0, depth: 8) }
          return p[0..<3].map { p[3] == 0 ? 0 : min(255, ($0 * 255 + p[3] / 2) / p[3]) }
        })
  }
}
