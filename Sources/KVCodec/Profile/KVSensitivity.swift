import Bitstream
public import Coding
public import Media

/// How much noise in a cache costs the model that made it, as `Training/kv/sensitivity.py` measures it. Tensors of float32:
///
///     query_moment   [layer, head, pair]: what noise of unit power in a pair of a key's channels before RoPE adds to scores' variance
///     output_gram    [layer, head, channel, channel]: the metric of noise in values
///     kl_per_noise   [layer, 2 or more]: KL in nats by noise power, of keys and of values, under both metrics
public struct KVSensitivity: Sendable {
  private let layers: Int
  private let heads: Int
  private let channels: Int
  private let moments: [Float]
  private let grams: [Float]
  private let costs: [Float]
  private let costColumns: Int

  /// Throws `CodecError` (unsupported) where a tensor is missing or does not fit.
  public init(_ tensors: [KVNamedTensor]) throws(CodecError) {
    func read(_ name: String, _ axes: Int) throws(CodecError) -> (shape: [Int], numbers: [Float]) {
      guard let tensor = tensors.first(where: { $0.name == name }) else {
        throw CodecError(.unsupported, "the sensitivity lacks the tensor \(name)")
      }
      let bytes = tensor.bytes
      guard tensor.dtype == "F32", tensor.shape.count == axes, tensor.shape.allSatisfy({ $0 > 0 && $0 <= 1 << 20 }),
        tensor.shape.reduce(1, { $0.multipliedReportingOverflow(by: $1).partialValue }) == bytes.count / 4
      else { throw CodecError(.unsupported, "the sensitivity's \(name) is no tensor of float32 with \(axes) axes") }
      let numbers = stride(from: 0, to: bytes.count, by: 4).map { i in
        Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[i + $1]) << UInt32(8 * $1) })
      }
      guard numbers.allSatisfy(\.isFinite) else { throw CodecError(.unsupported, "the sensitivity's \(name) has numbers that are not finite") }
      return (tensor.shape, numbers)
    }
    let moment = try read("query_moment", 3), gram = try read("output_gram", 4), cost = try read("kl_per_noise", 2)
    (layers, heads, channels) = (gram.shape[0], gram.shape[1], gram.shape[2])
    guard gram.shape[3] == channels, moment.shape[0] == layers, moment.shape[1] == heads, cost.shape[0] == layers, cost.shape[1] >= 2 else {
      throw CodecError(.unsupported, "the sensitivity's tensors do not fit together")
    }
    (moments, grams, costs, costColumns) = (moment.numbers, gram.numbers, cost.numbers, cost.shape[1])
  }

  /// Throws `CodecError` (unsupported) unless it is of a model whose layers are all of such a shape.
  func check(_ shapes: [KVLayerGroup]) throws {
    let pairs = moments.count / (layers * heads)
    for shape in shapes {
      guard shapes.count == layers, Int(shape.keyHeads) == heads, Int(shape.keyChannels) == 2 * pairs, shape.valueHeads > 0,
        Int(shape.valueChannels) == channels, KVBlockPlan.hasWholeHeads(shape)
      else {
        throw CodecError(
          .unsupported, "the sensitivity is of \(layers) layers of \(heads) heads of \(2 * pairs) and \(channels) channels, and the caches are not")
      }
    }
  }

  /// Noise of unit power in any direction of x times this costs as much; [channel, channel] of the block of `parts`.
  func weights(layer: Int, _ parts: [KVBlockPlan.Part], rope: KVConfiguration.Rope) -> KVDoubles {
    let width = parts.reduce(0) { $0 + $1.channels.count }
    var weights = KVDoubles(rows: width, columns: width)
    let pairs = moments.count / (layers * heads)
    for part in parts {
      let cost = max(Double(costs[layer * costColumns + (part.isKeys ? 0 : 1)]), 1e-9).squareRoot()
      let index = layer * heads + part.head
      if part.isKeys {
        for c in part.channels {
          let pair = rope == .halves ? c % pairs : c / 2
          let moment = max(Double(moments[index * pairs + pair]), 1e-12)
          weights[part.place + c, part.place + c] = cost * moment.squareRoot()
        }
      } else {
        var gram = KVDoubles(rows: channels, columns: channels)
        for i in 0..<channels {
          for j in 0..<channels {
            let first = index * channels * channels
            gram[i, j] = Double(grams[first + i * channels + j] + grams[first + j * channels + i]) / 2
          }
        }
        // The symmetric root, with no direction for free.
        let (values, vectors) = gram.eigen()
        let least = max(values[0], 1e-12) * 1e-4
        var scaled = vectors
        scaled.withRows { i, row in for j in row.indices { row[j] *= cost * max(values[i], least).squareRoot() } }
        let root = vectors.transposed * scaled
        for i in 0..<channels { for j in 0..<channels { weights[part.place + i, part.place + j] = root[i, j] } }
      }
    }
    return weights
  }
}
