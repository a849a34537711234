import Bitstream
import Coding
import Foundation
import Tensors
import Testing
import VideoCodec

struct NeRVStemTests {
  /// 9x7 frames of 2 channels of 2x3 places.
  private static func architecture(
    stem: NeRVArchitecture.Stem? = .init(levels: 5, hidden: 7), width: Int = 9, height: Int = 7, channels: Int = 2,
    activation: NeRVArchitecture.Activation = .swish
  ) -> NeRVArchitecture {
    NeRVArchitecture(
      width: width, height: height, embedding: .init(channels: channels, height: (height + 3) / 4, width: (width + 3) / 4), activation: activation, stem: stem,
      stages: [.init(inputs: channels, outputs: 3, side: 3, factor: 4), .init(inputs: 3, outputs: 3, side: 1, factor: 1)])
  }

  /// As the specification says.
  @Test func wavesAreTheSine() {
    #expect(NeRVTables.waves == (0..<16384).map { Int16(NeRVReference.roundHalfUp(4096 * sin(2 * .pi * Double($0) / 16384))) })
    #expect(Checksum.crc32(NeRVTables.waves.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }) == 0xE4E6_6BE0)
  }

  @Test func positionsAreExact() {
    #expect(NeRVStem.waves(frame: 0, of: 1, levels: 2) == [0, 4096, 0, 4096])
    #expect(NeRVStem.waves(frame: 1, of: 3, levels: 4) == [3547, 2049, 3956, 1061, 4087, -267, 3644, -1871])
    // Of numbers of any length, elsewhere.
    #expect(NeRVStem.waves(frame: 100, of: 132, levels: 40).suffix(6) == [963, 3981, -3917, 1198, -4095, -88])
    #expect(NeRVStem.waves(frame: 4095, of: 4096, levels: 40).suffix(4) == [-3654, 1851, -788, -4019])
    for (frame, count) in [(0, 4096), (1, 4096), (77, 132), (2999, 3000)] {
      for (i, wave) in NeRVStem.waves(frame: frame, of: count, levels: 40).enumerated() {
        let x = Double.pi * Double(frame) / Double(count) * pow(1.25, Double(i / 2))
        #expect(abs(Double(wave) - 4096 * (i % 2 == 0 ? sin(x) : cos(x))) < 2.2)
      }
    }
  }

  @Test(arguments: [false, true]) func integersAreTheReference(extreme: Bool) throws {
    for (activation, seed) in [(NeRVArchitecture.Activation.swish, UInt64(3)), (.gelu, 4)] {
      let network = NeRVNetwork.random(Self.architecture(width: 40, height: 23, channels: 5, activation: activation), seed: seed, extreme: extreme)
      let inputs = NeRVInputs(NeRVSegment(network: network, frames: 6, embeddings: []))
      let decoder = try NeRVFrameDecoder(network)
      let expected = (0..<6).map { NeRVReference.input(network, frame: $0, of: 6) }
      #expect(inputs.of(0..<6) == expected.flatMap { $0 } && inputs.of(4..<5) == expected[4])
      #expect(extreme || Set(expected.flatMap { $0 }).count > 100)
      #expect(try decoder.frames(inputs.of(2..<5), threads: 2) == expected[2..<5].map { NeRVReference.frame(network, $0) })
    }
  }

  @Test func stemsOutOfBoundsAreRefused() throws {
    let good = NeRVNetwork.random(Self.architecture(), seed: 1, extreme: true)
    try good.validate()
    for (levels, hidden) in [(0, 7), (41, 7), (5, 0), (5, 513)] {
      #expect(throws: CodecError(.malformed, "")) { try Self.architecture(stem: .init(levels: levels, hidden: hidden)).validate() }
    }
    // 2^26 weights of the second layer.
    #expect(throws: CodecError(.malformed, "")) { try Self.architecture(stem: .init(levels: 1, hidden: 512), width: 128, height: 128, channels: 128).validate() }
    func refused(_ change: (inout NeRVNetwork) -> Void) {
      var network = good
      change(&network)
      #expect(throws: CodecError(.malformed, "")) { try network.validate() }
    }
    refused { $0.layers.removeFirst() }
    refused { $0.layers[1].weights.removeLast() }
    refused { $0.layers[0].fraction = 11 }
    refused { $0.layers[1].multiplier = 0 }
    refused { for i in 0..<5 { $0.layers[0].weights[i] = 32767 } }
  }

  /// Through writer and reader, and what is not right refused.
  @Test func segmentsComeBack() throws {
    let architecture = Self.architecture()
    var random = SplitMix64(seed: 5)
    let layers = architecture.layers.enumerated().map { i, stage in
      var initial = InitialWeights(stage: i)
      let weights = (0..<stage.weightCount).map { _ in Int16(random.nextSigned() * random.nextSigned() * 30) << 3 + Int16(initial.next(amplitude: 77)) }
      return NeRVLayer(
        weights: weights, biases: (0..<stage.biasCount).map { Int16($0) << 2 }, shift: 3 + i, multiplier: 17_000, fraction: 4 + i, centreShift: 3,
        amplitude: 77, biasShift: 2)
    }
    let segment = NeRVSegment(network: NeRVNetwork(architecture, layers: layers), frames: 4, embeddings: [])
    let bytes = try SegmentWriter.bytes(of: segment)
    func read(_ bytes: [UInt8], memory: Int = 1 << 20) throws -> NeRVSegment {
      try SegmentReader.segment(bytes[...], frames: 4, width: 9, height: 7, maxMemory: memory)
    }
    #expect(try read(bytes) == segment)
    #expect(throws: CodecError(.limitExceeded, "")) { try read(bytes, memory: 100) }
    #expect(throws: CodecError(.malformed, "")) { try read(bytes + [0]) }
    for cut in bytes.indices { #expect(throws: CodecError.self) { try read(Array(bytes[..<cut])) } }
    func refused(_ change: (inout NetworkSyntax) -> Void) throws {
      var fields = FieldReader(bytes[...], named: "")
      var syntax = try fields.read(SegmentSyntax())
      change(&syntax.network)
      let bad = try syntax.serialised()
      #expect(throws: CodecError(.malformed, "")) { try read(bad) }
    }
    try refused { $0.channels = 1 }
    try refused { $0.stem!.hidden = 8 }
    try refused { $0.stem!.levels = 40 }
    try refused { $0.stem = nil }
  }

  /// Of 720p as published, and smaller ones as much as was asked for.
  @Test(arguments: [(3_200_000, 26), (6_300_000, 58), (12_500_000, 112)]) func nervIsAsPublished(parameters: Int, channels: Int) throws {
    let architecture = NeRVArchitecture.nerv(width: 1280, height: 720, parameters: parameters)
    #expect(abs(Double(architecture.parameterCount) / Double(parameters) - 1) < 0.003 && abs(architecture.embedding.channels - channels) <= 1)
    #expect(architecture.embedding.height == 9 && architecture.embedding.width == 16 && architecture.stages.map(\.factor) == [5, 2, 2, 2, 2, 1])
    #expect(architecture.stem!.hidden > 480 && architecture.stages.last!.inputs >= 92)
    try architecture.validate()
  }

  @Test(arguments: [(1280, 640, 350_000), (352, 288, 100_000), (640, 272, 50_000), (1920, 1080, 1_500_000), (16, 16, 3_000), (20, 12, 2_000)])
  func otherSizes(width: Int, height: Int, parameters: Int) throws {
    let architecture = NeRVArchitecture.nerv(width: width, height: height, parameters: parameters)
    #expect(abs(Double(architecture.parameterCount) / Double(parameters) - 1) < 0.05)
    try architecture.validate()
  }

  @Test(arguments: [(1, 1, 1), (65_535, 3, 1), (33, 17, 1 << 24), (4000, 4000, 1)]) func extremeSizes(width: Int, height: Int, parameters: Int) throws {
    try NeRVArchitecture.nerv(width: width, height: height, parameters: parameters).validate()
  }
}
