import Media
import Networks
import Tensors

/// The encoder's networks, in float. Free to change: no file depends on them.
struct AnalysisModel: Sendable {
  let stem: FloatPointwise
  let analysis8: FloatBlocks
  let down: FloatPointwise
  let analysis16: FloatBlocks

  let hyperIn: FloatPointwise
  let hyperBlocks16: FloatBlocks
  let hyperDown32: FloatPointwise
  let hyperBlocks32: FloatBlocks
  let hyperDown64: FloatPointwise

  /// Quantiser bins per unit of latent and hyper-latent, for each quality.
  let latentGain: QualityTable<Float>
  let hyperGain: QualityTable<Float>
  let latentBits: BitTable
  /// Lambda of the training loss, `lambda * MSE + bits per pixel` with MSE on 0...255, for each quality.
  let lambda: [Float]
  /// [latents]: squared error, summed over all samples of the picture, per squared unit of error in one latent.
  let sensitivity: [Float]

  /// Throws `WeightsError` or `TensorError` where the file is no analysis model for decoders like `decoder`.
  init(_ file: WeightsFile, for decoder: HyperpriorModel) throws {
    let latents = decoder.latents
    stem = try file.floatPointwise("stem", in: 192, out: nil)
    analysis8 = try file.floatBlocks("analysis8", channels: stem.outChannels)
    down = try file.floatPointwise("down", in: 4 * stem.outChannels, out: latents)
    analysis16 = try file.floatBlocks("analysis16", channels: latents)
    hyperIn = try file.floatPointwise("hyper.in", in: latents, out: nil)
    let width = hyperIn.outChannels
    hyperBlocks16 = try file.floatBlocks("hyper.blocks16", channels: width)
    hyperDown32 = try file.floatPointwise("hyper.down32", in: 4 * width, out: width)
    hyperBlocks32 = try file.floatBlocks("hyper.blocks32", channels: width)
    hyperDown64 = try file.floatPointwise("hyper.down64", in: 4 * width, out: decoder.hyperLatents)
    latentGain = try QualityTable(file.float("latent.gain", HyperpriorModel.qualities, latents))
    hyperGain = try QualityTable(file.float("hyper.gain", HyperpriorModel.qualities, decoder.hyperLatents))
    latentBits = BitTable(decoder.latentTables)
    lambda = try file.float("lambda", HyperpriorModel.qualities)
    sensitivity = try file.float("latent.sensitivity", latents)
  }

  /// What analysis says of a picture, before any quality is chosen.
  struct Latents {
    /// [ceil(H/16), ceil(W/16), latents]
    let latents: Tensor<Float>
    /// [ceil(H/64), ceil(W/64), hyper-latents]
    let hyperLatents: Tensor<Float>
  }

  func analyse(_ image: Image, threads: Int) throws -> Latents {
    let scratch = FloatScratch()
    var x = Tensor<Float>(uninitialized: Shape(0, 0, 0))
    let y = Tensor<Float>(uninitialized: Shape(0, 0, 0))
    stem.apply(Self.blocks(of: image, threads: threads), into: x, threads: threads)
    try Task.checkCancellation()
    analysis8.apply(x, scratch: scratch, threads: threads)
    try Task.checkCancellation()
    x.unshuffle(by: 2, into: y, threads: threads)
    down.apply(y, into: x, threads: threads)
    analysis16.apply(x, scratch: scratch, threads: threads)
    let latents = x
    try Task.checkCancellation()

    x = Tensor(uninitialized: Shape(0, 0, 0))
    hyperIn.apply(latents.zeroPadded(toMultipleOf: 4), into: x, epilogue: .leaky, threads: threads)
    hyperBlocks16.apply(x, scratch: scratch, threads: threads)
    x.unshuffle(by: 2, into: y, threads: threads)
    hyperDown32.apply(y, into: x, epilogue: .leaky, threads: threads)
    hyperBlocks32.apply(x, scratch: scratch, threads: threads)
    x.unshuffle(by: 2, into: y, threads: threads)
    hyperDown64.apply(y, into: x, threads: threads)
    return Latents(latents: latents, hyperLatents: x)
  }

  /// RGB samples 0...255 of 8x8 blocks, [H16/8, W16/8, 192] in the channel order of spec 6.4, where H16 and W16 are the
  /// sides rounded up to multiples of 16; the picture's last row and column are repeated into the padding. Grey gives
  /// three equal samples.
  private static func blocks(of image: Image, threads: Int) -> Tensor<Float> {
    let rows = (image.height + 15) / 16 * 2
    let columns = (image.width + 15) / 16 * 2
    let out = Tensor<Float>(uninitialized: Shape(rows, columns, 192))
    let channels = image.channels
    image.withUnsafeSamples { samples in
      nonisolated(unsafe) let samples = samples
      parallelFor(rows, threads: threads) { row in
        for dy in 0..<8 {
          let line = samples.baseAddress! + min(row * 8 + dy, image.height - 1) * image.width * channels
          for column in 0..<columns {
            let to = out.pointer + (row * columns + column) * 192 + dy * 24
            for dx in 0..<8 {
              let from = line + min(column * 8 + dx, image.width - 1) * channels
              to[3 * dx] = Float(from[0])
              to[3 * dx + 1] = Float(from[channels == 3 ? 1 : 0])
              to[3 * dx + 2] = Float(from[channels == 3 ? 2 : 0])
            }
          }
        }
      }
    }
    return out
  }
}

extension Tensor where Element == Float {
  /// Zeros below and to the right, so that both sides are multiples of `n`.
  fileprivate func zeroPadded(toMultipleOf n: Int) -> Tensor<Float> {
    let height = (shape.height + n - 1) / n * n
    let width = (shape.width + n - 1) / n * n
    if height == shape.height && width == shape.width { return self }
    let out = Tensor(zeros: Shape(height, width, shape.channels))
    for row in 0..<shape.height {
      let count = shape.width * shape.channels
      (out.pointer + row * width * shape.channels).update(from: pointer + row * count, count: count)
    }
    return out
  }
}
