import LatentCoding
import Networks
import Tensors

/// The decoder's networks and tables of codec 1, loaded and checked. Immutable; many decoders share one.
// bitstream-spec 8.1
struct HyperpriorModel: Sendable {
  static let qualities = 101

  let modelID: UInt32
  /// Channels of the latents (1/16), of the hyper-latents (1/64) and of the entropy networks.
  let latents: Int
  let hyperLatents: Int
  let width: Int

  // Hyper-synthesis, from 1/64 to 1/16.
  let hyperStep: QualityTable<Int16>
  let hyperStepShift: Int
  let hyperScale: QualityTable<UInt8>
  let hyperTables: SymmetricTables
  let hyperIn: FixedPointPointwise
  let hyperBlocks64: FixedPointBlocks
  let hyperUp32: FixedPointPointwise
  let hyperBlocks32: FixedPointBlocks
  let hyperUp16: FixedPointPointwise
  let contextBias: QualityTable<Int16>

  /// One network per coding pass.
  struct ContextPass: Sendable {
    /// From hyper features beside latents decoded so far, [width + latents] channels, to [width].
    let mix: FixedPointPointwise
    let blocks: FixedPointBlocks
    /// For each group of channels: [width] to means, then scale indices in 1/64, of the group.
    let heads: [FixedPointPointwise]
  }
  let passes: [ContextPass]

  let latentStep: QualityTable<Int16>
  let latentStepShift: Int
  let latentScale: QualityTable<Int16>
  let latentTables: SymmetricTables

  // Synthesis, from 1/16 to pixels.
  let synthesis16: FixedPointBlocks
  let up: FixedPointPointwise
  let synthesisGain: QualityTable<Int16>
  let synthesisGainShift: Int
  let synthesis8: FixedPointBlocks
  let head: FixedPointPointwise
  let pixelShift: Int

  /// Throws `WeightsError`, `TensorError` or `EntropyError` where the file is not a model of codec 1.
  init(_ file: WeightsFile) throws {
    guard file.codec == 1 else { throw WeightsError(.unsupported, "codec", "\(file.codec) is not the image codec's 1") }
    modelID = file.modelID
    let shifts = try file.uint8("shifts", 4).map(Int.init)
    guard shifts.allSatisfy({ (1...30).contains($0) }), shifts[3] <= 15 else {
      throw WeightsError(.outOfRange, "shifts", "\(shifts)")
    }
    (hyperStepShift, latentStepShift, synthesisGainShift, pixelShift) = (shifts[0], shifts[1], shifts[2], shifts[3])

    hyperStep = try QualityTable(file.int16("hyper.step", Self.qualities, nil))
    hyperLatents = hyperStep.channels
    hyperScale = try QualityTable(file.uint8("hyper.scale", Self.qualities, hyperLatents))
    guard hyperScale.values.allSatisfy({ $0 < 64 }) else {
      throw WeightsError(.outOfRange, "hyper.scale", "a scale index is above 63")
    }
    hyperTables = try Self.tables(file, "hyper.tables")
    hyperIn = try file.pointwise("hyper.in", in: hyperLatents, out: nil)
    width = hyperIn.outChannels
    hyperBlocks64 = try file.fixedPointBlocks("hyper.blocks64", channels: width)
    hyperUp32 = try file.pointwise("hyper.up32", in: width, out: 4 * width)
    hyperBlocks32 = try file.fixedPointBlocks("hyper.blocks32", channels: width)
    hyperUp16 = try file.pointwise("hyper.up16", in: width, out: 4 * width)
    contextBias = try QualityTable(file.int16("context.bias", Self.qualities, width))

    latentStep = try QualityTable(file.int16("latent.step", Self.qualities, nil))
    latents = latentStep.channels
    guard latents % 4 == 0, latents + width <= Shape.maximumChannels, 4 * width <= Shape.maximumChannels else {
      throw WeightsError(.outOfRange, "latent.step", "\(latents) latent channels beside \(width)")
    }
    latentScale = try QualityTable(file.int16("latent.scale", Self.qualities, latents))
    latentTables = try Self.tables(file, "latent.tables")
    passes = try (0..<QuadTreeOrder.passes).map { [width, latents] in
      try Self.contextPass(file, "context.\($0)", width: width, latents: latents)
    }

    synthesis16 = try file.fixedPointBlocks("synthesis16", channels: latents)
    up = try file.pointwise("synthesis.up", in: latents, out: nil)
    guard up.outChannels % 4 == 0 else {
      throw WeightsError(.wrongShape, "synthesis.up", "\(up.outChannels) channels cannot be shuffled by 2")
    }
    synthesisGain = try QualityTable(file.int16("synthesis.gain", Self.qualities, up.outChannels / 4))
    synthesis8 = try file.fixedPointBlocks("synthesis8", channels: up.outChannels / 4)
    head = try file.pointwise("synthesis.head", in: up.outChannels / 4, out: 192)
  }

  private static func tables(_ file: WeightsFile, _ name: String) throws -> SymmetricTables {
    let widths = try file.int32(name, SymmetricTables.count, nil)
    return try SymmetricTables(widths: widths, columns: widths.count / SymmetricTables.count)
  }

  /// The file's `out` layer has all means, then all scales; positions need one group's only.
  private static func contextPass(
    _ file: WeightsFile, _ name: String, width: Int, latents: Int
  ) throws -> ContextPass {
    let weights = try file.int16("\(name).out.weight", 2 * latents, width)
    let bias = try file.int32("\(name).out.bias", 2 * latents)
    let shifts = try file.uint8("\(name).out.shift", 2 * latents)
    let size = latents / 4
    let heads = try (0..<4).map { group in
      let rows = [group * size, latents + group * size].flatMap { $0..<$0 + size }
      return try FixedPointPointwise(
        inChannels: width, outChannels: 2 * size, weights: rows.flatMap { weights[$0 * width..<($0 + 1) * width] },
        bias: rows.map { bias[$0] }, shifts: rows.map { shifts[$0] }, name: "\(name).out")
    }
    return ContextPass(
      mix: try file.pointwise("\(name).mix", in: width + latents, out: width),
      blocks: try file.fixedPointBlocks("\(name).blocks", channels: width), heads: heads)
  }
}

/// A vector for each quality 0...100: [101, channels].
struct QualityTable<Element: Sendable>: Sendable {
  let values: [Element]
  var channels: Int { values.count / HyperpriorModel.qualities }

  init(_ values: [Element]) { self.values = values }

  subscript(quality: Int) -> ArraySlice<Element> { values[quality * channels..<(quality + 1) * channels] }

  /// The part of the vector that belongs to a quarter of the channels.
  subscript(quality: Int, group group: Int) -> [Element] {
    Array(self[quality].dropFirst(group * (channels / 4)).prefix(channels / 4))
  }
}
