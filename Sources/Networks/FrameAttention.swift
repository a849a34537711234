import Glibc
import Tensors

/// Attention of each frame to itself and the frames before it, within a window, with a learned bias by distance; added to its input.
package struct FrameAttention: Sendable {
  private let norm: FloatLayerNorm
  private let projection, output: FloatPointwise
  private let channels, heads, window: Int
  /// [head][distance]
  private let position: [Float]

  /// `channels` are a multiple of 16 for each head; a frame attends to at most `window` of them, itself included.
  package init(_ weights: WeightsFile, _ name: String, channels: Int, heads: Int, window: Int) throws {
    precondition(channels % (16 * heads) == 0, "channels of a head")
    (self.channels, self.heads, self.window) = (channels, heads, window)
    norm = try weights.layerNorm("\(name).norm", channels: channels)
    projection = try weights.quantisedPointwise("\(name).qkv", in: channels, out: 3 * channels)
    output = try weights.quantisedPointwise("\(name).out", in: channels, out: channels)
    position = try weights.float("\(name).position", heads, window)
  }

  /// Keys and values of the frames so far that later ones attend to.
  package final class History {
    fileprivate let keys, values: FrameHistory

    package init(channels: Int) {
      keys = FrameHistory(channels: channels, zeros: 0)
      values = FrameHistory(channels: channels, zeros: 0)
    }
  }

  /// `x`, [1, n, C], are the next n frames; they are changed in place.
  package func apply(_ x: Tensor<Float>, _ history: History, _ scratch: FrameScratch) {
    let count = x.shape.positions
    guard count > 0 else { return }
    let before = history.keys.rows
    norm.apply(x, into: scratch.convolved)
    projection.apply(scratch.convolved, into: scratch.hidden, threads: 1)
    let queries = UnsafePointer(scratch.hidden.pointer)
    history.keys.append(queries + channels, count: count, stride: 3 * channels)
    history.values.append(queries + 2 * channels, count: count, stride: 3 * channels)
    let keys = history.keys.pointer, values = history.values.pointer, size = channels / heads
    let scale = 1 / Float(size).squareRoot()
    withUnsafeTemporaryAllocation(of: Float.self, capacity: window) { scores in
      for t in 0..<count {
        let last = before + t, first = max(0, last + 1 - window)
        for head in 0..<heads {
          let query = queries + t * 3 * channels + head * size
          var highest = -Float.infinity
          for s in first...last {
            let key = keys + s * channels + head * size
            var sum = SIMD16<Float>.zero
            for c in stride(from: 0, to: size, by: 16) { sum += query.sixteen(c) * key.sixteen(c) }
            let score = sum.sum() * scale + position[head * window + last - s]
            scores[s - first] = score
            highest = max(highest, score)
          }
          var total: Float = 0
          for s in 0...last - first {
            scores[s] = expf(scores[s] - highest)
            total += scores[s]
          }
          let to = scratch.convolved.pointer + t * channels + head * size
          for c in stride(from: 0, to: size, by: 16) {
            var sum = SIMD16<Float>.zero
            for s in first...last { sum += (values + s * channels + head * size).sixteen(c) * scores[s - first] }
            to.store(sum / total, at: c)
          }
        }
      }
    }
    output.apply(scratch.convolved, into: scratch.hidden, threads: 1)
    x.add(UnsafePointer(scratch.hidden.pointer))
    let surplus = history.keys.rows - (window - 1)
    guard surplus > 0 else { return }
    history.keys.removeFirst(surplus)
    history.values.removeFirst(surplus)
  }
}
