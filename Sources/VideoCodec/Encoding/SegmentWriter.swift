import Bitstream
import EntropyCoding

/// Writes a segment's network and embeddings. The inverse is `SegmentReader`.
// bitstream-spec 14.3
package enum SegmentWriter {
  /// What all but the embeddings takes, about: weights and biases, and what says their formats.
  package static func bytes(changes: [[Int16]], biases: [[Int16]], of architecture: NeRVArchitecture) -> Int {
    let writer = ModelledBitWriter()
    for (i, stage) in architecture.stages.enumerated() {
      var (changes, biases) = (changes[i], biases[i])
      try! SegmentNumbers.visitWeights(&changes, of: stage, writer)
      try! SegmentNumbers.visitBiases(&biases, writer)
    }
    return writer.finish().count + 10 + 8 * architecture.stages.count
  }

  /// Throws `BitstreamError` (invalidValue) for a network that the syntax has no room for.
  package static func bytes(of segment: NeRVSegment) throws(BitstreamError) -> [UInt8] {
    let network = segment.network, architecture = network.architecture
    var syntax = SegmentSyntax()
    (syntax.network.channels, syntax.network.height) = (UInt32(architecture.embedding.channels), UInt32(architecture.embedding.height))
    syntax.network.width = UInt32(architecture.embedding.width)
    syntax.network.activation = architecture.activation == .gelu ? .gelu : .swish
    syntax.network.embeddingShift = UInt8(network.embeddingShift)
    let weights = ModelledBitWriter()
    for (i, (stage, layer)) in zip(architecture.stages, network.layers).enumerated() {
      var part = StageSyntax()
      part.outputs = UInt32(stage.outputs)
      (part.side, part.factor) = (stage.side, stage.factor)
      (part.shift, part.multiplier, part.fraction) = (UInt8(layer.shift), UInt16(layer.multiplier), layer.fraction)
      (part.centreShift, part.amplitude, part.biasShift) = (UInt8(layer.centreShift), UInt32(layer.amplitude), UInt8(layer.biasShift))
      syntax.network.stages.append(part)
      var initial = InitialWeights(stage: i)
      var changes = layer.weights.map { Int16((Int($0) - initial.next(amplitude: layer.amplitude)) >> layer.centreShift) }
      var biases = layer.biases.map { $0 >> Int16(layer.biasShift) }
      // Writing throws nothing.
      try! SegmentNumbers.visitWeights(&changes, of: stage, weights)
      try! SegmentNumbers.visitBiases(&biases, weights)
    }
    syntax.weights = weights.finish()[...]
    let rest = ModelledBitWriter()
    var embeddings = segment.embeddings
    try! SegmentNumbers.visitEmbeddings(&embeddings, architecture.embedding, rest)
    syntax.embeddings = rest.finish()[...]
    return try syntax.serialised()
  }
}
