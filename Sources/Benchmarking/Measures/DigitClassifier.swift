import CModels

/// A small convolutional network that reads MNIST's digits, in integers: the same answers on every machine.
///
/// `Training/mpq` trained it on MNIST's training set, and its integer.py is the same arithmetic in numpy. Three layers of
/// 3x3 windows over [28, 28, 1], [14, 14, 16] and [7, 7, 32], padded with zeros, then a dense layer over [7, 7, 32]. Pixels
/// and activations are 0...255, weights -127...127.
package struct DigitClassifier: Sendable {
  /// Width and height of a digit, in pixels.
  package static let side = 28

  /// One layer; `columns` are its output channels.
  private struct Layer: Sendable {
    let inputs, outputs, stride: Int
    /// `[ky, kx, in, out]`, whole numbers.
    let weights: [Float]
    /// `[out]`
    let biases: [Int]
    /// `[out]`, of convolutions over 2^24.
    let multipliers: [Int]
  }

  private let layers: [Layer]
  private let last: Layer

  /// The network that ships.
  package static let shipped = DigitClassifier()

  private init() {
    let weights = nc_digits_1()
    var reader = Reader(rest: UnsafeRawBufferPointer(start: weights.bytes, count: weights.count))
    layers = [
      reader.layer(inputs: 1, outputs: 16, window: 9, stride: 2),
      reader.layer(inputs: 16, outputs: 32, window: 9, stride: 2),
      reader.layer(inputs: 32, outputs: 32, window: 9, stride: 1),
    ]
    last = reader.layer(inputs: 7 * 7 * 32, outputs: 10, window: 1, stride: 1)
    precondition(reader.rest.isEmpty, "the embedded weights are of another network")
  }

  /// Reads the weights as integer.py writes them.
  private struct Reader {
    var rest: UnsafeRawBufferPointer

    mutating func layer(inputs: Int, outputs: Int, window: Int, stride: Int) -> Layer {
      let weights = take(window * inputs * outputs).map { Float(Int8(bitPattern: $0)) }
      let biases = integers(outputs)
      return Layer(
        inputs: inputs, outputs: outputs, stride: stride, weights: weights, biases: biases, multipliers: integers(outputs))
    }

    private mutating func integers(_ count: Int) -> [Int] {
      let bytes = take(4 * count)
      return (0..<count).map { Int(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self))) }
    }

    private mutating func take(_ count: Int) -> UnsafeRawBufferPointer {
      let taken = UnsafeRawBufferPointer(rebasing: rest[..<count])
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
      return taken
    }
  }

  /// The digit, 0...9, in pixels `[28, 28]`, 0 background and 255 ink; of equal scores the first.
  package func digit(in pixels: [UInt8]) -> Int {
    let scores = scores(of: pixels)
    return scores.indices.reduce(0) { scores[$1] > scores[$0] ? $1 : $0 }
  }

  /// One score for each digit, larger for the likelier.
  package func scores(of pixels: [UInt8]) -> [Int] {
    precondition(pixels.count == Self.side * Self.side, "a digit has 28x28 pixels")
    var activations = pixels.map(Float.init)
    var side = Self.side
    for layer in layers {
      activations = Self.convolve(activations, side: side, layer)
      side = (side + layer.stride - 1) / layer.stride
    }
    var scores = [Int](repeating: 0, count: last.outputs)
    for (i, activation) in activations.enumerated() where activation != 0 {
      for c in 0..<last.outputs { scores[c] += Int(activation) * Int(last.weights[i * last.outputs + c]) }
    }
    for c in 0..<last.outputs { scores[c] = scores[c] * last.multipliers[c] + last.biases[c] }
    return scores
  }

  /// `[side, side, in]` to `[side', side', out]`. Sums are floats for speed, and yet exact in any order: 288 products of
  /// 255 * 127 at most stay below 2^24.
  private static func convolve(_ input: [Float], side: Int, _ layer: Layer) -> [Float] {
    let outSide = (side + layer.stride - 1) / layer.stride
    let (inputs, outputs) = (layer.inputs, layer.outputs)
    var result = [Float](repeating: 0, count: outSide * outSide * outputs)
    var sums = [Float](repeating: 0, count: outputs)
    input.withUnsafeBufferPointer { input in
      layer.weights.withUnsafeBufferPointer { weights in
        sums.withUnsafeMutableBufferPointer { sums in
          for y in 0..<outSide {
            for x in 0..<outSide {
              sums.update(repeating: 0)
              for tap in 0..<9 {
                let (fromY, fromX) = (y * layer.stride + tap / 3 - 1, x * layer.stride + tap % 3 - 1)
                guard (0..<side).contains(fromY), (0..<side).contains(fromX) else { continue }
                for c in 0..<inputs {
                  let value = input[(fromY * side + fromX) * inputs + c]
                  // Background and what the layer before cut off: more than half of all.
                  if value == 0 { continue }
                  let row = (tap * inputs + c) * outputs
                  for o in 0..<outputs { sums[o] += value * weights[row + o] }
                }
              }
              for o in 0..<outputs {
                let scaled = ((Int(sums[o]) + layer.biases[o]) * layer.multipliers[o] + 1 << 23) >> 24
                result[(y * outSide + x) * outputs + o] = Float(min(max(scaled, 0), 255))
              }
            }
          }
        }
      }
    }
    return result
  }
}
