import Bitstream
import EntropyCoding

/// Writes a segment's network, and its embeddings if it has any. The inverse is `SegmentReader`.
// bitstream-spec 14.3
package enum SegmentWriter {
  /// What all takes, about: weights and biases, what says their formats, and embeddings.
  package static func bytes(of numbers: CodedNumbers, embeddings: [Int16] = [], _ architecture: NeRVArchitecture) -> Int {
    var (numbers, embeddings) = (numbers, embeddings)
    let writer = ModelledBitWriter()
    try! GroupNumbers(architecture).visit(&numbers, writer)
    if !embeddings.isEmpty { try! SegmentNumbers.visitEmbeddings(&embeddings, architecture.embedding, writer) }
    return writer.finish().count + headerBytes(architecture)
  }

  /// What says the formats of numbers takes, about.
  static func headerBytes(_ architecture: NeRVArchitecture) -> Int { 10 + 8 * architecture.layers.count }

  /// Throws `BitstreamError` (invalidValue) for a network that the syntax has no room for.
  package static func bytes(of segment: NeRVSegment) throws(BitstreamError) -> [UInt8] {
    let network = segment.network, architecture = network.architecture
    var syntax = SegmentSyntax()
    (syntax.network.channels, syntax.network.height) = (UInt32(architecture.embedding.channels), UInt32(architecture.embedding.height))
    syntax.network.width = UInt32(architecture.embedding.width)
    syntax.network.activation = architecture.activation == .gelu ? .gelu : .swish
    syntax.network.embeddingShift = UInt8(network.embeddingShift)
    let weights = ModelledBitWriter(), coder = GroupNumbers(architecture)
    // Writing throws nothing.
    for network in segment.networks {
      var coded = network.coded
      try! coder.visit(&coded, weights)
    }
    let formats = network.layers.map { layer in
      var format = FormatSyntax()
      (format.shift, format.multiplier, format.fraction) = (UInt8(layer.shift), UInt16(layer.multiplier), layer.fraction)
      (format.centreShift, format.amplitude, format.biasShift) = (UInt8(layer.centreShift), UInt32(layer.amplitude), UInt8(layer.biasShift))
      return format
    }
    syntax.weights = weights.finish()[...]
    for (stage, format) in zip(architecture.stages, formats.suffix(architecture.stages.count)) {
      var part = StageSyntax()
      (part.outputs, part.side, part.factor, part.format) = (UInt32(stage.outputs), stage.side, stage.factor, format)
      (part.isDepthwise, part.isLinear, part.sums) = (stage.isDepthwise, stage.isLinear, stage.sums)
      syntax.network.stages.append(part)
    }
    if let stem = architecture.stem {
      var part = StemSyntax()
      (part.levels, part.hidden, part.first, part.second) = (UInt8(stem.levels), UInt32(stem.hidden), formats[0], formats[1])
      syntax.network.stem = part
    }
    syntax.network.groupFrames = architecture.groupFrames.map { UInt8($0) }
    if !architecture.hasEmbeddings { return try syntax.serialised() }
    let rest = ModelledBitWriter()
    var embeddings = segment.embeddings
    try! SegmentNumbers.visitEmbeddings(&embeddings, architecture.embedding, rest)
    syntax.embeddings = rest.finish()[...]
    return try syntax.serialised()
  }
}

extension NeRVNetwork {
  /// What a file has of the weights and biases.
  fileprivate var coded: CodedNumbers {
    CodedNumbers(
      weights: layers.enumerated().map { i, layer in
        var initial = InitialWeights(stage: i)
        return layer.weights.map { Int16((Int($0) - initial.next(amplitude: layer.amplitude)) >> layer.centreShift) }
      }, biases: layers.map { layer in layer.biases.map { $0 >> Int16(layer.biasShift) } })
  }
}
