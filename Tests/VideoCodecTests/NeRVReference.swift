import Foundation
import Tensors
import VideoCodec

/// Networks in integers as bitstream-spec 14.4 has them, word for word, with tables of Foundation's functions.
enum NeRVReference {
  /// [rows][columns] of a channel.
  typealias Plane = [[Int]]

  static func sat16(_ v: Int) -> Int { min(max(v, -32768), 32767) }

  static func roundHalfUp(_ v: Double) -> Int { Int((v + 0.5).rounded(.down)) }

  static func shortfall(_ activation: NeRVArchitecture.Activation, _ i: Int) -> Int {
    let u = Double(i) / 1024
    return switch activation {
    case .gelu: roundHalfUp(1024 * u * erfc(u / 2.0.squareRoot()) / 2)
    case .swish: roundHalfUp(1024 * u / (1 + exp(u)))
    }
  }

  static func sample(_ p: Int) -> Int { roundHalfUp(255 * (1 + tanh(Double(p) / 1024)) / 2) }

  /// Without an activation where there is none.
  private static func activate(_ p: Int, _ layer: NeRVLayer, _ activation: NeRVArchitecture.Activation?) -> Int {
    let g = activation.map { max(p, 0) - shortfall($0, min(abs(p), 32767)) } ?? p
    let drop = 10 - layer.fraction
    return limited((g + ((1 << drop) >> 1)) >> drop)
  }

  private static func limited(_ v: Int) -> Int { min(max(v, -8192), 8191) }

  /// Bilinear, first along columns.
  private static func enlarged(_ x: Plane, by factor: Int) -> Plane {
    func between(_ a: Int, _ b: Int, _ weight: Int) -> Int { a + (((b - a) * weight + 1 << 14) >> 15) }
    func line<T>(_ count: Int, _ at: (Int) -> T, _ between: (T, T, Int) -> T) -> [T] {
      (0..<count * factor).map { i in
        let place = Double(2 * i + 1) / Double(2 * factor) - 0.5, cell = Int(place.rounded(.down))
        let weight = Int(32768 * (2 * i + 1 - factor - 2 * factor * cell) / (2 * factor))
        return between(at(min(max(cell, 0), count - 1)), at(min(max(cell + 1, 0), count - 1)), weight)
      }
    }
    let rows = line(x.count, { x[$0] }) { a, b, weight in zip(a, b).map { between($0, $1, weight) } }
    return rows.map { row in line(row.count, { row[$0] }, between) }
  }

  /// What a stem makes of a frame's number, [channels][height][width].
  static func input(_ network: NeRVNetwork, frame: Int, of count: Int) -> [Int16] {
    func wave(_ p: Int) -> Int { roundHalfUp(4096 * sin(2 * .pi * Double(p % 16384) / 16384)) }
    var x: [Int] = []
    var power: (five: UInt128, four: UInt128) = (1, 1)
    for _ in 0..<network.architecture.stem!.levels {
      let d = 2 * UInt128(count) * power.four
      let phase = Int(16384 * (UInt128(frame) * power.five % d) / d)
      x += [wave(phase), wave(phase + 4096)]
      power = (5 * power.five, 4 * power.four)
    }
    for layer in network.layers.prefix(2) {
      x = layer.biases.indices.map { row in
        var sum = 0
        for (i, x) in x.enumerated() { sum += Int(layer.weights[row * layer.weights.count / layer.biases.count + i]) * x }
        precondition(Int32(exactly: sum) != nil, "a sum leaves int32")
        let v = sat16((sum + ((1 << layer.shift) >> 1)) >> layer.shift)
        let p = sat16(((v * Int(layer.multiplier) + 1 << 14) >> 15) + Int(layer.biases[row]))
        return activate(p, layer, network.architecture.activation)
      }
    }
    return x.map { Int16($0) }
  }

  /// Frame [3, height, width].
  static func frame(_ network: NeRVNetwork, _ embedding: [Int16]) -> [UInt8] {
    let a = network.architecture
    let e = a.embedding
    var x: [Plane] = (0..<e.channels).map { c in
      (0..<e.height).map { y in (0..<e.width).map { Int(embedding[(c * e.height + y) * e.width + $0]) } }
    }
    var inputs: [[Plane]] = []
    for (i, (stage, layer)) in zip(a.stages, network.layers.suffix(a.stages.count)).enumerated() {
      inputs.append(x)
      let (f, k) = (stage.factor, stage.side)
      let (height, width) = (x[0].count, x[0][0].count)
      var made = [Plane](repeating: Plane(repeating: [Int](repeating: 0, count: f * width), count: f * height), count: stage.outputs)
      for row in 0..<stage.biasCount {
        for y in 0..<height {
          for column in 0..<width {
            var sum = 0
            for (number, c) in (stage.isDepthwise ? [row] : Array(0..<stage.inputs)).enumerated() {
              for dy in 0..<k {
                let from = y + dy - k / 2
                guard from >= 0, from < height else { continue }
                for dx in 0..<k {
                  let at = column + dx - k / 2
                  guard at >= 0, at < width else { continue }
                  sum += Int(layer.weights[((row * stage.rowInputs + number) * k + dy) * k + dx]) * x[c][from][at]
                }
              }
            }
            precondition(Int32(exactly: sum) != nil, "a sum leaves int32")
            let v = sat16((sum + ((1 << layer.shift) >> 1)) >> layer.shift)
            let p = sat16(((v * Int(layer.multiplier) + 1 << 14) >> 15) + Int(layer.biases[row]))
            made[row / (f * f)][f * y + row / f % f][f * column + row % f] =
              i == a.stages.count - 1 ? p : activate(p, layer, stage.isLinear ? nil : a.activation)
          }
        }
      }
      for back in stage.sums {
        for (c, plane) in inputs[i - back].enumerated() {
          let more = enlarged(plane, by: a.enlargement(of: back, at: i))
          made[c] = zip(made[c], more).map { zip($0, $1).map { limited($0 + $1) } }
        }
      }
      x = made
    }
    return x.flatMap { plane in
      plane[..<a.height].flatMap { row in row[..<a.width].map { UInt8(sample(min(max($0, -8192), 8191))) } }
    }
  }
}

extension NeRVNetwork {
  /// With weights by chance: so that numbers keep their size from stage to stage, or `extreme`: rows at their bound, any format.
  static func random(_ architecture: NeRVArchitecture, seed: UInt64, extreme: Bool) -> NeRVNetwork {
    var random = SplitMix64(seed: seed)
    func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + Int((random.nextSigned() + 1) / 2 * 0.999 * Float(range.count)) }
    var drop = 0
    let layers = architecture.layers.map { stage in
      let terms = stage.columns
      let largest = min(63, NeRVLayer.maximumRowSum / terms)
      var weights: [Int16] = []
      for _ in 0..<stage.biasCount {
        var row = (0..<terms).map { _ in extreme ? 0 : within(-largest...largest) }
        if extreme {
          // All of one sign in half of the rows, and as much as fits, at places by chance.
          var (left, sign) = (NeRVLayer.maximumRowSum, within(-1...1))
          for place in (0..<terms).sorted(by: { ($0 &* 7919) % terms < ($1 &* 7919) % terms }) where left > 0 {
            let size = min(left, terms < 8 ? 32767 : within(1...max(2, 4 * NeRVLayer.maximumRowSum / terms)), 32767)
            if sign == 0 { sign = 1 }
            row[place] = sign * size
            if within(0...1) == 1 { sign = -sign }
            left -= size
          }
        }
        weights += row.map { Int16($0) }
      }
      let layer = NeRVLayer(
        weights: weights, biases: (0..<stage.biasCount).map { _ in Int16(extreme ? within(-32768...32767) : within(-800...800)) },
        shift: extreme ? within(0...24) : max(0, Int(log2(0.6 * Double(largest) * Double(terms).squareRoot())) - drop),
        multiplier: Int16(extreme ? within(1...32767) : within(16384...32767)), fraction: extreme ? within(4...10) : within(7...10))
      drop = 10 - layer.fraction
      return layer
    }
    return NeRVNetwork(architecture, layers: layers)
  }

  func embeddings(frames: Int, seed: UInt64, extreme: Bool) -> [Int16] {
    var random = SplitMix64(seed: seed)
    return (0..<frames * architecture.embedding.count).map { _ in
      let v = random.nextSigned()
      return extreme ? (v < 0 ? -8192 : 8191) : Int16(v * 3000)
    }
  }
}
