import Autograd
import Bitstream
import Coding
import Foundation
import Media
import Tensors
import Testing
import VideoCodec

/// Groups of frames, each with weights of its own: bitstream-spec 14.6.
struct NIRVANATests {
  /// 9x7 frames in groups, of 4 x `levels` waves of 2x3 places.
  private static func architecture(
    _ groupFrames: Int? = 3, width: Int = 9, height: Int = 7, channels: Int = 8, stem: NeRVArchitecture.Stem? = nil, outputs: Int? = nil,
    activation: NeRVArchitecture.Activation = .gelu
  ) -> NeRVArchitecture {
    NeRVArchitecture(
      width: width, height: height, embedding: .init(channels: channels, height: (height + 3) / 4, width: (width + 3) / 4), activation: activation, stem: stem,
      groupFrames: groupFrames,
      stages: [
        .init(inputs: channels, outputs: 5, side: 1, factor: 1), .init(inputs: 5, outputs: 4, side: 3, factor: 4),
        .init(inputs: 4, outputs: outputs ?? 3 * (groupFrames ?? 1), side: 3, factor: 1),
      ])
  }

  @Test func placesAreWaves() {
    let (height, width, levels) = (5, 7, 3)
    let waves = NeRVInputs.places(.init(channels: 4 * levels, height: height, width: width))
    #expect(waves.count == 4 * levels * height * width)
    for channel in 0..<4 * levels {
      for y in 0..<height {
        for x in 0..<width {
          let t = channel < 2 * levels ? Double(y) / Double(height) : Double(x) / Double(width)
          let angle = Double.pi * t * pow(1.25, Double(channel % (2 * levels) / 2))
          let wave = Double(waves[(channel * height + y) * width + x])
          #expect(abs(wave - 4096 * (channel % 2 == 0 ? sin(angle) : cos(angle))) < 2.2)
        }
      }
    }
  }

  @Test(arguments: [1, 2, 4, 8]) func everyLevelIsTheReference(groupFrames: Int) throws {
    for (extreme, size) in [(false, (40, 37)), (true, (9, 7)), (false, (150, 70))] {
      let architecture = Self.architecture(groupFrames, width: size.0, height: size.1, activation: extreme ? .swish : .gelu)
      let network = NeRVNetwork.random(architecture, seed: 5, extreme: extreme)
      let segment = NeRVSegment(networks: [network], frames: groupFrames)
      let waves = NeRVInputs(segment).of(0..<groupFrames), reference = NeRVReference.frame(network, waves)
      #expect(reference.count == 3 * groupFrames * size.0 * size.1 && (extreme || Set(reference).count > 50))
      for kernels in NeRVFrameDecoderTests.kernels {
        for threads in [1, 3] {
          let decoder = try NeRVFrameDecoder(network, kernels: kernels)
          #expect(try decoder.frames(waves, threads: threads) == [reference], "\(kernels.name), extreme: \(extreme), \(threads)")
        }
      }
    }
  }

  @Test func shapesOutOfBoundsAreRefused() throws {
    for groupFrames in 1...8 { try Self.architecture(groupFrames).validate() }
    let bad = [
      Self.architecture(0, outputs: 3), Self.architecture(0, outputs: 0), Self.architecture(9), Self.architecture(3, channels: 6),
      Self.architecture(3, channels: 164), Self.architecture(3, outputs: 3), Self.architecture(nil, outputs: 9), Self.architecture(3, outputs: 12),
      Self.architecture(3, stem: .init(levels: 2, hidden: 2)),
      Self.architecture(1, width: 4 * 4096 + 1),
    ]
    for architecture in bad { #expect(throws: CodecError(.malformed, "")) { try architecture.validate() } }
  }

  /// Of small numbers, the first group's and what each other one changes.
  private static func segment(_ architecture: NeRVArchitecture, frames: Int, seed: UInt64, change: Float = 2) -> NeRVSegment {
    var random = SplitMix64(seed: seed)
    var networks: [NeRVNetwork] = []
    for group in 0..<architecture.groups(frames: frames) {
      let layers = architecture.layers.enumerated().map { i, stage in
        var initial = InitialWeights(stage: i)
        let last = networks.last?.layers[i]
        let (scale, biases): (Float, Float) = group == 0 ? (60, 300) : (change, 3 * change)
        return NeRVLayer(
          weights: (0..<stage.weightCount).map { k in
            let first = Int16(initial.next(amplitude: 77)), before = last.map { $0.weights[k] } ?? first
            return before + Int16(random.nextSigned() * random.nextSigned() * scale) << 3
          }, biases: (0..<stage.biasCount).map { k in (last?.biases[k] ?? 0) + Int16(random.nextSigned() * biases) << 2 }, shift: 6 + i, multiplier: 17_000,
          fraction: 8 + i, centreShift: 3, amplitude: 77, biasShift: 2)
      }
      networks.append(NeRVNetwork(architecture, layers: layers))
    }
    return NeRVSegment(networks: networks, frames: frames)
  }

  private static func read(_ bytes: [UInt8], frames: Int, memory: Int = 1 << 20) throws -> NeRVSegment {
    try SegmentReader.segment(bytes[...], frames: frames, width: 9, height: 7, maxMemory: memory)
  }

  /// Through writer and reader, and what is not right refused.
  @Test func segmentsComeBack() throws {
    for (groupFrames, frames) in [(1, 1), (1, 5), (3, 3), (3, 4), (3, 11), (8, 3)] {
      let segment = Self.segment(Self.architecture(groupFrames), frames: frames, seed: 7)
      #expect(segment.networks.count == (frames + groupFrames - 1) / groupFrames)
      #expect(try Self.read(SegmentWriter.bytes(of: segment), frames: frames) == segment)
    }
    let segment = Self.segment(Self.architecture(), frames: 7, seed: 8), bytes = try SegmentWriter.bytes(of: segment)
    #expect(throws: CodecError(.limitExceeded, "")) { try Self.read(bytes, frames: 7, memory: 1000) }
    #expect(throws: CodecError(.malformed, "")) { try Self.read(bytes + [0], frames: 7) }
    for cut in bytes.indices { #expect(throws: CodecError.self) { try Self.read(Array(bytes[..<cut]), frames: 7) } }
    func refused(_ change: (inout NetworkSyntax) -> Void) throws {
      var fields = FieldReader(bytes[...], named: "")
      var syntax = try fields.read(SegmentSyntax())
      change(&syntax.network)
      let bad = try syntax.serialised()
      #expect(throws: CodecError(.malformed, "")) { try Self.read(bad, frames: 7) }
    }
    try refused { $0.groupFrames = 2 }
    try refused { $0.groupFrames = nil }
    try refused { $0.channels = 12 }
    try refused { $0.stages[2].outputs = 3 }
  }

  /// A row may be in its bounds in the first group, and beyond them in another.
  @Test func everyGroupIsHeldToItsBounds() throws {
    var segment = Self.segment(Self.architecture(), frames: 9, seed: 9)
    let good = try SegmentWriter.bytes(of: segment)
    #expect(try Self.read(good, frames: 9) == segment)
    for i in 0..<36 { segment.networks[2].layers[2].weights[i] += 1250 << 3 }
    let bad = try SegmentWriter.bytes(of: segment)
    #expect(throws: CodecError(.malformed, "")) { try Self.read(bad, frames: 9) }
    // 2^26 weights of all groups together: those are not looked for.
    let many = try SegmentWriter.bytes(of: Self.segment(Self.architecture(), frames: 3, seed: 1))
    #expect(throws: CodecError.self) { try Self.read(many, frames: 4096) }
    var syntax = NetworkSyntax()
    (syntax.channels, syntax.height, syntax.width, syntax.groupFrames) = (160, 7, 9, 1)
    for outputs in [512, 3] as [UInt32] {
      var stage = StageSyntax()
      stage.outputs = outputs
      syntax.stages.append(stage)
    }
    var large = SegmentSyntax()
    large.network = syntax
    let big = try large.serialised()
    #expect(throws: CodecError(.malformed, "its groups have")) { try Self.read(big, frames: 4096, memory: 1 << 40) }
  }

  /// What does not change costs next to nothing, however many groups there are.
  @Test func stillScenesCostNothing() throws {
    let first = Self.segment(Self.architecture(), frames: 3, seed: 3)
    let still = NeRVSegment(networks: [NeRVNetwork](repeating: first.network, count: 60), frames: 180)
    let more = try SegmentWriter.bytes(of: still).count - SegmentWriter.bytes(of: first).count
    // 59 groups of 600 numbers.
    #expect(more < 40, "\(more) bytes")
  }

  @Test(arguments: [1, 3]) func anyFrameIsFound(threads: Int) throws {
    let segment = Self.segment(Self.architecture(), frames: 11, seed: 4, change: 20), bytes = try SegmentWriter.bytes(of: segment)
    let waves = NeRVInputs(segment).of(0..<1), count = 3 * 9 * 7
    let expected = segment.networks.flatMap { network in
      let made = NeRVReference.frame(network, waves)
      return (0..<3).map { Array(made[$0 * count..<($0 + 1) * count]) }
    }.prefix(11)
    #expect(Set(expected).count == 11)
    let shape = SegmentShape(frames: 11, width: 9, height: 7, maxMemory: 1 << 20)
    let decoder = try NetworkSegments.open(bytes[...], shape)
    #expect(try decoder.samples(of: 0..<11, threads: threads) == Array(expected))
    for frames in [10..<11, 2..<4, 0..<1, 5..<9, 1..<2, 10..<11] {
      #expect(try decoder.samples(of: frames, threads: threads) == Array(expected[frames]))
      #expect(try NetworkSegments.open(bytes[...], shape).samples(of: frames, threads: threads) == Array(expected[frames]))
    }
  }

  // Fits.

  private static func frame(_ number: Int, into variable: Variable) {
    variable.load((0..<variable.count).map { Float($0 % variable.width + $0 / variable.width % variable.height * (number % 5 + 1)) / 960 })
  }

  private static func fit(epochs: Int = 10, frames: Int = 13, _ cost: NeRVSettings.Cost = .balanced) -> NIRVANAFit {
    let architecture = NeRVArchitecture.of(.nirvana, width: 70, height: 50, frames: frames, parameters: 8_000)
    var settings = NeRVSettings()
    (settings.epochs, settings.roundedShare, settings.cost) = (epochs, 0.6, cost)
    return NIRVANAFit(architecture, frames: frames, settings: settings) { frame($0, into: $1) }
  }

  @Test func fitsAndDoesNotDependOnThreads() throws {
    let fits = [1, 3].map { threads in
      let fit = Self.fit(epochs: 20)
      var first = 0.0
      while !fit.isDone {
        fit.step(threads: threads)
        if fit.iteration == 1 { first = fit.psnr }
      }
      #expect(fit.psnr > first + 3, "\(first), then \(fit.psnr)")
      return fit
    }
    #expect(fits[0].psnr == fits[1].psnr && fits[0].bits == fits[1].bits && fits[0].state == fits[1].state)
    #expect(try SegmentWriter.bytes(of: fits[0].segment(threads: 1)) == SegmentWriter.bytes(of: fits[1].segment(threads: 2)))
  }

  @Test func goesOnFromAState() throws {
    let whole = Self.fit(), part = Self.fit()
    let first = whole.iterations - 10
    let ends = [0, 3, first - 2, first, first + 1, first + 4, first + 9, first + 10]
    while !whole.isDone { whole.step(threads: 1) }
    let bytes = try SegmentWriter.bytes(of: whole.segment(threads: 1))
    for end in ends {
      while part.iteration < end { part.step(threads: 1) }
      let state = part.state, other = Self.fit()
      #expect(other.restore(state[...]) && other.iteration == end, "\(end)")
      let isAlike = other.state == state && other.psnr == part.psnr && other.bits == part.bits
      #expect(isAlike, "\(end)")
      while !other.isDone { other.step(threads: 2) }
      let endsAlike = try other.state == whole.state && SegmentWriter.bytes(of: other.segment(threads: 1)) == bytes
      #expect(endsAlike, "\(end)")
      #expect(!Self.fit().restore(state.dropLast()) && !Self.fit().restore(state.dropLast(4)))
      if end > first { #expect(!Self.fit(frames: 4).restore(state[...])) }
    }
  }

  /// Integers give what the fit had, nearly, and bytes come out as they were told.
  @Test func integersAreTheFit() throws {
    let fit = Self.fit(epochs: 40)
    while !fit.isDone { fit.step(threads: 2) }
    let segment = fit.segment(threads: 2), bytes = try SegmentWriter.bytes(of: segment)
    #expect(segment.embeddings.isEmpty && segment.networks.count == 2)
    #expect(abs(Double(8 * bytes.count) / (try #require(fit.bits)) - 1) < 0.1)
    let decoder = try NetworkSegments.open(bytes[...], SegmentShape(frames: 13, width: 70, height: 50, maxMemory: 1 << 24))
    let frames = try decoder.samples(of: 0..<13, threads: 2)
    // The second group is what the fit has last, of which five frames are there.
    fit.graph.tape.forward(threads: 1, iteration: 0)
    for (number, frame) in fit.graph.frames.prefix(5).enumerated() {
      for channel in 0..<3 {
        for y in 0..<50 {
          for x in 0..<70 {
            let sample = Float(frames[8 + number][(channel * 50 + y) * 70 + x])
            #expect(abs(sample - 255 * frame.output[channel, y, x]) < 3)
          }
        }
      }
    }
  }

  /// What was not fitted to its end is there all the same.
  @Test(arguments: [0, 1, 12, 20, 26]) func anEarlyEndHasAllFrames(steps: Int) throws {
    let fit = Self.fit(frames: 20)
    while fit.iteration < steps { fit.step(threads: 2) }
    let segment = fit.segment(threads: 2)
    #expect(segment.networks.count == 3 && segment.networks[2] == segment.networks[1])
    let bytes = try SegmentWriter.bytes(of: segment)
    let decoder = try NetworkSegments.open(bytes[...], SegmentShape(frames: 20, width: 70, height: 50, maxMemory: 1 << 24))
    #expect(try decoder.samples(of: 0..<20, threads: 2).count == 20)
  }

  @Test func bitsAreSpentAsWanted() throws {
    for wanted in [12_000.0, 40_000] {
      let fit = Self.fit(epochs: 40, frames: 48, .bits(wanted))
      while !fit.isDone { fit.step(threads: 2) }
      let bits = Double(8 * (try SegmentWriter.bytes(of: fit.segment(threads: 2)).count))
      #expect(abs(log2(bits / wanted)) < 0.6, "\(bits) of \(wanted)")
    }
  }

  // Files.

  private func clip(_ width: Int, _ height: Int, frames: Int) throws -> Clip {
    var clip = try Clip(width, height, durations: [Int64](repeating: 25, count: frames))
    for n in clip.frames.indices {
      clip.frames[n].withUnsafeMutableSamples { samples in
        for i in samples.indices { samples[i] = UInt8((3 * (i % width) + 2 * (i / width % height) + 9 * n + 40 * (i / (width * height))) % 256) }
      }
    }
    return clip
  }

  private func encode(
    _ clip: Clip, threads: Int = 2, change: (inout VideoEncoder.Options) -> Void = { _ in }
  ) throws -> (bytes: [UInt8], encoded: EncodedVideo) {
    var options = VideoEncoder.Options()
    (options.codec, options.rate, options.epochs, options.threads) = (.nirvana, .parameters(3000), 4, threads)
    change(&options)
    var bytes: [UInt8] = []
    let encoder = try VideoEncoder(format: clip.format, options: options) { bytes += $0 }
    for frame in clip.frames { try encoder.append(frame) }
    let encoded = try encoder.finish()
    return (bytes, encoded)
  }

  @Test(arguments: [(1, 1, 1), (33, 17, 1), (20, 12, 4), (33, 17, 19), (5, 40, 9)]) func thereAndBack(width: Int, height: Int, frames: Int) throws {
    let clip = try clip(width, height, frames: frames)
    let (bytes, encoded) = try encode(clip) { $0.segmentFrames = 12 }
    #expect(encoded.frames == frames && encoded.segments == (frames <= 13 ? 1 : 2))
    var all: [[VideoFrame]] = []
    for threads in [1, 3] {
      var options = VideoDecoder.Options()
      options.threads = threads
      let decoder = try VideoDecoder(bytes, options: options)
      #expect(decoder.codec == "nirvana")
      all.append(try decoder.all())
      for frame in [frames - 1, 0, frames / 2] {
        try decoder.seek(toFrame: frame)
        #expect(try decoder.next() == all[0][frame])
      }
    }
    #expect(all[0] == all[1] && all[0].map(\.time) == clip.frames.map(\.time))
    let file = try VideoFile(reading: bytes)
    #expect(file.codec == "nirvana" && file.segments.allSatisfy { $0.groupFrames == 8 && $0.embeddingBytes == 0 && $0.weightBytes > 0 })
  }

  @Test func resumedEncodingsAreTheSame() throws {
    let clip = try clip(33, 17, frames: 11)
    let whole = try encode(clip, threads: 1).bytes
    #expect(try encode(clip, threads: 3).bytes == whole)
    for steps in [2, 7, 8, 10] {
      nonisolated(unsafe) var (saved, asked): ([UInt8]?, Int) = (nil, 0)
      #expect(throws: CancellationError.self) {
        try encode(clip, threads: 1) { options in
          options.isCancelled = { asked += 1; return asked > steps }
          options.checkpoints = .init { saved = $0 }
        }
      }
      let resumed = try encode(clip) { $0.checkpoints = .init(resuming: saved) { _ in } }
      #expect(saved != nil && resumed.bytes == whole, "\(steps)")
    }
  }
}
