import Autograd
import Glibc
import Tensors

/// W x + b, weights [b.count, x.count].
func plainLinear(_ x: [Double], _ weights: [Double], _ bias: [Double]) -> [Double] {
  var y = bias
  x.withUnsafeBufferPointer { x in
    weights.withUnsafeBufferPointer { weights in
      for o in y.indices {
        var sum = y[o]
        for i in x.indices { sum += weights[o * x.count + i] * x[i] }
        y[o] = sum
      }
    }
  }
  return y
}

/// What `ContextRate` documents, written down plainly in Double.
struct PlainContext {
  struct Plane {
    let height: Int
    let width: Int
    var values: [Double]

    /// Zero outside.
    func at(_ y: Int, _ x: Int) -> Double {
      y >= 0 && y < height && x >= 0 && x < width ? values[y * width + x] : 0
    }
    func clamped(_ y: Int, _ x: Int) -> Double {
      values[min(max(y, 0), height - 1) * width + min(max(x, 0), width - 1)]
    }
  }
  struct Layer {
    /// Planes of the stack as indices into `planes`.
    let stack: [Int]
    let isMirrored: Bool
    /// Indices into `parameters`.
    let weights: Int
    let bias: Int
  }

  var planes: [Plane]
  /// Hidden weights and biases in turn, output, stabiliser, bias, then the layers'.
  var parameters: [[Double]]
  /// The plane of values of each grid, and its layer.
  let grids: [(plane: Int, layer: Layer?)]
  let neighbours: [(dx: Int, dy: Int)]
  let features: Int
  let hidden: Int

  func bits() -> Double { grids.indices.reduce(0) { $0 + bits(of: $1) } }

  func bits(of grid: Int) -> Double {
    let (number, layer) = grids[grid]
    let plane = planes[number]
    var sum = 0.0
    for y in 0..<plane.height {
      for x in 0..<plane.width {
        var input = neighbours.map { plane.at(y + $0.dy, x + $0.dx) }
        input += layer.map { featuresOf($0, y, x) } ?? [Double](repeating: 0, count: features)
        var h = input
        for l in 0..<hidden {
          let sums = plainLinear(h, parameters[2 * l], parameters[2 * l + 1])
          h = zip(sums, h).map { max(0, $0 + $1) }
        }
        let residual = plainLinear(input, parameters[2 * hidden + 1], parameters[2 * hidden + 2])
        let out = zip(plainLinear(h, parameters[2 * hidden], [0, 0]), residual).map { $0 + $1 }
        sum += Self.cost(plane.values[y * plane.width + x], mean: out[0], logScale: out[1] - 4)
      }
    }
    return sum
  }

  private func featuresOf(_ layer: Layer, _ y: Int, _ x: Int) -> [Double] {
    var r: [Double] = []
    for (i, number) in layer.stack.enumerated() {
      let plane = planes[number]
      r.append(plane.clamped(y / 2, x / 2))
      guard i == 0 && layer.isMirrored else { continue }
      let sy = y % 2 == 1 ? 1 : -1, sx = x % 2 == 1 ? 1 : -1
      r += [plane.clamped(y / 2, x / 2 + sx), plane.clamped(y / 2 + sy, x / 2), plane.clamped(y / 2 + sy, x / 2 + sx)]
    }
    return plainLinear(r, parameters[layer.weights], parameters[layer.bias])
  }

  /// Bits of the bin [v - 1/2, v + 1/2] of a Laplace distribution.
  static func cost(_ v: Double, mean: Double, logScale: Double) -> Double {
    let b = exp(min(max(logScale, -3.5), 4.4375))
    func distribution(_ x: Double) -> Double { x < 0 ? 0.5 * exp(x / b) : 1 - 0.5 * exp(-x / b) }
    // On the side where the difference of two numbers near 1 does not cancel.
    let d = -abs(v - mean)
    return -log2(distribution(d + 0.5) - distribution(d - 0.5) + 0x1p-16)
  }
}

/// A `ContextRate` over grids each half as large as the one before, as the image codec has them: a grid's stack holds the
/// next grid's values and others. Random numbers.
final class ContextSetup {
  let tape: Tape
  let rate: ContextRate
  /// Grids that stand alone and whole stacks, whose first plane is the next grid.
  let variables: [Variable]
  let weight: Float

  private let grids: [(variable: Int, layer: (isMirrored: Bool, weights: Int, bias: Int)?)]
  private let neighbours: [(dx: Int, dy: Int)]
  private let features: Int
  private let hidden: Int

  static let order: [(dx: Int, dy: Int)] = [
    (-1, 0), (0, -1), (-1, -1), (1, -1), (-2, 0), (0, -2), (0, -3), (-3, 0), (-2, -1), (1, -2), (-4, -4), (4, -4),
    (4, -1), (-4, 0), (0, -4), (3, -3),
  ]

  /// - Parameter stacks: planes of the stack above each grid and whether it is mirrored; the last grid has none.
  init(
    height: Int, width: Int, stacks: [(planes: Int, isMirrored: Bool)], spatial: Int, features: Int, hidden: Int,
    weight: Float = 0.25, scale: Float = 1.5, seed: UInt64 = 1, level: Kernels.Level? = nil
  ) {
    var stream = Stream(seed)
    var variables: [Variable] = [], parameters: [Parameter] = []
    func parameter(_ rows: Int, _ columns: Int, _ scale: Float) -> Parameter {
      let p = Parameter(
        "parameter \(parameters.count)", rows: rows, columns: columns, values: stream.array(rows * columns, scale: scale))
      parameters.append(p)
      return p
    }
    let c = spatial + features
    let spread = 1 / Float(c).squareRoot()
    let layers = (0..<hidden).map { _ in (weights: parameter(c, c, spread), bias: parameter(1, c, 0.5)) }
    let network = ContextRate.Network(
      hidden: layers, output: parameter(2, c, spread), stabiliser: parameter(2, c, 0.5 * spread), bias: parameter(1, 2, 0.5))
    // Scales around 1.
    network.bias.value[1] += 4

    let sizes = (0...stacks.count).map { k in
      ((height + (1 << k) - 1) >> k, (width + (1 << k) - 1) >> k)
    }
    variables.append(Variable("grid", channels: 1, height: height, width: width))
    for (k, stack) in stacks.enumerated() {
      variables.append(
        Variable("stack \(k)", channels: stack.planes, height: sizes[k + 1].0, width: sizes[k + 1].1))
    }
    for v in variables { v.load(stream.array(v.count, scale: scale)) }
    var grids: [ContextRate.Grid] = []
    var described: [(variable: Int, layer: (isMirrored: Bool, weights: Int, bias: Int)?)] = []
    for k in variables.indices {
      var layer: ContextRate.FeatureLayer?
      var numbers: (isMirrored: Bool, weights: Int, bias: Int)?
      if k < stacks.count && features > 0 {
        numbers = (stacks[k].isMirrored, parameters.count, parameters.count + 1)
        layer = ContextRate.FeatureLayer(
          stack: variables[k + 1], isMirrored: stacks[k].isMirrored,
          weights: parameter(features, stacks[k].planes + (stacks[k].isMirrored ? 3 : 0), 0.4),
          bias: parameter(1, features, 0.3))
      }
      grids.append(ContextRate.Grid(values: variables[k].view(0..<1), layer: layer))
      described.append((k, numbers))
    }
    self.variables = variables
    self.weight = weight
    self.grids = described
    self.features = features
    self.hidden = hidden
    neighbours = Array(Self.order[..<spatial])
    tape = Tape(level: level)
    rate = tape.append(
      ContextRate(grids: grids, neighbours: neighbours, features: features, network: network, weight: weight))
  }

  /// The same numbers in Double. Plane c of variable v is plane `first[v] + c`.
  var plain: (model: PlainContext, first: [Int]) {
    var planes: [PlainContext.Plane] = []
    let first = variables.map { v in
      let elements = v.elements.map(Double.init), size = v.height * v.width
      defer {
        for c in 0..<v.channels {
          planes.append(.init(height: v.height, width: v.width, values: Array(elements[c * size..<(c + 1) * size])))
        }
      }
      return planes.count
    }
    let model = PlainContext(
      planes: planes, parameters: tape.parameters.map { $0.elements.map(Double.init) },
      grids: grids.map { number, layer in
        (
          first[number],
          layer.map { layer in
            PlainContext.Layer(
              stack: (0..<variables[number + 1].channels).map { first[number + 1] + $0 }, isMirrored: layer.isMirrored,
              weights: layer.weights, bias: layer.bias)
          }
        )
      }, neighbours: neighbours, features: features, hidden: hidden)
    return (model, first)
  }
}
