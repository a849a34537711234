import Foundation
import ImageCodec

/// The overfitted codec in plain floating point, straight from its description: slow, and no relation to the integers.
struct OverfitReference {
  let architecture: OverfitArchitecture
  let floats: [Float]

  /// Cool-chic's 9x9 priority table: rows from dy = -4, columns from dx = -4.
  static let priorities: [[Int]] = [
    [38, 35, 30, 25, 23, 31, 36, 37, 39], [33, 28, 21, 20, 6, 15, 22, 29, 34], [32, 18, 12, 10, 5, 9, 14, 19, 27],
    [24, 13, 8, 2, 1, 3, 11, 17, 26], [16, 7, 4, 0],
  ]

  private func numbers(_ role: OverfitTensor.Role, isBias: Bool = false) -> [Double] {
    guard let t = architecture.tensors.first(where: { $0.role == role && $0.isBias == isBias }) else { return [] }
    return floats[t.range].map(Double.init)
  }

  /// W x + b
  private func apply(_ role: OverfitTensor.Role, _ x: [Double]) -> [Double] {
    let w = numbers(role), b = numbers(role, isBias: true)
    var y: [Double] = []
    for o in 0..<w.count / x.count {
      var sum = b.isEmpty ? 0 : b[o]
      for i in x.indices { sum += w[o * x.count + i] * x[i] }
      y.append(sum)
    }
    return y
  }

  // MARK: Entropy model

  private func neighbours() -> [(dx: Int, dy: Int)] {
    var found: [(Int, Int, Int)] = []
    for (j, row) in Self.priorities.enumerated() { for (i, p) in row.enumerated() { found.append((p, i - 4, j - 4)) } }
    return found.sorted { $0.0 < $1.0 }.prefix(architecture.spatial).map { ($0.1, $0.2) }
  }

  private func features(_ number: Int, _ grids: [[Int8]], _ y: Int, _ x: Int) -> [Double] {
    let all = architecture.grids, grid = all[number]
    guard grid.hasFeatures else { return [Double](repeating: 0, count: architecture.features) }
    var r: [Double] = []
    let parent = all.firstIndex { $0.level == grid.level + 1 && !$0.isHyper }
    if let parent {
      let g = all[parent]
      let (sx, sy) = (x % 2 == 1 ? 1 : -1, y % 2 == 1 ? 1 : -1)
      for (dx, dy) in [(0, 0), (sx, 0), (0, sy), (sx, sy)] {
        let px = min(max(x / 2 + dx, 0), g.width - 1), py = min(max(y / 2 + dy, 0), g.height - 1)
        r.append(Double(grids[parent][py * g.width + px]))
      }
    }
    for other in stride(from: number - 1, through: 0, by: -1) where other != parent {
      let g = all[other], s = g.level - grid.level
      r.append(Double(grids[other][(y >> s) * g.width + (x >> s)]))
    }
    return apply(.features(grid: number), r)
  }

  /// Bits of each grid.
  func bits(_ grids: [[Int8]]) -> [Double] {
    let around = neighbours()
    return architecture.grids.enumerated().map { number, grid in
      var bits = 0.0
      for y in 0..<grid.height {
        for x in 0..<grid.width {
          var input = around.map { n -> Double in
            let (i, j) = (x + n.dx, y + n.dy)
            return i >= 0 && i < grid.width && j >= 0 ? Double(grids[number][j * grid.width + i]) : 0
          }
          input += features(number, grids, y, x)
          var h = input
          for layer in 0..<architecture.hiddenLayers {
            h = zip(apply(.contextHidden(layer), h), h).map { max($0 + $1, 0) }
          }
          let out = zip(apply(.contextOutput, h), apply(.contextStabiliser, input)).map(+)
          let v = Double(grids[number][y * grid.width + x]), b = exp(out[1] - 4)
          let cdf = { (z: Double) in z < 0 ? 0.5 * exp(z / b) : 1 - 0.5 * exp(-z / b) }
          bits -= log2(max(cdf(v + 0.5 - out[0]) - cdf(v - 0.5 - out[0]), 0x1p-16))
        }
      }
      return bits
    }
  }

  // MARK: Synthesis

  private struct Plane {
    let height, width: Int
    var values: [Double]

    /// Replicated outside.
    func at(_ y: Int, _ x: Int) -> Double { values[min(max(y, 0), height - 1) * width + min(max(x, 0), width - 1)] }
    /// Zero outside.
    func inside(_ y: Int, _ x: Int) -> Double {
      y >= 0 && x >= 0 && y < height && x < width ? values[y * width + x] : 0
    }
    var transposed: Plane {
      Plane(height: width, width: height, values: (0..<width * height).map { values[$0 % height * width + $0 / height] })
    }
  }

  /// As a transposed convolution with stride 2 over four replicated columns each side, cropped by 11.
  private func doubledAcross(_ p: Plane, _ kernel: [Double], width: Int) -> Plane {
    var values: [Double] = []
    for y in 0..<p.height {
      var spread = [Double](repeating: 0, count: 2 * (p.width + 8) + 8)
      for i in 0..<p.width + 8 { for t in 0..<8 { spread[2 * i + t] += p.at(y, i - 4) * kernel[t] } }
      values += spread[11..<11 + width]
    }
    return Plane(height: p.height, width: width, values: values)
  }

  private func planes(_ grids: [[Int8]]) -> [Plane] {
    let all = architecture.grids
    var planes: [Plane] = []
    for level in stride(from: architecture.coarsest, through: 0, by: -1) {
      let (height, width) = architecture.size(level: level)
      if level < architecture.coarsest {
        let w = numbers(.doubling(level: level))
        let kernel = w + w.reversed()
        planes = planes.map {
          doubledAcross(doubledAcross($0, kernel, width: width).transposed, kernel, width: height).transposed
        }
      }
      // Joined hyper-latents come second at their level, so they are inserted first.
      for isHyper in [true, false] where !isHyper || architecture.areJoined {
        guard let number = all.firstIndex(where: { $0.level == level && $0.isHyper == isHyper }) else { continue }
        let grid = Plane(height: height, width: width, values: grids[number].map(Double.init))
        if level == architecture.coarsest {
          planes.insert(grid, at: 0)
          continue
        }
        let w = numbers(.filter(level: level)), kernel = w + w.dropLast().reversed()
        func across(_ p: Plane) -> Plane {
          var result = p
          for i in p.values.indices {
            var sum = 0.0
            for t in 0..<7 { sum += kernel[t] * p.inside(i / p.width, i % p.width + t - 3) }
            result.values[i] = sum
          }
          return result
        }
        var filtered = across(across(grid).transposed).transposed
        for i in filtered.values.indices { filtered.values[i] += grid.values[i] }
        planes.insert(filtered, at: 0)
      }
    }
    return planes
  }

  /// [height, width, outputs], in 8-bit levels, not rounded nor clamped.
  func samples(_ grids: [[Int8]]) -> [Double] {
    let a = architecture, planes = planes(grids), pixels = a.width * a.height
    var outputs = [Plane](
      repeating: Plane(height: a.height, width: a.width, values: [Double](repeating: 0, count: pixels)),
      count: a.outputs)
    var linear = outputs
    for i in 0..<pixels {
      let x = planes.map { $0.values[i] }
      let y = apply(.synthesisSecond, apply(.synthesisFirst, x).map { max($0, 0) })
      let z = apply(.synthesisStabiliser, x)
      for o in 0..<a.outputs { (outputs[o].values[i], linear[o].values[i]) = (y[o], z[o]) }
    }
    for layer in 0..<a.convolutions {
      var next = outputs
      for y in 0..<a.height {
        for x in 0..<a.width {
          var taps: [Double] = []
          for c in 0..<a.outputs { for dy in -1...1 { for dx in -1...1 { taps.append(outputs[c].at(y + dy, x + dx)) } } }
          let sums = apply(.synthesisConvolution(layer), taps)
          for o in 0..<a.outputs {
            let v = sums[o] + outputs[o].at(y, x)
            next[o].values[y * a.width + x] = layer + 1 < a.convolutions ? max(v, 0) : v
          }
        }
      }
      outputs = next
    }
    var samples: [Double] = []
    for i in 0..<pixels { for o in 0..<a.outputs { samples.append(255 * (outputs[o].values[i] + linear[o].values[i])) } }
    return samples
  }
}
