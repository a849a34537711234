import Bitstream
import Coding
import EntropyCoding

/// Reads a segment's network and embeddings. The inverse is the encoder's writer.
// bitstream-spec 14.3
package enum SegmentReader {
  /// Most weights of a network.
  package static let maximumWeights = 1 << 24

  /// A segment of `frames` frames of this size. Its numbers are read, and no more memory is taken than they and `maxMemory` bytes allow.
  ///
  /// Throws `CodecError` (malformed, limitExceeded).
  package static func segment(_ data: ArraySlice<UInt8>, frames: Int, width: Int, height: Int, maxMemory: Int) throws(CodecError) -> NeRVSegment {
    do {
      var fields = FieldReader(data, named: "segment", shortage: .malformed)
      let header = try fields.read(SegmentSyntax())
      let architecture = try architecture(header.network, width: width, height: height)
      let embeddings = architecture.embeddingCount(frames: frames), groups = architecture.groups(frames: frames)
      // Of weights while they are read, and of all groups' (more is kept of them from group to group); of embeddings, and of what makes frames; no more
      // numbers than weights come out of a stem.
      let memory =
        (groups > 1 ? 2 * groups + 16 : 4) * architecture.parameterCount + 2 * embeddings + NeRVFrameDecoder.memory(architecture, threads: 1)
        + (architecture.groupFrames == nil ? 0 : 3 * architecture.passFrames * width * height + 2 * architecture.embedding.count)
      guard groups * architecture.parameterCount <= NeRVArchitecture.maximumGroupedParameters else {
        throw CodecError.damagedVideo("its groups have \(groups * architecture.parameterCount) weights")
      }
      guard architecture.parameterCount <= maximumWeights, memory <= maxMemory else {
        throw CodecError(.limitExceeded, "a segment's network takes \(memory) bytes, more than the \(maxMemory) that the limits allow.")
      }
      let weights = ModelledBitReader(Array(header.weights)), coder = GroupNumbers(architecture)
      let shift = Int(header.network.embeddingShift)
      var networks: [NeRVNetwork] = []
      for _ in 0..<groups {
        var coded = CodedNumbers(architecture)
        try coder.visit(&coded, weights)
        let layers = try zip(architecture.layers, header.network.formats).enumerated().map { i, layer in
          try self.layer(layer.0, number: i, layer.1, coded.weights[i], coded.biases[i])
        }
        networks.append(NeRVNetwork(architecture, layers: layers, embeddingShift: shift))
        // What has no groups is checked where it is made ready for frames.
        if architecture.groupFrames != nil { try networks[networks.count - 1].validate() }
      }
      try weights.finish()
      var numbers = [Int16](repeating: 0, count: embeddings)
      if !architecture.hasEmbeddings {
        guard header.embeddings.isEmpty else { throw CodecError.damagedVideo("something follows the weights of a network without embeddings") }
      } else {
        let rest = ModelledBitReader(Array(header.embeddings))
        try SegmentNumbers.visitEmbeddings(&numbers, architecture.embedding, rest)
        try rest.finish()
      }
      guard numbers.allSatisfy({ NeRVLayer.inputRange.contains(Int($0) << shift) }) else {
        throw CodecError.damagedVideo("an embedding is beyond its range")
      }
      return NeRVSegment(networks: networks, frames: frames, embeddings: numbers)
    } catch let error as CodecError {
      throw error
    } catch let error as BitstreamError {
      throw CodecError(error)
    } catch {
      throw CodecError.damagedVideo("\(error)")
    }
  }

  private static func architecture(_ syntax: NetworkSyntax, width: Int, height: Int) throws -> NeRVArchitecture {
    let embedding = NeRVArchitecture.Embedding(channels: Int(syntax.channels), height: Int(syntax.height), width: Int(syntax.width))
    var inputs = embedding.channels
    var stages: [NeRVArchitecture.Stage] = []
    for stage in syntax.stages {
      let outputs = Int(stage.outputs)
      stages.append(
        NeRVArchitecture.Stage(
          inputs: inputs, outputs: outputs, side: stage.side, factor: stage.factor, isDepthwise: stage.isDepthwise, isLinear: stage.isLinear,
          sums: stage.sums))
      inputs = outputs
    }
    let architecture = NeRVArchitecture(
      width: width, height: height, embedding: embedding, activation: syntax.activation == .gelu ? .gelu : .swish,
      stem: syntax.stem.map { .init(levels: Int($0.levels), hidden: Int($0.hidden)) }, groupFrames: syntax.groupFrames.map { Int($0) }, stages: stages)
    // Before anything is counted, which could overflow for other shapes.
    try architecture.validate()
    return architecture
  }

  private static func layer(
    _ stage: NeRVArchitecture.Stage, number: Int, _ syntax: FormatSyntax, _ codedWeights: [Int16], _ codedBiases: [Int16]
  ) throws -> NeRVLayer {
    var (weights, biases) = (codedWeights, codedBiases)
    var initial = InitialWeights(stage: number)
    let (shift, amplitude) = (Int(syntax.centreShift), Int(syntax.amplitude))
    for i in weights.indices {
      guard let weight = Int16(exactly: Int(weights[i]) << shift + initial.next(amplitude: amplitude)) else {
        throw CodecError.damagedVideo("a weight is beyond its range")
      }
      weights[i] = weight
    }
    for i in biases.indices {
      guard let bias = Int16(exactly: Int(biases[i]) << Int(syntax.biasShift)) else { throw CodecError.damagedVideo("a bias is beyond its range") }
      biases[i] = bias
    }
    return NeRVLayer(
      weights: weights, biases: biases, shift: Int(syntax.shift), multiplier: Int16(syntax.multiplier), fraction: syntax.fraction,
      centreShift: shift, amplitude: amplitude, biasShift: Int(syntax.biasShift))
  }
}
