import LatentCoding
import Networks
import Tensors

/// What encoder and decoder do alike: from hyper-latents and the latents coded so far to the mean and scale of the
/// next ones, in integers, so that both predict the same.
///
/// One picture, one use: give it the hyper-latents, then run pass 0 to 3.
// bitstream-spec 8.4
final class HyperpriorPredictor {
  let model: HyperpriorModel
  let quality: Int
  let order: QuadTreeOrder
  let threads: Int
  private let scratch = FixedPointScratch()
  /// Hyper features, then the latents decoded so far (0 elsewhere): [h, w, width + latents].
  private let context: Tensor<Int16>
  private let trunk = Tensor<Int16>(uninitialized: Shape(0, 0, 0))
  private let prediction = Tensor<Int16>(uninitialized: Shape(0, 0, 0))

  /// `height` and `width` are those of the latent grid, ceil(pixels / 16).
  init(model: HyperpriorModel, quality: Int, height: Int, width: Int, threads: Int) {
    self.model = model
    self.quality = quality
    self.threads = threads
    order = QuadTreeOrder(height: height, width: width, channels: model.latents)
    context = Tensor(zeros: Shape(height, width, model.width + model.latents))
  }

  /// [ceil(h/4), ceil(w/4), hyper-latents].
  var hyperShape: Shape { Shape((order.height + 3) / 4, (order.width + 3) / 4, model.hyperLatents) }

  /// Scale index of each hyper-latent in coding order: row by row, channels fastest.
  var hyperIndices: [UInt8] {
    let row = model.hyperScale[quality]
    var indices: [UInt8] = []
    indices.reserveCapacity(hyperShape.count)
    for _ in 0..<hyperShape.positions { indices.append(contentsOf: row) }
    return indices
  }

  /// Takes the decoded hyper-latents, `hyperShape.count` of them, and computes the hyper features.
  func setHyperLatents(_ symbols: [Int16]) {
    let z = Tensor(hyperShape, symbols)
    scale(z, model.hyperStep, model.hyperStepShift)
    let a = Tensor<Int16>(uninitialized: Shape(0, 0, 0))
    let b = Tensor<Int16>(uninitialized: Shape(0, 0, 0))
    model.hyperIn.apply(z, into: a, epilogue: .leaky, threads: threads)
    model.hyperBlocks64.apply(a, scratch: scratch, threads: threads)
    model.hyperUp32.apply(a, into: b, epilogue: .leaky, threads: threads)
    b.shuffle(by: 2, into: a, threads: threads)
    model.hyperBlocks32.apply(a, scratch: scratch, threads: threads)
    model.hyperUp16.apply(a, into: b, threads: threads)
    b.shuffle(by: 2, into: a, threads: threads)

    // leaky(sat16(x + bias)), cropped from the hyper grid to the latent grid.
    let bias = Array(model.contextBias[quality])
    for row in 0..<order.height {
      for column in 0..<order.width {
        let from = a.pointer + (row * a.shape.width + column) * model.width
        let to = context.pointer + (row * order.width + column) * context.shape.channels
        for c in 0..<model.width {
          let sum = Int16(clamping: Int32(from[c]) &+ Int32(bias[c]))
          to[c] = max(sum, sum >> 2)
        }
      }
    }
  }

  private func scale(_ x: Tensor<Int16>, _ table: QualityTable<Int16>, _ shift: Int) {
    // The model's shifts were checked when it was loaded.
    let scale = try! FixedPointScale(multipliers: Array(table[quality]), shift: shift)
    scale.apply(x, into: x, threads: threads)
  }

  /// The mean (in latent format) and scale index of each latent of a part, [rows, columns, latents / 4], as the coder
  /// needs them, and where to put its symbols.
  struct Prediction {
    let part: QuadTreeOrder.Part
    let means: [Int16]
    let indices: [UInt8]
  }

  /// Runs a pass: `resolve` gets each part's prediction and returns its symbols in coding order.
  func run(pass k: Int, resolve: (Prediction) throws -> [Int16]) rethrows {
    let pass = model.passes[k]
    pass.mix.apply(context, into: trunk, epilogue: .leaky, threads: threads)
    pass.blocks.apply(trunk, scratch: scratch, threads: threads)
    for parity in 0..<QuadTreeOrder.parities {
      guard let part = order.part(pass: k, parity: parity) else { continue }
      let size = model.latents / 4
      prediction.reshape(to: Shape(part.rows, part.columns, 2 * size))
      pass.heads[part.group].apply(
        trunk, at: .grid(row: part.row, column: part.column, step: 2), into: prediction, at: .all, threads: threads)
      let predicted = resolved(part)
      let symbols = try resolve(predicted)
      reconstruct(symbols, predicted)
    }
  }

  private func resolved(_ part: QuadTreeOrder.Part) -> Prediction {
    let size = model.latents / 4
    let count = part.rows * part.columns * size
    let shift = model.latentScale[quality, group: part.group]
    var means = [Int16](repeating: 0, count: count)
    var indices = [UInt8](repeating: 0, count: count)
    means.withUnsafeMutableBufferPointer { means in
      indices.withUnsafeMutableBufferPointer { indices in
        shift.withUnsafeBufferPointer { shift in
          for position in 0..<part.rows * part.columns {
            let from = prediction.pointer + position * 2 * size
            let to = position * size
            for c in 0..<size {
              means[to + c] = from[c]
              let index = (Int32(from[size + c]) &+ Int32(shift[c]) &+ 32) >> 6
              indices[to + c] = UInt8(truncatingIfNeeded: min(max(index, 0), 63))
            }
          }
        }
      }
    }
    return Prediction(part: part, means: means, indices: indices)
  }

  /// Latent = sat16(mean + ((symbol * step + 2^(s-1)) >> s)), written where later passes read it.
  private func reconstruct(_ symbols: [Int16], _ prediction: Prediction) {
    let part = prediction.part
    let size = model.latents / 4
    let step = model.latentStep[quality, group: part.group]
    let shift = Int32(model.latentStepShift)
    let half = Int32(1) << (shift - 1)
    precondition(symbols.count == prediction.means.count)
    for row in 0..<part.rows {
      for column in 0..<part.columns {
        let from = (row * part.columns + column) * size
        let position = (part.row + 2 * row) * order.width + part.column + 2 * column
        let to = context.pointer + position * context.shape.channels + model.width + part.group * size
        for c in 0..<size {
          // |symbol * step| <= 2^30 and half <= 2^29, so the sum fits.
          let offset = (Int32(symbols[from + c]) &* Int32(step[c]) &+ half) >> shift
          to[c] = Int16(clamping: Int32(prediction.means[from + c]) &+ offset)
        }
      }
    }
  }

  /// The latents, complete after pass 3: [h, w, latents].
  func latents() -> Tensor<Int16> {
    let y = Tensor<Int16>(uninitialized: Shape(order.height, order.width, model.latents))
    for position in 0..<y.shape.positions {
      let from = context.pointer + position * context.shape.channels + model.width
      (y.pointer + position * model.latents).update(from: from, count: model.latents)
    }
    return y
  }

  /// Latents [h, w, latents], overwritten, to RGB bytes of a picture of `width` x `height`.
  func synthesise(_ y: Tensor<Int16>, width: Int, height: Int, into rgb: UnsafeMutableBufferPointer<UInt8>) {
    let a = Tensor<Int16>(uninitialized: Shape(0, 0, 0))
    let b = Tensor<Int16>(uninitialized: Shape(0, 0, 0))
    model.synthesis16.apply(y, scratch: scratch, threads: threads)
    model.up.apply(y, into: b, threads: threads)
    b.shuffle(by: 2, into: a, threads: threads)
    scale(a, model.synthesisGain, model.synthesisGainShift)
    model.synthesis8.apply(a, scratch: scratch, threads: threads)
    model.head.apply(a, into: b, threads: threads)
    b.cropped(height: (height + 7) / 8, width: (width + 7) / 8)
      .shuffle8(
        intoBytes: rgb, stride: 3 * width, height: height, width: width, channels: 3, shift: model.pixelShift,
        threads: threads)
  }
}

extension Tensor {
  /// The top left [height, width, C]; `self` where nothing is to be cut.
  fileprivate func cropped(height: Int, width: Int) -> Tensor<Element> {
    if height == shape.height && width == shape.width { return self }
    let out = Tensor(uninitialized: Shape(height, width, shape.channels))
    for row in 0..<height {
      (out.pointer + row * width * shape.channels)
        .update(from: pointer + row * shape.width * shape.channels, count: width * shape.channels)
    }
    return out
  }
}
