import Foundation
import ImageCodec
import Media
import NeuralCodecs
import Testing

@Suite struct OverfitTests {
  @Test(arguments: overfitArchitectures) func whatIsWrittenComesBack(_ architecture: OverfitArchitecture) throws {
    let sample = try OverfitSample(architecture)
    let bytes = try sample.stream()
    let stream = try OverfitStream.parse(
      bytes[...], width: architecture.width, height: architecture.height, outputs: architecture.outputs, modelID: 0)
    #expect(stream.architecture == architecture)
    #expect(stream.parameters == sample.parameters)
    #expect(stream.formats == sample.formats)
    let network = try OverfitNetwork(stream.parameters, formats: stream.formats)
    #expect(try OverfitEntropyModel(network, threads: 1).decode(stream) == sample.grids)
    #expect(try ImageDecoder().decode(sample.file()).samples == sample.samples())
    // The sample must not be one flat colour, or nothing above would say much.
    if architecture.width * architecture.height > 1000 { #expect(Set(try sample.samples()).count > 16) }
  }

  @Test(arguments: overfitArchitectures) func integersFollowTheFloatModel(_ architecture: OverfitArchitecture) throws {
    let sample = try OverfitSample(architecture)
    let reference = OverfitReference(architecture: architecture, floats: sample.parameters.floats)
    let network = try OverfitNetwork(sample.parameters, formats: sample.formats)
    let bits = OverfitEntropyModel(network, threads: 1).bits(sample.grids)
    let expected = reference.bits(sample.grids)
    let (total, wanted) = (bits.reduce(0, +), expected.reduce(0, +))
    // The integers may do better, as they give nothing to values beyond a grid's largest.
    #expect(total <= 1.005 * wanted + 2 && total >= 0.97 * wanted - 8, "\(total) bits, \(wanted) in floats")
    for (a, b) in zip(bits, expected) where b > 100 {
      #expect(a <= 1.01 * b + 2 && a >= 0.95 * b - 8, "\(bits) bits, \(expected) in floats")
    }
    var worst = 0.0
    for (s, x) in zip(try sample.samples(), reference.samples(sample.grids)) {
      worst = max(worst, abs(Double(s) - min(max(x, 0), 255)))
    }
    // Half a level is rounding.
    #expect(worst < 1.0)
  }

  /// The symbols take what the model says, and the whole stream what its parts do.
  @Test func bytesAreTheCost() throws {
    let sample = try OverfitSample(OverfitArchitecture(preset: .medium, width: 200, height: 150))
    let network = try OverfitNetwork(sample.parameters, formats: sample.formats)
    let bytes = try sample.stream()
    let stream = try OverfitStream.parse(bytes[...], width: 200, height: 150, outputs: 3, modelID: 0)
    let bits = OverfitEntropyModel(network, threads: 1).bits(sample.grids, blocks: stream.blocks).reduce(0, +)
    #expect(abs(Double(8 * stream.symbolBytes) - bits) < 0.001 * bits + 80)
    #expect(stream.headerBytes + stream.sideBytes + stream.symbolBytes == bytes.count)
    #expect(stream.headerBytes <= 40)
    let mapped = stream.blocks.contains { $0 != nil }
    #expect(abs(Double(8 * stream.sideBytes) - (sample.parameters.bits - 11 * 12)) < (mapped ? 400 : 40))
  }

  @Test(arguments: [Float(0.38), 0.5, 4]) func levelsAndThreadsChangeNothing(activity: Float) throws {
    for (i, base) in [OverfitArchitecture.Preset.low, .veryHigh].enumerated() {
      let sample = try OverfitSample(
        OverfitArchitecture(preset: base, width: 190 - 57 * i, height: 75 + 30 * i), activity: activity)
      let a = sample.architecture
      let bytes = try sample.stream()
      for threads in [2, 3, 7] { #expect(try sample.stream(threads: threads) == bytes) }
      let stream = try OverfitStream.parse(bytes[...], width: a.width, height: a.height, outputs: 3, modelID: 0)
      // The blocks that are skipped matter here.
      if activity < 1 { #expect(stream.blocks.contains { $0 != nil }) }
      let network = try OverfitNetwork(sample.parameters, formats: sample.formats)
      let expected = try sample.samples()
      var levels = 0
      for level: Int32 in 0...3 {
        guard let kernel = OverfitKernel.at(level: level) else { continue }
        levels += 1
        for threads in [1, 2, 3, 7] {
          let model = OverfitEntropyModel(network, threads: threads, kernel: kernel)
          #expect(try model.decode(stream) == sample.grids, "level \(level), \(threads) threads")
          let synthesis = OverfitSynthesis(network, threads: threads, kernel: kernel)
          #expect(synthesis.samples(sample.grids) == expected, "level \(level), \(threads) threads")
        }
      }
      #expect(levels >= 2)
    }
  }

  @Test func greyAndAlphaComeBack() throws {
    let sample = try OverfitSample(OverfitArchitecture(preset: .low, width: 51, height: 34, outputs: 1))
    let alpha = (0..<51 * 34).map { UInt8(truncatingIfNeeded: $0 / 7) }
    let file = try sample.file(alpha: alpha)
    let image = try ImageDecoder().decode(file)
    #expect(image.colour == .grey && image.alpha == alpha)
    #expect(image.samples == (try sample.samples()))
  }

  @Test func infoSaysWhereTheBytesGo() throws {
    let sample = try OverfitSample(OverfitArchitecture(preset: .high, width: 120, height: 90))
    let bytes = try sample.file(alpha: [UInt8](repeating: 7, count: 120 * 90))
    let file = try ImageFile(reading: bytes)
    let picture = try #require(file.picture)
    let overfit = try #require(picture.overfit)
    #expect(file.codec == 2 && file.model == 0 && picture.width == 120 && picture.height == 90 && picture.hasAlpha)
    #expect(overfit.grids.map(\.level) == [6, 6, 5, 5, 4, 4, 3, 2, 1, 0])
    #expect(overfit.headerBytes + overfit.sideBytes + overfit.symbolBytes == picture.latentBytes)
    #expect(abs(overfit.grids.reduce(0) { $0 + $1.bytes } - Double(overfit.symbolBytes)) < 12)
    #expect(overfit.networkBytes <= Double(overfit.sideBytes) && overfit.networkBytes > 200)
    #expect(overfit.parameters.map(\.count).reduce(0, +) == sample.architecture.parameterCount)
  }

  /// Steps and sizes that need low bits and escapes; the entropy model's weights are kept small, as their sums are
  /// bounded.
  @Test(arguments: [0, 3, 8, 12]) func parametersOfAllSizesComeBack(step: Int) throws {
    let architecture = OverfitArchitecture(preset: .low, width: 9, height: 6)
    var dice = Dice(step)
    let prior = OverfitPrior(noneFor: architecture)
    var floats = [Float](repeating: 0, count: architecture.parameterCount)
    for tensor in architecture.tensors {
      for i in tensor.range {
        // Mostly near zero with an outlier now and then, or all large.
        floats[i] = tensor.isBias ? dice.unit() * 100 : dice.int(0...9) == 0 ? dice.unit() * 0.4 : dice.unit() * 0.01
      }
    }
    let steps = architecture.groups.map { $0.kind.name.contains("bias") ? min(step + 3, 15) : step }
    let parameters = try OverfitParameters.quantised(floats, architecture: architecture, prior: prior, steps: steps)
    let values = parameters.floats
    for group in architecture.groups.indices {
      for i in architecture.groups[group].range {
        #expect(abs(values[i] - floats[i]) <= 0.5001 / Float(1 << steps[group]))
      }
    }
    let grids = architecture.grids.map { [Int8](repeating: 0, count: $0.count) }
    let formats = OverfitFormats(planes: 8, hidden: min(8, 8 + step), outputs: 8)
    let bytes = try OverfitStream.write(parameters, formats: formats, grids: grids, threads: 1)
    let stream = try OverfitStream.parse(bytes[...], width: 9, height: 6, outputs: 3, modelID: 0)
    #expect(stream.parameters == parameters)
    // 3 bits for the networks, 18 of masks, 12 of formats, 11 a group and 3 a grid of zeros; and no symbols.
    #expect(stream.headerBytes == (3 + 18 + 12 + 11 * architecture.groups.count + 3 * 10 + 7) / 8)
    #expect(stream.symbolBytes == 0)
    let bits = parameters.bitsByGroup.reduce(0, +)
    #expect(abs(Double(8 * stream.sideBytes) - bits) < 0.001 * bits + 32)
  }

  @Test func theBestBaseIsFound() {
    var dice = Dice(5)
    for scale: Float in [0.01, 0.3, 2, 30, 900, 20_000] {
      let integers = (0..<150).map { _ in Int32((dice.normal() * scale).rounded()) }
      let offsets = (0..<150).map { Int8($0 % 9 - 4) }
      let best = OverfitParameterCost.shared.best(integers[...], offsets: offsets[...])
      let all = (0...111).map { OverfitParameterCost.shared.bits(integers[...], offsets: offsets[...], base: $0) }
      #expect(best.bits == all[best.base])
      #expect(best.bits <= all.min()! * 1.002 + 0.5, "scale \(scale)")
    }
  }

  @Test func distributionsAreThoseOfTheCost() throws {
    let sample = try OverfitSample(OverfitArchitecture(preset: .high, width: 203, height: 131), activity: 2)
    let model = OverfitEntropyModel(try OverfitNetwork(sample.parameters, formats: sample.formats), threads: 2)
    let bits = model.bits(sample.grids)
    for (number, grid) in sample.architecture.grids.enumerated() where bits[number] > 200 {
      let (means, scales) = model.distributions(number, sample.grids)
      #expect(means.count == grid.count && scales.count == grid.count)
      var sum = 0.0
      for (i, v) in sample.grids[number].enumerated() {
        let mean = Double(means[i]) / 32, b = exp(Double(scales[i]) / 16 - 3.5)
        let cdf = { (z: Double) in z < 0 ? 0.5 * exp(z / b) : 1 - 0.5 * exp(-z / b) }
        sum -= log2(max(cdf(Double(v) + 0.5 - mean) - cdf(Double(v) - 0.5 - mean), 0x1p-16))
      }
      // Positions in the wrong place would cost far more.
      #expect(abs(sum - bits[number]) < 0.01 * sum, "grid \(number): \(bits[number]) bits, \(sum) from distributions")
    }
  }
}
