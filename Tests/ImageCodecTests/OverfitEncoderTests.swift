import ImageCodec
import Foundation
import Media
import MediaIO
import Metrics
import NeuralCodecs
import Synchronization
import Testing

/// Fits of few iterations.
@Suite struct OverfitEncoderTests {
  private func options(iterations: Int, threads: Int = 2, cost: Int? = nil) -> ImageEncoder.Options {
    var options = ImageEncoder.Options()
    options.codec = .overfit
    options.iterations = iterations
    options.threads = threads
    options.decoderCost = cost
    options.target = .lambda(0.002)
    return options
  }

  @Test(arguments: [(1, 1), (17, 5), (1, 400), (400, 1), (40, 24)]) func everySizeComesBack(width: Int, height: Int) throws {
    let image = try picture(width: width, height: height)
    for cost in [500, 3000] {
      let encoded = try ImageEncoder(options: options(iterations: 20, cost: cost)).encode(image)
      let decoded = try ImageDecoder().decode(encoded.bytes)
      #expect(decoded.width == width && decoded.height == height && decoded.colour == .rgb && decoded.alpha == nil)
      // The decoder's picture is the one that the encoder measured.
      #expect(try psnr(image, decoded) == encoded.psnr)
      #expect(encoded.codec == .overfit && encoded.fit?.iterations == 20 && encoded.fit!.isComplete)
      #expect(try ImageFile(reading: encoded.bytes).codec == 2)
    }
  }

  @Test func greyAlphaAndMetadataAreKept() throws {
    var image = try picture(width: 50, height: 37, colour: .grey, alpha: true)
    image.metadata = ImageMetadata(gamma: 45455, sRGBIntent: 2)
    let encoded = try ImageEncoder(options: options(iterations: 60)).encode(image)
    let decoded = try ImageDecoder().decode(encoded.bytes)
    #expect(decoded.colour == .grey && decoded.alpha == image.alpha && decoded.metadata == image.metadata)
    #expect(try psnr(image.withoutAlpha(), decoded.withoutAlpha()) == encoded.psnr)
  }

  @Test func threadsChangeNothing() throws {
    let image = try picture(width: 150, height: 90)
    for target in [ImageEncoder.Target.lambda(0.002), .bitsPerPixel(2)] {
      let files = try [1, 2, 3, 7].map { threads in
        var options = options(iterations: 12, threads: threads, cost: 1000)
        options.target = target
        return try ImageEncoder(options: options).encode(image).bytes
      }
      #expect(Set(files).count == 1)
    }
  }

  @Test func qualitiesRise() throws {
    let image = try picture(width: 96, height: 64)
    let files = try [0, 50, 100].map { quality in
      var options = options(iterations: 100, cost: 500)
      options.target = .quality(quality)
      return try ImageEncoder(options: options).encode(image)
    }
    for (low, high) in zip(files, files.dropFirst()) {
      #expect(low.bytes.count < high.bytes.count && low.psnr! + 1 < high.psnr!)
    }
    #expect(files.map(\.quality) == [0, 50, 100])
    #expect(abs(files[1].fit!.lambda - 0.002) < 1e-9)
  }

  @Test func targetsAreMet() throws {
    let image = try picture(width: 128, height: 96)
    var options = options(iterations: 250, cost: 500)
    options.target = .bitsPerPixel(1.5)
    let rate = try ImageEncoder(options: options).encode(image)
    #expect(abs(rate.bitsPerPixel / 1.5 - 1) < 0.02, "\(rate.bitsPerPixel) bpp")
    options.target = .psnr(33)
    let quality = try ImageEncoder(options: options).encode(image)
    #expect(abs(quality.psnr! - 33) < 0.15, "\(quality.psnr!) dB")
  }

  /// Fine grids are left out where the picture has nothing for them.
  @Test func gridsFollowTheDetail() throws {
    func gradient(_ x: Int, _ y: Int) -> Int { 50 + x + y }
    func stripes(_ x: Int, _ y: Int) -> Int { x % 2 == 0 ? 40 : 200 }
    func pairs(_ x: Int, _ y: Int) -> Int { x / 2 % 2 == 0 ? 40 : 200 }
    let expected: [((Int, Int) -> Int, variances: [Double], finest: Int)] = [
      (gradient, [0.5, 2], 2), (stripes, [6400, 0], 0), (pairs, [0, 6400], 1),
    ]
    for (value, variances, finest) in expected {
      let samples = (0..<48 * 48).map { UInt8(value($0 % 48, $0 / 48)) }
      let image = try Image(width: 48, height: 48, colour: .grey, samples: samples)
      for (found, wanted) in zip(OverfitDetail(image).variances, variances) { #expect(abs(found * 255 * 255 - wanted) < 1e-6) }
      var options = options(iterations: 12, cost: 500)
      (options.effort, options.target) = (1, .lambda(0.01))
      let file = try ImageFile(reading: ImageEncoder(options: options).encode(image).bytes)
      let grids = try #require(file.picture?.overfit).grids
      #expect(grids.last { !$0.isHyper }!.level == finest)
    }
    let line = try Image(width: 1, height: 9, colour: .grey, samples: [UInt8](repeating: 7, count: 9))
    #expect(OverfitDetail(line).variances == [.infinity, .infinity])
  }

  /// Fits of a few seconds get somewhere, and know what their files take.
  @Test func aShortFitReachesItsPoint() throws {
    let image = try ImageReader.read(
      FileIO.read(
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
          .appending(path: "Fixtures/Images/photo.png").path)
    ).image
    let encoded = try ImageEncoder(options: options(iterations: 130, cost: 1000)).encode(image)
    let estimated = encoded.fit!.estimatedBytes
    #expect(abs(Double(encoded.bytes.count) / estimated - 1) < 0.005, "\(encoded.bytes.count) bytes, \(estimated) estimated")
    // 0.90 bpp and 26.56 dB when this was written.
    #expect(encoded.bitsPerPixel < 1, "\(encoded.bitsPerPixel) bpp")
    #expect(encoded.psnr! > 26.1, "\(encoded.psnr!) dB")
  }

  @Test func cancellationStops() async throws {
    let image = try picture(width: 64, height: 64)
    let task = Task {
      var options = options(iterations: 100_000)
      let calls = Counter()
      options.progress = { if $0.fit != nil, calls.add() == 2 { withUnsafeCurrentTask { $0?.cancel() } } }
      #expect(throws: CancellationError.self) { try ImageEncoder(options: options).encode(image) }
      #expect(calls.value < 100)
    }
    await task.value
  }

  /// The best so far becomes a file, even of a cancelled task.
  @Test func anEarlyEndGivesAFile() async throws {
    let image = try picture(width: 64, height: 48)
    for target in [ImageEncoder.Target.lambda(0.002), .psnr(30)] {
      let task = Task {
        var options = options(iterations: 100_000)
        options.target = target
        let calls = Counter()
        options.finishesEarly = {
          if calls.add() == 30 { withUnsafeCurrentTask { $0?.cancel() } }
          return Task.isCancelled
        }
        return try ImageEncoder(options: options).encode(image)
      }
      let encoded = try await task.value
      #expect(encoded.fit!.iterations == 30 && !encoded.fit!.isComplete)
      #expect(try psnr(image, ImageDecoder().decode(encoded.bytes)) == encoded.psnr)
    }
  }

  @Test func progressTellsOfTheFit() throws {
    let seen = Mutex<[CodingProgress]>([])
    var options = options(iterations: 60)
    options.progress = { progress in seen.withLock { $0.append(progress) } }
    _ = try ImageEncoder(options: options).encode(try picture(width: 160, height: 120))
    let all = seen.withLock { $0 }
    #expect(all.first?.stage == "analysis" && all.last?.stage == "done" && all.last?.fraction == 1)
    #expect(zip(all, all.dropFirst()).allSatisfy { $0.fraction <= $1.fraction })
    let fits = all.compactMap(\.fit)
    #expect(!fits.isEmpty && fits.allSatisfy { $0.iterations == 60 && $0.lambda == 0.002 && $0.loss > 0 })
    #expect(zip(fits, fits.dropFirst()).allSatisfy { $0.iteration < $1.iteration })
  }

  /// Long fits begin with a trial of each prior, whatever the threads; the trial's iterations are not the fit's.
  @Test func longFitsTryTheirPriors() throws {
    let image = try picture(width: 80, height: 56)
    let files = try [1, 3].map { threads in
      let seen = Mutex<[CodingProgress]>([])
      var options = options(iterations: 1300, threads: threads)
      options.progress = { progress in seen.withLock { $0.append(progress) } }
      let encoded = try ImageEncoder(options: options).encode(image)
      #expect(encoded.fit?.iterations == 1300 && encoded.fit!.isComplete)
      let all = seen.withLock { $0 }
      #expect(all.contains { $0.stage == "trial" && $0.fit == nil })
      #expect(zip(all, all.dropFirst()).allSatisfy { $0.fraction <= $1.fraction })
      return encoded.bytes
    }
    #expect(files[0] == files[1])
    #expect([7, 12].contains(try ImageFile(reading: files[0]).model))
  }

  @Test func optionsAreChecked() throws {
    let image = try picture(width: 8, height: 8)
    func check(_ change: (inout ImageEncoder.Options) -> Void, _ code: CodecError.Code = .invalidOption) {
      var options = ImageEncoder.Options()
      change(&options)
      #expect(throws: CodecError(code, "")) { try ImageEncoder(options: options).encode(image) }
    }
    check { $0.effort = 0 }
    check { $0.effort = 10 }
    check { ($0.codec, $0.decoderCost) = (.overfit, 700) }
    check { $0.decoderCost = 1000 }
    check { $0.target = .lambda(0.001) }
    check { ($0.codec, $0.effort, $0.target) = (.hyperprior, 9, .lambda(0.001)) }
    for lambda in [0, -1, 1.5, .nan, .infinity] { check { ($0.codec, $0.target) = (.overfit, .lambda(lambda)) } }
    check({ ($0.codec, $0.maxMemory) = (.overfit, 1 << 20) }, .limitExceeded)
  }

  @Test func effortChoosesTheCodec() {
    var options = ImageEncoder.Options()
    #expect(options.chosenCodec == .hyperprior)
    for effort in 1...9 {
      options.effort = effort
      options.codec = nil
      #expect(options.chosenCodec == (effort >= 4 ? .overfit : .hyperprior))
      for codec in ImageEncoder.Codec.allCases {
        options.codec = codec
        #expect(options.chosenCodec == codec)
      }
    }
  }
}

/// Counts calls from any thread.
final class Counter: Sendable {
  private let count = Mutex(0)

  /// The calls so far, this one included.
  func add() -> Int {
    count.withLock {
      $0 += 1
      return $0
    }
  }

  var value: Int { count.withLock { $0 } }
}
