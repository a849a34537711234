import Bitstream
import Coding

/// Where the bytes of an overfitted picture go.
public struct OverfitDetails: Sendable, Equatable {
  /// A grid of latents, or of hyper-latents, which serve as context only unless they are joined.
  public struct Grid: Sendable, Equatable {
    /// 0 has a position for each pixel, and each further level half as many across and down.
    public let level: Int
    public let isHyper: Bool
    public let width: Int
    public let height: Int
    /// The largest magnitude of its values.
    public let magnitude: Int
    /// What its values take.
    public let bytes: Double
  }

  /// Parameters that share a step.
  public struct Parameters: Sendable, Equatable {
    public let name: String
    public let count: Int
    /// k of the step 2^-k.
    public let step: Int
    public let bytes: Double
  }

  /// In coding order, the coarsest first.
  public let grids: [Grid]
  public let parameters: [Parameters]
  /// Masks, formats, steps and magnitudes.
  public let headerBytes: Int
  /// Parameters and maps of empty blocks, with their length field.
  public let sideBytes: Int
  /// Values of all grids.
  public let symbolBytes: Int
  /// Causal neighbours and features that the entropy model sees, and its hidden layers.
  public let neighbours: Int
  public let features: Int
  public let hiddenLayers: Int
  /// Whether hyper-latents are planes of the synthesis beside latents.
  public let areHyperLatentsJoined: Bool
  /// Channels of the synthesis' hidden layer, and 3x3 layers after it.
  public let synthesisWidth: Int
  public let convolutions: Int
  /// Multiplications of decoding.
  public let multipliesPerPixel: Int

  /// Bytes that are neither values nor maps.
  public var networkBytes: Double { parameters.reduce(0) { $0 + $1.bytes } }

  /// Of `OverfitStream.write`'s bytes. Throws what decoding throws, and where it would take more than 2^30 bytes.
  init(_ payload: ArraySlice<UInt8>, _ configuration: ImageConfiguration, modelID: UInt32) throws {
    let threads = Threads.resolve(nil)
    var limits = ContainerLimits()
    limits.maxMemory = 1 << 30
    let stream = try OverfitStream.parse(
      payload, width: Int(configuration.width), height: Int(configuration.height),
      outputs: configuration.colour.channels, modelID: modelID
    ) { try limits.check(memory: OverfitSynthesis.memory($0, threads: threads), in: "picture") }
    let model = OverfitEntropyModel(
      try OverfitNetwork(stream.parameters, formats: stream.formats), threads: threads)
    let bits = model.bits(try model.decode(stream), magnitudes: stream.magnitudes, blocks: stream.blocks)
    let architecture = stream.architecture
    grids = architecture.grids.indices.map {
      let grid = architecture.grids[$0]
      return Grid(
        level: grid.level, isHyper: grid.isHyper, width: grid.width, height: grid.height,
        magnitude: stream.magnitudes[$0], bytes: bits[$0] / 8)
    }
    let costs = stream.parameters.bitsByGroup
    parameters = architecture.groups.indices.map {
      let group = architecture.groups[$0]
      return Parameters(
        name: group.kind.name, count: group.range.count, step: stream.parameters.steps[$0], bytes: costs[$0] / 8)
    }
    (headerBytes, sideBytes, symbolBytes) = (stream.headerBytes, stream.sideBytes, stream.symbolBytes)
    neighbours = architecture.spatial
    features = architecture.features
    hiddenLayers = architecture.hiddenLayers
    areHyperLatentsJoined = architecture.areJoined
    synthesisWidth = architecture.synthesisWidth
    convolutions = architecture.convolutions
    multipliesPerPixel = architecture.multipliesPerPixel
  }
}
