import CKernels

/// Layers that work on each frame of a sequence alone. What a frame becomes never depends on which others it is computed with.

/// Layer normalisation over a position's channels, with gain and bias by channel.
package struct FloatLayerNorm: Sendable {
  package let channels: Int
  private let gain, bias: Constants<Float>

  private static let epsilon: Float = 1e-6

  /// `gain` and `bias` are [channel], a multiple of 16 of them. Throws `TensorError` (channelCount, length).
  package init(gain: [Float], bias: [Float], name: String = "layer norm") throws(TensorError) {
    guard gain.count > 0, gain.count % 16 == 0, gain.count <= Shape.maximumChannels else {
      throw TensorError(.channelCount, in: name, "\(gain.count) channels are no multiple of 16")
    }
    guard bias.count == gain.count else { throw TensorError(.length, in: name, "\(bias.count) biases for \(gain.count) channels") }
    channels = gain.count
    self.gain = Constants(gain, paddedTo: channels, with: 0)
    self.bias = Constants(bias, paddedTo: channels, with: 0)
  }

  /// `x` is [H, W, C]; `y` becomes the same shape and may be `x`.
  package func apply(_ x: Tensor<Float>, into y: Tensor<Float>) {
    precondition(x.shape.channels == channels, "\(x.shape) into \(channels) channels")
    if y !== x { y.reshape(to: x.shape) }
    for p in 0..<x.shape.positions {
      let from = x.pointer + p * channels, to = y.pointer + p * channels
      var sum = SIMD16<Float>.zero
      for c in stride(from: 0, to: channels, by: 16) { sum += from.sixteen(c) }
      let mean = SIMD16<Float>(repeating: sum.sum() / Float(channels))
      var squares = SIMD16<Float>.zero
      for c in stride(from: 0, to: channels, by: 16) {
        let d = from.sixteen(c) - mean
        squares += d * d
      }
      let scale = SIMD16<Float>(repeating: 1 / (squares.sum() / Float(channels) + Self.epsilon).squareRoot())
      for c in stride(from: 0, to: channels, by: 16) {
        to.store(((from.sixteen(c) - mean) * scale) * gain.pointer.sixteen(c) + bias.pointer.sixteen(c), at: c)
      }
    }
  }
}

/// A convolution of each channel alone over rows of a sequence.
package struct FloatFrameConvolution: Sendable {
  package let channels: Int
  package let taps: Int
  /// [tap][channel]
  private let weights: Constants<Float>
  private let bias: Constants<Float>

  /// `weights` are [channel][tap], `bias` [channel], a multiple of 16 channels. Throws `TensorError` (channelCount, length).
  package init(weights: [Float], bias: [Float], name: String = "frame convolution") throws(TensorError) {
    let channels = bias.count
    guard channels > 0, channels % 16 == 0, channels <= Shape.maximumChannels else {
      throw TensorError(.channelCount, in: name, "\(channels) channels are no multiple of 16")
    }
    guard weights.count > 0, weights.count % channels == 0 else {
      throw TensorError(.length, in: name, "\(weights.count) weights for \(channels) channels")
    }
    let taps = weights.count / channels
    (self.channels, self.taps) = (channels, taps)
    self.weights = Constants(count: weights.count) { pointer in
      for c in 0..<channels { for t in 0..<taps { pointer[t * channels + c] = weights[c * taps + t] } }
    }
    self.bias = Constants(bias, paddedTo: channels, with: 0)
  }

  /// Row i of `y`, which becomes [1, rows, C], of the rows i ..< i + taps of `x`, which is at least [rows + taps - 1][C].
  package func apply(_ x: UnsafePointer<Float>, rows: Int, into y: Tensor<Float>) {
    y.reshape(to: Shape(1, rows, channels))
    for row in 0..<rows {
      let from = x + row * channels, to = y.pointer + row * channels
      for c in stride(from: 0, to: channels, by: 16) {
        var sum = bias.pointer.sixteen(c)
        for t in 0..<taps { sum += UnsafePointer(weights.pointer + t * channels).sixteen(c) * (from + t * channels).sixteen(c) }
        to.store(sum, at: c)
      }
    }
  }
}

extension Tensor where Element == Float {
  /// The Gaussian error linear unit in tanh's form, in place.
  package func applyGELU(kernels: Kernels = .current) { kernels.table.pointee.gelu_f32(pointer, pointer, shape.count) }

  /// `values[i] = exp(min(values[i], highest))`, in place; `highest` is at most 80.
  package static func exponentiate(_ values: UnsafeMutablePointer<Float>, _ count: Int, highest: Float, kernels: Kernels = .current) {
    kernels.table.pointee.exp_f32(values, highest, values, count)
  }

  /// `self += other`, elementwise.
  package func add(_ other: UnsafePointer<Float>) {
    precondition(shape.count % 16 == 0, "\(shape)")
    for i in stride(from: 0, to: shape.count, by: 16) { pointer.store(pointer.sixteen(i) + other.sixteen(i), at: i) }
  }
}

extension UnsafePointer<Float> {
  /// Sixteen values from `offset` on; any alignment.
  @inline(__always)
  package func sixteen(_ offset: Int) -> SIMD16<Float> {
    UnsafeRawPointer(self + offset).loadUnaligned(as: SIMD16<Float>.self)
  }
}

extension UnsafeMutablePointer<Float> {
  @inline(__always)
  package func sixteen(_ offset: Int) -> SIMD16<Float> {
    UnsafeRawPointer(self + offset).loadUnaligned(as: SIMD16<Float>.self)
  }

  @inline(__always)
  package func store(_ values: SIMD16<Float>, at offset: Int) {
    UnsafeMutableRawPointer(self + offset).storeBytes(of: values, as: SIMD16<Float>.self)
  }
}
