import Bitstream
import Coding
import ImageCodec
import Media
import Testing

/// A picture of codec 2 whose bytes are then damaged.
private struct Sample {
  let container: Container
  let stream: [UInt8]
  let architecture: OverfitArchitecture

  init(_ architecture: OverfitArchitecture, alpha: Bool = false) throws {
    self.architecture = architecture
    let prior = OverfitPrior(noneFor: architecture)
    var floats = prior.values.map { Float($0) / 65536 }
    for i in floats.indices { floats[i] += Float((i * 7919) % 41 - 20) / 160 }
    let parameters = try OverfitParameters.quantised(
      floats, architecture: architecture, prior: prior, steps: architecture.groups.map { _ in 7 })
    let grids = architecture.grids.map { grid in
      (0..<grid.count).map { i in Int8((i * 31 % 17 - 8) / 5 * (i / grid.width < grid.height / 2 ? 0 : 1)) }
    }
    let formats = try OverfitFormats.fitted(parameters, grids: grids, threads: 1)
    stream = try OverfitStream.write(parameters, formats: formats, grids: grids, threads: 1)
    let pixels = architecture.width * architecture.height
    let image = try Image(
      width: architecture.width, height: architecture.height, colour: .rgb,
      samples: [UInt8](repeating: 0, count: 3 * pixels), alpha: alpha ? [UInt8](repeating: 9, count: pixels) : nil)
    container = try Container(reading: OverfitFile.bytes(stream, image: image, modelID: 0, quality: 50))
  }

  func with(_ change: (inout Container) throws -> Void) throws -> [UInt8] {
    var copy = container
    try change(&copy)
    return try copy.serialised()
  }

  func with(stream: [UInt8]) throws -> [UInt8] { try with { $0.payloads[0].data = stream[...] } }
}

private let small = OverfitArchitecture(preset: .low, width: 67, height: 70)

@Suite struct OverfitFileTests {
  @Test func theSampleIsGood() throws {
    #expect(code(of: try Sample(small, alpha: true).container.serialised()) == nil)
  }

  @Test func everyTruncationIsRefused() throws {
    let sample = try Sample(small)
    for length in stride(from: 0, to: sample.stream.count, by: 2) {
      #expect(code(of: try sample.with(stream: Array(sample.stream[..<length]))) == .malformed, "\(length) bytes")
    }
    for extra in [[0], [0, 0, 0, 0], [255, 255, 255, 255]] as [[UInt8]] {
      #expect(code(of: try sample.with(stream: sample.stream + extra)) == .malformed)
    }
  }

  /// The container's checksums are good each time: what lies must be refused or decode to something, without harm.
  @Test func payloadsThatLieAreHarmless() throws {
    let sample = try Sample(small)
    var refused = 0
    for i in 0..<sample.stream.count {
      var damaged = sample.stream
      damaged[i] ^= [0x01, 0x10, 0x80, 0xFF][i % 4]
      if code(of: try sample.with(stream: damaged)) != nil { refused += 1 }
    }
    #expect(refused * 10 > sample.stream.count * 9)
  }

  @Test func otherSizesAndColoursAreRefusedOrHarmless() throws {
    let sample = try Sample(small)
    for side: UInt16 in [1, 16, 66, 68, 200, 5000] {
      var configuration = try ImageConfiguration(parsing: sample.container.tracks[0].configuration)
      configuration.width = side
      let wide = try configuration.serialised()
      #expect(code(of: try sample.with { $0.tracks[0].configuration = wide[...] }) != nil)
    }
    var grey = try ImageConfiguration(parsing: sample.container.tracks[0].configuration)
    grey.colour = .grey
    let bytes = try grey.serialised()
    #expect(code(of: try sample.with { $0.tracks[0].configuration = bytes[...] }) != nil)
  }

  @Test func hugePicturesTakeNoMemory() throws {
    let sample = try Sample(small)
    func code(width: UInt16, height: UInt16, memory: Int) throws -> CodecError.Code? {
      let configuration = try ImageConfiguration(width: width, height: height, colour: .rgb, quality: 0).serialised()
      var options = ImageDecoder.Options()
      options.maxMemory = memory
      return RobustnessTests.code(of: try sample.with { $0.tracks[0].configuration = configuration[...] }, options: options)
    }
    #expect(try code(width: 65535, height: 65535, memory: 4 << 30) == .limitExceeded)
    #expect(try code(width: 8000, height: 8000, memory: 1 << 28) == .limitExceeded)
    #expect(try code(width: 65535, height: 1, memory: 1 << 20) == .limitExceeded)
  }

  @Test func whatThisBuildLacksIsNamed() throws {
    let sample = try Sample(small)
    #expect(code(of: try sample.with { $0.tracks[0].model = 9999 }) == .unsupported)
  }

  /// Header fields by bit: no latents, networks that no preset has, magnitudes that do not fit, formats, indices.
  @Test func headersThatMakeNoSenseAreRefused() throws {
    let sample = try Sample(small)
    func with(bits range: Range<Int>, _ value: UInt64) throws -> [UInt8] {
      var bytes = sample.stream
      for (i, bit) in range.enumerated() {
        let one = value >> UInt64(range.count - 1 - i) & 1 == 1
        bytes[bit / 8] = bytes[bit / 8] & ~(0x80 >> UInt8(bit % 8)) | (one ? 0x80 >> UInt8(bit % 8) : 0)
      }
      return try sample.with(stream: bytes)
    }
    #expect(code(of: try with(bits: 0..<3, 1)) == nil)
    // 5, joined hyper-latents, and then the next three bits: the masks' first.
    for networks: UInt64 in [0, 5, 6, 7] { #expect(code(of: try with(bits: 0..<3, networks)) == .malformed) }
    #expect(code(of: try with(bits: 3..<12, 0)) == .malformed)
    // The samples' fraction bits, then the first group's index.
    #expect(code(of: try with(bits: 29..<33, 0)) == .malformed)
    #expect(code(of: try with(bits: 37..<44, 112)) == .malformed)
  }

  /// Joined hyper-latents need latents at their level, and there are none at level 0.
  @Test func hyperLatentsThatCannotBeJoinedAreRefused() throws {
    for (latents, hyper, isGood) in [(0b111, 0b110, true), (0b101, 0b110, false), (0b111, 0b001, false), (0b110, 0b111, false)] {
      var architecture = small
      (architecture.latentMask, architecture.hyperMask, architecture.areJoined) = (latents, hyper, true)
      if isGood { try architecture.check() } else { #expect(throws: CodecError(.malformed, "")) { try architecture.check() } }
    }
    var architecture = small
    (architecture.latentMask, architecture.hyperMask, architecture.areJoined) = (0b111, 0b110, true)
    let sample = try Sample(architecture)
    #expect(code(of: try sample.with(stream: sample.stream)) == nil)
    // 101 joined, 001 the preset, then the masks; joined twice is refused.
    var bytes = sample.stream
    #expect(bytes[0] >> 2 == 0b101_001)
    bytes[0] = bytes[0] & 3 | 0b101_101 << 2
    #expect(code(of: try sample.with(stream: bytes)) == .malformed)
  }

  /// A network is checked as a whole: weights whose sum could overflow are refused before they are used.
  @Test func sumsThatCouldOverflowAreRefused() throws {
    let architecture = small
    let prior = OverfitPrior(noneFor: architecture)
    for tensor in architecture.tensors {
      var floats = prior.values.map { Float($0) / 65536 }
      // Codable at these steps, each alone below the bound, but not so their sum; a bias is too large by itself.
      for i in tensor.range { floats[i] = tensor.isBias ? 2_000_000 : 7000 }
      let steps = architecture.groups.map {
        [.contextBiases, .featureBiases, .synthesisBiases].contains($0.kind) ? 0 : 2
      }
      let parameters = try OverfitParameters.quantised(floats, architecture: architecture, prior: prior, steps: steps)
      #expect(throws: CodecError(.malformed, ""), "\(tensor.role)") {
        try OverfitNetwork(parameters, formats: OverfitFormats(planes: 12, hidden: 10, outputs: 10))
      }
    }
  }

  @Test func randomPayloadsAreRefused() throws {
    let sample = try Sample(small)
    var state: UInt64 = 1
    for length in 0..<300 {
      let bytes = (0..<length).map { _ -> UInt8 in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 56)
      }
      #expect(code(of: try sample.with(stream: bytes)) != nil)
    }
  }
}
