import Bitstream
import EntropyCoding

/// Writes a segment's network, and its embeddings if it has any. The inverse is `SegmentReader`.
// bitstream-spec 14.3
package enum SegmentWriter {
  /// What all takes, about: weights and biases, what says their formats, and embeddings.
  package static func bytes(changes: [[Int16]], biases: [[Int16]], embeddings: [Int16], of architecture: NeRVArchitecture) -> Int {
    let writer = ModelledBitWriter()
    for (i, stage) in architecture.layers.enumerated() {
      var (changes, biases) = (changes[i], biases[i])
      try! SegmentNumbers.visitWeights(&changes, of: stage, writer)
      try! SegmentNumbers.visitBiases(&biases, writer)
    }
    var embeddings = embeddings
    if !embeddings.isEmpty { try! SegmentNumbers.visitEmbeddings(&embeddings, architecture.embedding, writer) }
    return writer.finish().count + 10 + 8 * architecture.layers.count
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
    var formats: [FormatSyntax] = []
    for (i, (stage, layer)) in zip(architecture.layers, network.layers).enumerated() {
      var format = FormatSyntax()
      (format.shift, format.multiplier, format.fraction) = (UInt8(layer.shift), UInt16(layer.multiplier), layer.fraction)
      (format.centreShift, format.amplitude, format.biasShift) = (UInt8(layer.centreShift), UInt32(layer.amplitude), UInt8(layer.biasShift))
      formats.append(format)
      var initial = InitialWeights(stage: i)
      var changes = layer.weights.map { Int16((Int($0) - initial.next(amplitude: layer.amplitude)) >> layer.centreShift) }
      var biases = layer.biases.map { $0 >> Int16(layer.biasShift) }
      // Writing throws nothing.
      try! SegmentNumbers.visitWeights(&changes, of: stage, weights)
      try! SegmentNumbers.visitBiases(&biases, weights)
    }
    syntax.weights = weights.finish()[...]
    for (stage, format) in zip(architecture.stages, formats.suffix(architecture.stages.count)) {
      var part = StageSyntax()
      (part.outputs, part.side, part.factor, part.format) = (UInt32(stage.outputs), stage.side, stage.factor, format)
      syntax.network.stages.append(part)
    }
    if let stem = architecture.stem {
      var part = StemSyntax()
      (part.levels, part.hidden, part.first, part.second) = (UInt8(stem.levels), UInt32(stem.hidden), formats[0], formats[1])
      syntax.network.stem = part
      return try syntax.serialised()
    }
    let rest = ModelledBitWriter()
    var embeddings = segment.embeddings
    try! SegmentNumbers.visitEmbeddings(&embeddings, architecture.embedding, rest)
    syntax.embeddings = rest.finish()[...]
    return try syntax.serialised()
  }
}
