import Autograd
import Bitstream
import Coding
import Synchronization
import Tensors
import Testing
import VideoCodec

struct NeRVFrameDecoderTests {
  static let kernels = Kernels.Level.allCases.flatMap { level in [false, true].compactMap { NeRVKernels.at(level, dot: $0) } }

  /// Stages of (outputs, side, factor).
  private static func architecture(
    _ width: Int, _ height: Int, channels: Int, _ stages: [(Int, Int, Int)], _ activation: NeRVArchitecture.Activation = .gelu
  ) -> NeRVArchitecture {
    let factor = stages.reduce(1) { $0 * $1.2 }
    var inputs = channels
    let all = stages.map { outputs, side, factor in
      defer { inputs = outputs }
      return NeRVArchitecture.Stage(inputs: inputs, outputs: outputs, side: side, factor: factor)
    }
    let embedding = NeRVArchitecture.Embedding(channels: channels, height: (height + factor - 1) / factor, width: (width + factor - 1) / factor)
    return NeRVArchitecture(width: width, height: height, embedding: embedding, activation: activation, stages: all)
  }

  static let architectures = [
    architecture(1, 1, channels: 1, [(3, 1, 1)]),
    architecture(5, 3, channels: 2, [(4, 1, 1), (3, 3, 3), (3, 3, 1)]),
    architecture(8, 9, channels: 3, [(5, 5, 1), (7, 3, 2), (3, 5, 1)], .swish),
    architecture(23, 9, channels: 5, [(7, 5, 8), (3, 7, 1)]),
    architecture(70, 41, channels: 16, [(13, 1, 1), (11, 1, 5), (9, 3, 4), (12, 5, 2), (3, 3, 1)], .swish),
    architecture(6, 4, channels: 512, [(512, 3, 2), (3, 1, 1)]),
    architecture(40, 37, channels: 1, [(1, 7, 2), (2, 7, 6), (1, 1, 1), (3, 7, 1)]),
    architecture(150, 70, channels: 4, [(6, 3, 7), (15, 5, 2), (12, 5, 2), (3, 3, 1)]),
    architecture(333, 20, channels: 3, [(25, 3, 1), (3, 3, 3), (3, 5, 1)], .swish),
  ]

  /// With depthwise and linear stages and with sums: of rows that are still there, of rows that have to be made first, over all factors.
  static let summing = [
    NeRVArchitecture.nervpp(width: 70, height: 41, parameters: 9_000), .nervpp(width: 90, height: 130, parameters: 12_000),
    summing(59, 83, factors: (4, 2), sides: (1, 1, 7), sums: ([1], [2, 1])), summing(61, 40, factors: (1, 1), sides: (7, 5, 3), sums: ([1], [2])),
    summing(70, 200, factors: (3, 1), sides: (5, 3, 1), sums: ([1], [2, 2])), summing(70, 31, factors: (2, 3), sides: (1, 3, 1), sums: ([], [2])),
    summing(41, 70, factors: (5, 1), sides: (3, 7, 1), sums: ([1], [1])), summing(17, 80, factors: (7, 1), sides: (1, 7, 3), sums: ([1], [2])),
  ]

  private static func summing(
    _ width: Int, _ height: Int, factors: (Int, Int), sides: (Int, Int, Int), sums: ([Int], [Int])
  ) -> NeRVArchitecture {
    typealias Stage = NeRVArchitecture.Stage
    let factor = factors.0 * factors.1
    return NeRVArchitecture(
      width: width, height: height, embedding: .init(channels: 2, height: (height + factor - 1) / factor, width: (width + factor - 1) / factor),
      activation: .swish,
      stages: [
        Stage(inputs: 2, outputs: 5, side: 3, factor: 1, isLinear: true), Stage(inputs: 5, outputs: 5, side: sides.0, factor: factors.0),
        Stage(inputs: 5, outputs: 5, side: sides.1, factor: 1, isDepthwise: true, isLinear: factors.0 > 3, sums: sums.0),
        Stage(inputs: 5, outputs: 5, side: sides.2, factor: factors.1, isLinear: true, sums: sums.1), Stage(inputs: 5, outputs: 3, side: 3, factor: 1),
      ])
  }

  @Test(arguments: architectures + summing) func everyLevelIsTheReference(architecture: NeRVArchitecture) throws {
    for extreme in [false, true] {
      let network = NeRVNetwork.random(architecture, seed: 5, extreme: extreme)
      let embedding = network.embeddings(frames: 1, seed: 6, extreme: extreme)
      let reference = NeRVReference.frame(network, embedding)
      for kernels in Self.kernels {
        let decoder = try NeRVFrameDecoder(network, kernels: kernels)
        #expect(try decoder.frames(embedding) == [reference], "\(kernels.name), extreme: \(extreme)")
      }
    }
  }

  /// Frames that are not flat, or the test above would say little.
  @Test func referenceHasContrast() {
    let network = NeRVNetwork.random(Self.architectures[4], seed: 5, extreme: false)
    let frame = NeRVReference.frame(network, network.embeddings(frames: 1, seed: 6, extreme: false))
    #expect(Set(frame).count > 100)
  }

  @Test(arguments: [1, 2, 3, 7], [architectures[7]] + summing) func threadsMakeNoDifference(threads: Int, architecture: NeRVArchitecture) throws {
    let network = NeRVNetwork.random(architecture, seed: 8, extreme: false)
    let decoder = try NeRVFrameDecoder(network)
    let one = network.architecture.embedding.count
    for frames in [0, 1, 2, 5, 37] {
      let embeddings = network.embeddings(frames: frames, seed: 9, extreme: false)
      let expected = try (0..<frames).map { try decoder.frames(embeddings[$0 * one..<($0 + 1) * one])[0] }
      #expect(try decoder.frames(embeddings, threads: threads) == expected)
    }
    #expect(decoder.frameCount == 3 * architecture.width * architecture.height)
  }

  /// One object for callers on several threads.
  @Test func callersMayShareADecoder() throws {
    let network = NeRVNetwork.random(Self.architectures[4], seed: 8, extreme: false)
    let decoder = try NeRVFrameDecoder(network)
    let embeddings = (0..<12).map { network.embeddings(frames: 2, seed: UInt64($0), extreme: false) }
    let expected = try embeddings.map { try decoder.frames($0) }
    let right = Mutex(0)
    parallelFor(embeddings.count, threads: 4) { i in
      if (try? decoder.frames(embeddings[i], threads: 2)) == expected[i] { right.withLock { $0 += 1 } }
    }
    #expect(right.withLock { $0 } == embeddings.count)
  }

  @Test func tablesAreTheFunctions() {
    for activation in NeRVArchitecture.Activation.allCases {
      #expect(NeRVTables.shortfall(activation) == (0..<32768).map { UInt16(NeRVReference.shortfall(activation, $0)) })
    }
    #expect(NeRVTables.samples == (-8192..<8192).map { UInt8(NeRVReference.sample($0)) })
  }

  /// As the specification says.
  @Test func tablesAreThoseOfTheSpecification() {
    func crc(_ table: [UInt16]) -> UInt32 { Checksum.crc32(table.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }) }
    #expect(crc(NeRVTables.shortfall(.gelu)) == 0xA498_F532)
    #expect(crc(NeRVTables.shortfall(.swish)) == 0x3C40_28EA)
    #expect(Checksum.crc32(NeRVTables.samples) == 0x6B62_C5FC)
  }

  @Test func embeddingsOutOfRangeAreRefused() throws {
    let network = NeRVNetwork.random(Self.architectures[1], seed: 1, extreme: false)
    let decoder = try NeRVFrameDecoder(network)
    var embedding = network.embeddings(frames: 1, seed: 1, extreme: true)
    #expect(try decoder.frames(embedding).count == 1)
    for bad: Int16 in [8192, -8193, .min, .max] {
      embedding[1] = bad
      #expect(throws: CodecError(.malformed, "")) { try decoder.frames(embedding) }
    }
  }

  @Test func networksOutOfBoundsAreRefused() throws {
    let good = NeRVNetwork.random(Self.architectures[1], seed: 1, extreme: true)
    try good.validate()
    func refused(_ why: String, _ change: (inout NeRVNetwork) -> Void) {
      var network = good
      change(&network)
      #expect(throws: CodecError(.malformed, ""), "\(why)") { try network.validate() }
      #expect(throws: CodecError(.malformed, ""), "\(why)") { try NeRVFrameDecoder(network) }
    }
    refused("layers") { $0.layers.removeLast() }
    refused("weights") { $0.layers[1].weights.removeLast() }
    refused("biases") { $0.layers[1].biases.append(0) }
    refused("shift") { $0.layers[0].shift = 25 }
    refused("shift") { $0.layers[0].shift = -1 }
    refused("multiplier") { $0.layers[2].multiplier = 0 }
    refused("multiplier") { $0.layers[2].multiplier = -1 }
    refused("fraction") { $0.layers[0].fraction = 3 }
    refused("fraction") { $0.layers[0].fraction = 12 }
    refused("row sum") { network in
      for i in 0..<4 { network.layers[1].weights[i] = -32768 }
    }
    // 32767 * 4 = 131068, and three more are allowed.
    for (more, isRefused) in [(Int16(3), false), (4, true)] {
      var network = good
      for i in network.layers[1].weights.indices { network.layers[1].weights[i] = i < 4 ? 32767 : i == 4 ? -more : 0 }
      #expect((try? network.validate()) == nil ? isRefused : !isRefused)
    }
  }

  @Test func shapesOutOfBoundsAreRefused() throws {
    typealias Stages = [(Int, Int, Int)]
    func refused(_ width: Int, _ height: Int, channels: Int = 2, _ stages: Stages) {
      let bad = Self.architecture(width, height, channels: channels, stages)
      #expect(throws: CodecError(.malformed, ""), "\(stages)") { try bad.validate() }
    }
    try Self.architecture(9, 9, channels: 2, [(4, 3, 2), (3, 3, 1)]).validate()
    refused(9, 9, [(4, 3, 2), (4, 3, 1)])
    refused(9, 9, [(4, 3, 2), (3, 3, 2)])
    refused(9, 9, [(4, 2, 2), (3, 3, 1)])
    refused(9, 9, [(4, 9, 2), (3, 3, 1)])
    refused(9, 9, [(4, 3, 9), (3, 3, 1)])
    refused(9, 9, [(513, 3, 2), (3, 3, 1)])
    refused(9, 9, [(0, 3, 2), (3, 3, 1)])
    refused(9, 9, channels: 513, [(4, 3, 2), (3, 3, 1)])
    refused(9, 9, channels: 0, [(4, 3, 2), (3, 3, 1)])
    refused(9, 9, Stages(repeating: (3, 1, 1), count: 65))
    refused(9, 9, Stages(repeating: (3, 1, 8), count: 6) + [(3, 1, 1)])
    refused(0, 9, [(3, 1, 1)])
    refused(65537, 9, [(3, 1, 1)])
    // 205 million weights; then 13 million for 600 pixels.
    refused(8, 8, channels: 512, [(512, 7, 4), (3, 1, 1)])
    refused(600, 1, channels: 512, [(512, 7, 1), (3, 1, 1)])
    var stages = Self.architecture(9, 9, channels: 2, [(4, 3, 2), (3, 3, 1)]).stages
    stages[1].inputs = 5
    for (stages, height) in [(stages, 5), (Self.architecture(9, 9, channels: 2, [(4, 3, 2), (3, 3, 1)]).stages, 6)] {
      let bad = NeRVArchitecture(width: 9, height: 9, embedding: .init(channels: 2, height: height, width: 5), stages: stages)
      #expect(throws: CodecError(.malformed, "")) { try bad.validate() }
    }
  }

  @Test func sumsOutOfBoundsAreRefused() throws {
    func refused(_ why: String, _ change: (inout [NeRVArchitecture.Stage]) -> Void) {
      let good = Self.summing[2]
      var stages = good.stages
      change(&stages)
      let bad = NeRVArchitecture(width: good.width, height: good.height, embedding: good.embedding, activation: .swish, stages: stages)
      #expect(throws: CodecError(.malformed, ""), "\(why)") { try bad.validate() }
    }
    for good in Self.summing { try good.validate() }
    refused("of itself") { $0[3].sums = [0] }
    refused("of the first stage") { $0[3].sums = [3] }
    refused("of none") { $0[3].sums = [4] }
    refused("three") { $0[3].sums = [1, 1, 1] }
    refused("of other channels") { ($0[2].sums, $0[1].inputs, $0[0].outputs) = ([1], 4, 4) }
    refused("enlarged by more than 8") { ($0[2].sums, $0[1].factor) = ([], 5) }
    refused("of the last stage") { ($0[3].outputs, $0[3].sums, $0[4].inputs, $0[4].sums) = (3, [], 3, [1]) }
    refused("a last stage without its activation") { $0[4].isLinear = true }
    refused("depthwise with other channels") { ($0[3].sums, $0[3].isDepthwise, $0[3].factor, $0[3].outputs, $0[4].inputs) = ([], true, 1, 4, 4) }
    refused("depthwise with a shuffle") { ($0[3].sums, $0[3].isDepthwise) = ([], true) }
  }

  /// A file may say of its network what it likes; cells of this one would not fit 64 bits.
  @Test func shapesOfFilesAreRefusedBeforeTheyAreCounted() throws {
    var syntax = SegmentSyntax()
    for i in 0..<64 {
      var stage = StageSyntax()
      stage.factor = 5
      stage.sums = i > 1 ? [1, i > 15 ? 15 : i - 1] : []
      stage.outputs = i == 63 ? 3 : 512
      syntax.network.stages.append(stage)
    }
    let bytes = try syntax.serialised()
    #expect(throws: CodecError(.malformed, "")) { try SegmentReader.segment(bytes[...], frames: 1, width: 9, height: 9, maxMemory: 1 << 40) }
  }

  @Test func memoryIsWhatThreadsWorkIn() {
    let hnerv = NeRVArchitecture.hnerv(width: 1280, height: 640, frames: 132, parameters: 350_000)
    let (one, three) = (NeRVFrameDecoder.memory(hnerv, threads: 1), NeRVFrameDecoder.memory(hnerv, threads: 3))
    // A thread works in some rows, less than a frame.
    #expect((three - one) / 2 > 300_000 && (three - one) / 2 < 3 * 640 * 1280)
    #expect(one > 2 * hnerv.parameterCount && one < 4 * hnerv.parameterCount + 1 << 20)
  }
}
