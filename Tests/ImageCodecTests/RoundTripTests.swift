import Media
import Metrics
import NeuralCodecs
import Testing

/// A picture with smooth parts, edges and texture; what a codec does to it is the test's affair.
func picture(width: Int, height: Int, colour: Image.Colour = .rgb, alpha: Bool = false) throws -> Image {
  var state: UInt32 = 12345
  func noise() -> Int {
    state = state &* 1_664_525 &+ 1_013_904_223
    return Int(state >> 28)
  }
  var samples: [UInt8] = []
  for y in 0..<height {
    for x in 0..<width {
      let base = 40 + (x * 3 + y * 2) % 160 + ((x / 24 + y / 16) % 2) * 40
      for c in 0..<colour.channels { samples.append(UInt8(min(255, base * (4 - c) / 4 + noise()))) }
    }
  }
  let plane = alpha ? (0..<width * height).map { UInt8(truncatingIfNeeded: ($0 % width) * 5) } : nil
  return try Image(width: width, height: height, colour: colour, samples: samples, alpha: plane)
}

func encode(_ image: Image, quality: Int = 50, threads: Int = 1) throws -> EncodedImage {
  var options = ImageEncoder.Options()
  options.target = .quality(quality)
  options.threads = threads
  options.measuresPSNR = true
  return try ImageEncoder(options: options).encode(image)
}

@Suite struct RoundTripTests {
  @Test(arguments: [(1, 1), (2, 1), (1, 17), (15, 16), (16, 16), (17, 33), (63, 64), (65, 130), (200, 90)])
  func everySizeComesBack(width: Int, height: Int) throws {
    let image = try picture(width: width, height: height)
    let encoded = try encode(image)
    let decoded = try ImageDecoder().decode(encoded.bytes)
    #expect(decoded.width == width && decoded.height == height && decoded.colour == .rgb && decoded.alpha == nil)
    // The decoder's picture is the one that the encoder measured.
    #expect(try psnr(image, decoded) == encoded.psnr)
    #expect(encoded.psnr! > 22)
  }

  @Test func greyStaysGreyAndAlphaIsLossless() throws {
    let image = try picture(width: 70, height: 41, colour: .grey, alpha: true)
    let decoded = try ImageDecoder().decode(try encode(image, quality: 80).bytes)
    #expect(decoded.colour == .grey)
    #expect(decoded.alpha == image.alpha)
    #expect(try psnr(Image(width: 70, height: 41, colour: .grey, samples: image.samples), decoded.withoutAlpha()) > 28)
  }

  @Test func metadataIsKept() throws {
    var image = try picture(width: 20, height: 20)
    image.metadata = ImageMetadata(
      iccProfile: [1, 2, 3], gamma: 45455, sRGBIntent: 2,
      chromaticities: .init(
        whiteX: 31270, whiteY: 32900, redX: 64000, redY: 33000, greenX: 30000, greenY: 60000, blueX: 15000, blueY: 6000),
      exif: EXIF.minimal(orientation: 6))
    let decoded = try ImageDecoder().decode(try encode(image).bytes)
    #expect(decoded.metadata == image.metadata)
    #expect(decoded.metadata.orientation == 6)
  }

  @Test func threadsChangeNothing() throws {
    let image = try picture(width: 300, height: 200)
    let one = try encode(image, threads: 1)
    let four = try encode(image, threads: 4)
    #expect(one.bytes == four.bytes)
    var options = ImageDecoder.Options()
    options.threads = 1
    let a = try ImageDecoder(options: options).decode(one.bytes)
    options.threads = 3
    #expect(try ImageDecoder(options: options).decode(one.bytes) == a)
  }

  @Test func rateAndQualityRiseTogether() throws {
    let image = try picture(width: 256, height: 192)
    let steps = try stride(from: 0, through: 100, by: 10).map { try encode(image, quality: $0) }
    for (low, high) in zip(steps, steps.dropFirst()) {
      #expect(low.bytes.count < high.bytes.count)
      #expect(low.psnr! < high.psnr!)
    }
  }

  @Test func targetsAreMetAsNearlyAsQualitiesAllow() throws {
    let image = try picture(width: 192, height: 128)
    var options = ImageEncoder.Options()
    let all = try (40...60).map { try encode(image, quality: $0) }
    options.target = .bitsPerPixel(all[10].bitsPerPixel)
    #expect(try ImageEncoder(options: options).encode(image).bytes == all[10].bytes)
    options.target = .psnr(all[7].psnr!)
    #expect(try ImageEncoder(options: options).encode(image).psnr == all[7].psnr)
    options.target = .bitsPerPixel(1000)
    #expect(try ImageEncoder(options: options).encode(image).quality == 100)
    options.target = .psnr(1)
    #expect(try ImageEncoder(options: options).encode(image).quality == 0)
  }

  @Test func optionsAreChecked() throws {
    let image = try picture(width: 8, height: 8)
    for target in [ImageEncoder.Target.quality(101), .quality(-1), .bitsPerPixel(0), .psnr(.nan)] {
      var options = ImageEncoder.Options()
      options.target = target
      #expect(throws: CodecError(.invalidOption, "")) { try ImageEncoder(options: options).encode(image) }
    }
    var options = ImageEncoder.Options()
    options.maxPixels = 63
    #expect(throws: CodecError(.limitExceeded, "")) { try ImageEncoder(options: options).encode(image) }
    var limits = ImageDecoder.Options()
    limits.maxPixels = 63
    let bytes = try encode(image).bytes
    #expect(throws: CodecError(.limitExceeded, "")) { try ImageDecoder(options: limits).decode(bytes) }
    limits = ImageDecoder.Options()
    limits.maxMemory = 1 << 20
    #expect(throws: CodecError(.limitExceeded, "")) { try ImageDecoder(options: limits).decode(bytes) }
  }

  @Test func severalTasksShareACoder() async throws {
    let image = try picture(width: 120, height: 90)
    let expected = try encode(image, quality: 30).bytes
    var options = ImageEncoder.Options()
    options.target = .quality(30)
    let encoder = ImageEncoder(options: options)
    let decoder = ImageDecoder()
    let decoded = try decoder.decode(expected)
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for _ in 0..<6 {
        group.addTask {
          let bytes = try encoder.encode(image).bytes
          return try bytes == expected && decoder.decode(bytes) == decoded
        }
      }
      for try await same in group { #expect(same) }
    }
  }

  @Test func cancellationStopsBoth() async throws {
    let image = try picture(width: 64, height: 64)
    let bytes = try encode(image).bytes
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      #expect(throws: CancellationError.self) { try ImageEncoder().encode(image) }
      #expect(throws: CancellationError.self) { try ImageDecoder().decode(bytes) }
    }
    await task.value
  }
}

extension Image {
  func withoutAlpha() throws -> Image {
    var copy = self
    try copy.setAlpha(nil)
    return copy
  }
}
