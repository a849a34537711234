import Coding
import ImageCodec
import Testing


@Suite struct OverfitPriorTests {
  private static let shipped: [OverfitArchitecture.Preset] = [.low, .medium, .high]

  @Test(arguments: shipped, [UInt32(1), 3, 5]) func everyModelHasItsPreset(
    preset: OverfitArchitecture.Preset, model: UInt32
  ) throws {
    let architecture = OverfitArchitecture(preset: preset, width: 768, height: 512)
    let prior = try OverfitPrior(modelID: model, for: architecture)
    #expect(prior.modelID == model && prior.values.count == architecture.parameterCount)
    #expect(prior.values.count { $0 != 0 } > architecture.parameterCount / 2)
  }

  @Test(arguments: 6...15 as ClosedRange<UInt32>) func modelsWithJoinedHyperLatentsAreForTheDearerNetworks(model: UInt32) throws {
    let architecture = OverfitArchitecture(preset: .high, width: 768, height: 512, joined: true)
    let prior = try OverfitPrior(modelID: model, for: architecture)
    #expect(prior.modelID == model && prior.values.count == architecture.parameterCount)
    // No plane is without effect, at the lowest rates but the finest, which the codec leaves out there.
    let first = architecture.tensors.first { $0.role == .synthesisFirst && !$0.isBias }!
    for column in 0..<architecture.planes {
      #expect((0..<first.rows).contains { abs(prior.values[first.offset + $0 * first.columns + column]) > 64 })
    }
    let priors = OverfitPrior.trained(for: OverfitPrior.lambdas[Int(model - 6) % 5], architecture)
    #expect(priors.map(\.modelID).contains(model) && priors.count == 2)
    let cheap = OverfitArchitecture(preset: .low, width: 768, height: 512, joined: true)
    #expect(throws: CodecError(.unsupported, "")) { try OverfitPrior(modelID: model, for: cheap) }
  }

  @Test func unknownPriorsAreRefusedByName() {
    let colour = OverfitArchitecture(preset: .high, width: 64, height: 64)
    let grey = OverfitArchitecture(preset: .high, width: 64, height: 64, outputs: 1)
    let other = OverfitArchitecture(
      width: 64, height: 64, latentMask: 0b111, hyperMask: 0, spatial: 5, features: 1, synthesisWidth: 4, convolutions: 0)
    for (model, architecture) in [(UInt32(16), colour), (77, colour), (3, grey), (3, other)] {
      #expect(throws: CodecError(.unsupported, "")) { try OverfitPrior(modelID: model, for: architecture) }
    }
    #expect(OverfitPrior.trained(for: 0.001, grey).map(\.modelID) == [0])
    #expect(OverfitPrior.trained(for: 0.0011, colour).map(\.modelID) == [3])
  }

  /// bitstream-spec 9.10
  @Test func otherGridsTakeOverWhatTheyShare() throws {
    let reference = OverfitArchitecture(preset: .high, width: 768, height: 512)
    let values = (0..<Int32(reference.parameterCount)).map { $0 + 1 }
    let offsets = values.map { Int8(truncatingIfNeeded: $0) }
    let same = OverfitPriorTables.adapted(values, offsets, from: reference, to: reference)
    #expect(same.values == values && same.offsets == offsets)

    var coarse = reference
    coarse.latentMask &= ~1
    let fewer = OverfitPriorTables.adapted(values, offsets, from: reference, to: coarse).values
    func first(_ a: OverfitArchitecture) -> OverfitTensor {
      a.tensors.first { $0.role == .synthesisFirst && !$0.isBias }!
    }
    // Planes 1 to 6 of 0 to 6.
    #expect(fewer[first(coarse).offset] == values[first(reference).offset + 1])

    let large = OverfitArchitecture(preset: .high, width: 2000, height: 1333)
    let more = OverfitPriorTables.adapted(values, offsets, from: reference, to: large).values
    let row = Array(more[first(large).offset..<first(large).offset + large.planes])
    let base = Array(values[first(reference).offset..<first(reference).offset + 7])
    #expect(row == base + [Int32](repeating: base[6], count: large.planes - 7))
    // Columns of joined hyper-latents go where these are, and elsewhere are nothing.
    let joined = OverfitArchitecture(preset: .high, width: 768, height: 512, joined: true)
    let without = OverfitPriorTables.adapted(values, offsets, from: reference, to: joined).values
    let columns = Array(without[first(joined).offset..<first(joined).offset + joined.planes])
    #expect(columns == base[...3] + [0, base[4], 0] + base[5...])
    let numbers = (0..<Int32(joined.parameterCount)).map { $0 + 1 }
    let none = [Int8](repeating: 0, count: numbers.count)
    let back = OverfitPriorTables.adapted(numbers, none, from: joined, to: reference).values
    let kept = [0, 1, 2, 3, 5, 7, 8].map { numbers[first(joined).offset + $0] }
    #expect(Array(back[first(reference).offset..<first(reference).offset + 7]) == kept)
    // The new grids' features are not expected to matter; the old ones keep their places.
    let level0 = { (a: OverfitArchitecture) in a.grids.firstIndex { $0.level == 0 && $0.hasFeatures }! }
    func features(_ a: OverfitArchitecture) -> OverfitTensor {
      a.tensors.first { $0.role == .features(grid: level0(a)) && !$0.isBias }!
    }
    let (old, new) = (features(reference), features(large))
    #expect(Array(more[new.offset..<new.offset + old.columns]) == Array(values[old.offset..<old.offset + old.columns]))
    #expect(more[new.offset + old.columns..<new.offset + new.columns].allSatisfy { $0 == 0 })
  }
}
