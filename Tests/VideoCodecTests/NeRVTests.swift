import Autograd
import Coding
import Foundation
import Tensors
import Testing
import VideoCodec

struct NeRVTests {
  /// Counts of the authors' code for 132 frames of 640x1280, and multiply-adds as measured on it (references/video.md).
  @Test(arguments: [(350_000, 5.9), (750_000, 13.9), (1_500_000, 28.8), (3_000_000, 59)])
  func hnervIsAsLargeAsPublished(parameters: Int, giga: Double) {
    let architecture = NeRVArchitecture.hnerv(width: 1280, height: 640, frames: 132, parameters: parameters)
    let embeddings = 132 * architecture.embedding.channels * architecture.embedding.height * architecture.embedding.width
    #expect(embeddings == 132 * 128)
    #expect(abs(Double(architecture.parameterCount + embeddings) / Double(parameters) - 1) < 0.07)
    #expect(abs(Double(architecture.multiplications) / 1e9 / giga - 1) < 0.02)
  }

  @Test func smallestHNeRVIsTheAuthors() {
    let architecture = NeRVArchitecture.hnerv(width: 1280, height: 640, frames: 132, parameters: 350_000)
    #expect(architecture.parameterCount == 312_830)
    #expect(architecture.stages.map(\.outputs) == [32, 27, 22, 18, 15, 12, 3])
    #expect(architecture.stages.map(\.side) == [1, 1, 3, 5, 5, 5, 3])
  }

  /// The stages of some other sizes multiply to the frame, or little more.
  @Test(arguments: [(640, 272), (176, 144), (1920, 1080), (352, 288), (33, 17), (1, 1), (65535, 3)]) func otherSizes(width: Int, height: Int) {
    let strides = NeRVArchitecture.strides(width: width, height: height)
    let factor = strides.reduce(1, *)
    let architecture = NeRVArchitecture.hnerv(width: width, height: height, frames: 10, parameters: 100_000)
    #expect(architecture.embedding.width == (width + factor - 1) / factor && architecture.embedding.height == (height + factor - 1) / factor)
    #expect((try? architecture.validate()) != nil)
    if width * height > 10_000, height > 100 { #expect(architecture.embedding.width * factor * architecture.embedding.height * factor < width * height * 6 / 5) }
  }

  private static func frame(_ number: Int, into variable: Variable) {
    variable.load((0..<variable.count).map { Float($0 % variable.width + $0 / variable.width % variable.height * (number + 1)) / 960 })
  }

  private static func fit(epochs: Int = 12, frames: Int = 3, rounded: Double = 0.5, cost: NeRVSettings.Cost = .balanced, _ codec: VideoEncoder.Codec = .hnerv) -> NeRVFit {
    let architecture = NeRVArchitecture.of(codec, width: 70, height: 50, frames: frames, parameters: 8_000)
    var settings = NeRVSettings()
    (settings.epochs, settings.roundedShare, settings.cost) = (epochs, rounded, cost)
    return NeRVFit(architecture, frames: frames, settings: settings) { frame($0, into: $1) }
  }

  @Test(arguments: [VideoEncoder.Codec.hnerv, .nerv, .nervpp]) func fitsAndDoesNotDependOnThreads(codec: VideoEncoder.Codec) throws {
    let fits = [1, 3].map { threads in
      let fit = Self.fit(codec)
      var first = 0.0
      while !fit.isDone {
        fit.step(threads: threads)
        if fit.iteration == 1 { first = fit.psnr }
      }
      return (fit, first)
    }
    let (one, first) = fits[0]
    #expect(one.graph.decoder.trained.map(\.elements) == fits[1].0.graph.decoder.trained.map(\.elements))
    #expect(one.psnr == fits[1].0.psnr && one.bits == fits[1].0.bits)
    #expect(one.rounds && one.psnr > first + 3)
    #expect(try SegmentWriter.bytes(of: one.segment(threads: 1)) == SegmentWriter.bytes(of: fits[1].0.segment(threads: 2)))
  }

  @Test(arguments: [VideoEncoder.Codec.hnerv, .nerv, .nervpp]) func goesOnFromAState(codec: VideoEncoder.Codec) {
    let whole = Self.fit(codec), part = Self.fit(codec)
    // To the end, as bits that cost more or less depend on those before.
    while !whole.isDone { whole.step(threads: 1) }
    for end in [3, 14, 31] {
      while part.iteration < end { part.step(threads: 1) }
      let state = part.state
      let other = Self.fit(codec)
      #expect(other.restore(state[...]) && other.iteration == end)
      let isAlike = other.state == state
      #expect(isAlike, "\(end)")
      while !other.isDone { other.step(threads: 1) }
      let endsAlike = other.state == whole.state
      #expect(endsAlike, "\(end)")
      #expect(!Self.fit(codec).restore(state.dropLast()) && !Self.fit(frames: 5, codec).restore(state[...]))
    }
  }

  /// Integers give what the fit had, nearly, and bytes come out as they were told.
  @Test(arguments: [VideoEncoder.Codec.hnerv, .nerv, .nervpp]) func integersAreTheFit(codec: VideoEncoder.Codec) throws {
    let fit = Self.fit(epochs: 40, codec)
    while !fit.isDone { fit.step(threads: 2) }
    let segment = fit.segment(threads: 2)
    let bytes = try SegmentWriter.bytes(of: segment)
    #expect(abs(Double(8 * bytes.count) / (try #require(fit.bits)) - 1) < 0.25)
    #expect(try SegmentReader.segment(bytes[...], frames: 3, width: 70, height: 50, maxMemory: 1 << 24) == segment)
    let decoder = try NeRVFrameDecoder(segment.network)
    let frames = try decoder.frames(NeRVInputs(segment).of(0..<3), threads: 2)
    fit.forEachFrame(threads: 1) { number, frame in
      let floats = frame.output
      for channel in 0..<3 {
        for y in 0..<50 {
          for x in 0..<70 {
            let sample = Float(frames[number][(channel * 50 + y) * 70 + x])
            #expect(abs(sample - 255 * floats[channel, y, x]) < 3)
          }
        }
      }
    }
  }

  /// Bits that were asked for, by embeddings and all.
  @Test(arguments: [(VideoEncoder.Codec.hnerv, 12_000.0), (.hnerv, 24_000), (.nerv, 16_000), (.nervpp, 16_000)])
  func ratesAreReached(codec: VideoEncoder.Codec, bits: Double) throws {
    let fit = Self.fit(epochs: 60, frames: 12, rounded: 0.8, cost: .bits(bits), codec)
    while !fit.isDone { fit.step(threads: 2) }
    let made = Double(8 * (try SegmentWriter.bytes(of: fit.segment(threads: 2)).count))
    #expect(abs(made / bits - 1) < 0.08, "\(made) bits")
  }

  /// Kernels of the last stages that scale are 3 x 3, and multiplications about half.
  @Test func cheapBlocksAreCheap() {
    let whole = NeRVArchitecture.hnerv(width: 1280, height: 640, frames: 132, parameters: 350_000)
    let cheap = NeRVArchitecture.hnerv(width: 1280, height: 640, frames: 132, parameters: 350_000, cheapBlocks: true)
    #expect(cheap.stages.map(\.side) == [1, 1, 3, 5, 3, 3, 3])
    #expect(abs(cheap.parameterCount - whole.parameterCount) < 20_000 && abs(Double(cheap.multiplications) / Double(whole.multiplications) - 0.5) < 0.02)
  }

  /// Of frames' numbers alone, in integers.
  @Test(arguments: [(VideoEncoder.Codec.nerv, 36.0), (.nervpp, 36)]) func stemsFit(codec: VideoEncoder.Codec, least: Double) throws {
    let fit = Self.fit(epochs: 100, frames: 6, cost: .lambda(1e-4), codec)
    while !fit.isDone { fit.step(threads: 2) }
    let segment = fit.segment(threads: 2), decoder = try NeRVFrameDecoder(segment.network)
    let frames = try decoder.frames(NeRVInputs(segment).of(0..<6), threads: 2)
    var sum = 0.0
    fit.forEachFrame(threads: 2) { number, frame in
      var squares = 0.0
      for channel in 0..<3 {
        for y in 0..<50 {
          for x in 0..<70 {
            let difference = Float(frames[number][(channel * 50 + y) * 70 + x]) / 255 - frame.target[channel, y, x]
            squares += Double(difference * difference)
          }
        }
      }
      sum -= 10 * log10(squares / 10_500)
    }
    #expect(segment.embeddings.isEmpty && sum / 6 > least, "\(sum / 6) dB")
  }

  /// Numbers of all sizes through writer and reader.
  @Test func segmentsComeBack() throws {
    var random = SplitMix64(seed: 5)
    for scale in [0.0, 0.3, 2, 40, 4000] {
      let architecture = NeRVArchitecture(
        width: 9, height: 7, embedding: .init(channels: 3, height: 2, width: 3), activation: .swish,
        stages: [.init(inputs: 3, outputs: 4, side: 3, factor: 2), .init(inputs: 4, outputs: 2, side: 5, factor: 2), .init(inputs: 2, outputs: 3, side: 1, factor: 1)])
      func numbers(_ count: Int, limit: Int) -> [Int16] {
        (0..<count).map { _ in Int16(max(-limit, min(limit, Int(Double(random.nextSigned() * random.nextSigned()) * scale)))) }
      }
      let layers = architecture.stages.enumerated().map { i, stage in
        var initial = InitialWeights(stage: i)
        let weights = numbers(stage.weightCount, limit: 4000).map { $0 << 3 + Int16(initial.next(amplitude: 77)) }
        return NeRVLayer(
          weights: weights, biases: numbers(stage.biasCount, limit: 8000).map { $0 << 2 }, shift: 3 + i, multiplier: 17_000, fraction: 4 + i, centreShift: 3,
          amplitude: 77, biasShift: 2)
      }
      let segment = NeRVSegment(
        network: NeRVNetwork(architecture, layers: layers, embeddingShift: 1), frames: 4, embeddings: numbers(18 * 4, limit: 4095))
      let bytes = try SegmentWriter.bytes(of: segment)
      #expect(try SegmentReader.segment(bytes[...], frames: 4, width: 9, height: 7, maxMemory: 1 << 20) == segment)
      for (frames, width, height, memory) in [(4, 9, 13, 1 << 20), (4, 13, 7, 1 << 20), (4, 9, 7, 100)] {
        #expect(throws: CodecError.self) { try SegmentReader.segment(bytes[...], frames: frames, width: width, height: height, maxMemory: memory) }
      }
      for cut in 0..<bytes.count where cut % 7 == 0 {
        // A container's checksums find what is cut; here it only must not be taken for the whole.
        #expect((try? SegmentReader.segment(bytes[..<cut], frames: 4, width: 9, height: 7, maxMemory: 1 << 20)) != segment)
      }
    }
  }
}
