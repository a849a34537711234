import Tensors

/// Layers over the frames of a sequence that come in pieces: convolutions that look some frames back and one ahead, and attention over a
/// window of the past. A frame's values are bit by bit the same however the sequence is cut.

extension WeightsFile {
  /// [out, in] in bytes of 128 + q with a scale for each output, or in float16.
  package func quantisedPointwise(_ name: String, in inChannels: Int, out outChannels: Int, bias: [Float]? = nil) throws -> FloatPointwise {
    let weight = "\(name).weight"
    var values: [Float]
    if contains("\(name).scale") {
      let scales = try float("\(name).scale", outChannels), bytes = try uint8(weight, outChannels, inChannels)
      values = [Float](unsafeUninitializedCapacity: bytes.count) { out, filled in
        bytes.withUnsafeBufferPointer { bytes in
          for o in 0..<outChannels {
            let scale = scales[o]
            for i in o * inChannels..<(o + 1) * inChannels { out[i] = Float(Int(bytes[i]) &- 128) * scale }
          }
        }
        filled = bytes.count
      }
    } else {
      values = try float(weight, outChannels, inChannels)
    }
    return try FloatPointwise(
      inChannels: inChannels, outChannels: outChannels, weights: values, bias: bias ?? float("\(name).bias", outChannels), name: name)
  }

  package func layerNorm(_ name: String, channels: Int) throws -> FloatLayerNorm {
    try FloatLayerNorm(gain: float("\(name).weight", channels), bias: float("\(name).bias", channels), name: name)
  }
}

/// ConvNeXt's block over frames: a depthwise convolution, layer normalisation and a perceptron of one hidden layer, added to its input.
package struct FrameBlock: Sendable {
  /// Frames before and behind that a frame's convolution looks at.
  package static let past = 5
  package static let future = 1

  private let convolution: FloatFrameConvolution
  private let norm: FloatLayerNorm
  private let up, down: FloatPointwise

  package init(_ weights: WeightsFile, _ name: String, channels: Int, hidden: Int) throws {
    convolution = try FloatFrameConvolution(
      weights: weights.float("\(name).dw.weight", channels, Self.past + 1 + Self.future), bias: weights.float("\(name).dw.bias", channels),
      name: name)
    norm = try weights.layerNorm("\(name).norm", channels: channels)
    up = try weights.quantisedPointwise("\(name).up", in: channels, out: hidden)
    down = try weights.quantisedPointwise("\(name).down", in: hidden, out: channels)
  }

  /// `x`, [1, n, C], are the next n frames; it becomes those that are known with them, which lag by `future` until `isLast`.
  package func apply(_ x: Tensor<Float>, isLast: Bool, _ history: FrameHistory, _ scratch: FrameScratch) {
    let channels = convolution.channels
    history.append(x, zeros: isLast ? Self.future : 0)
    let ready = max(0, history.rows - Self.past - Self.future)
    guard ready > 0 else { return x.reshape(to: Shape(1, 0, channels)) }
    convolution.apply(history.pointer, rows: ready, into: scratch.convolved)
    norm.apply(scratch.convolved, into: scratch.convolved)
    up.apply(scratch.convolved, into: scratch.hidden, threads: 1)
    scratch.hidden.applyGELU()
    down.apply(scratch.hidden, into: x, threads: 1)
    x.add(history.pointer + Self.past * channels)
    history.removeFirst(ready)
  }
}

/// Rows of a layer's input that later frames need.
package final class FrameHistory {
  private let channels: Int
  private let kept: Tensor<Float>
  private var capacity: Int
  private(set) var rows: Int
  var pointer: UnsafePointer<Float> { UnsafePointer(kept.pointer) }

  /// Begins with `zeros` rows of them.
  package init(channels: Int, zeros: Int) {
    self.channels = channels
    capacity = zeros + 80
    kept = Tensor(zeros: Shape(1, zeros + 80, channels))
    rows = zeros
  }

  func append(_ x: Tensor<Float>, zeros: Int = 0) {
    append(x.pointer, count: x.shape.positions, stride: channels)
    if zeros > 0 {
      grow(to: rows + zeros)
      (kept.pointer + rows * channels).update(repeating: 0, count: zeros * channels)
      rows += zeros
    }
  }

  /// `count` rows, `stride` values apart.
  func append(_ x: UnsafePointer<Float>, count: Int, stride: Int) {
    grow(to: rows + count)
    for row in 0..<count { (kept.pointer + (rows + row) * channels).update(from: x + row * stride, count: channels) }
    rows += count
  }

  func removeFirst(_ count: Int) {
    rows -= count
    // Towards lower addresses, as update(from:) can.
    kept.pointer.update(from: kept.pointer + count * channels, count: rows * channels)
  }

  private func grow(to wanted: Int) {
    guard wanted > capacity else { return }
    let old = Array(UnsafeBufferPointer(start: kept.pointer, count: rows * channels))
    capacity = wanted
    kept.reshape(to: Shape(1, wanted, channels))
    old.withUnsafeBufferPointer { kept.pointer.update(from: $0.baseAddress!, count: $0.count) }
  }
}

/// Memory that the layers of one sequence share.
package final class FrameScratch {
  let convolved = Tensor<Float>(uninitialized: Shape(0, 0, 0))
  let hidden = Tensor<Float>(uninitialized: Shape(0, 0, 0))

  package init() {}
}
