/// From levels to coefficients.
// bitstream-spec 11.6
enum Restoring {
  /// Which bands have no coefficient in any block of a frame.
  static func emptyBands(
    _ levels: UnsafePointer<Int32>, _ depths: [Int], _ geometry: AudioGeometry, _ map: BandMap
  ) -> [Bool] {
    var isEmpty = [Bool](repeating: true, count: geometry.bandCount)
    var first = 0
    for depth in depths {
      let edges = map.edges[depth]
      for b in isEmpty.indices where isEmpty[b] {
        for k in edges[b]..<edges[b + 1] where levels[first + k] != 0 {
          isEmpty[b] = false
          break
        }
      }
      first += geometry.longest >> depth
    }
    return isEmpty
  }

  /// `levels` in 2^-8 of their bands' steps, and noise where `fill` has a level; unless `holes` is empty, noise of so many steps by
  /// the context's energy in place of zeros in the other bands.
  static func coefficients(
    _ levels: UnsafePointer<Int32>, _ energies: UnsafePointer<UInt8>, _ depths: [Int], _ steps: [Float], _ fill: [Int], _ holes: [Float],
    _ geometry: AudioGeometry, _ map: BandMap, _ noise: inout NoiseSource
  ) -> [Float] {
    var values = [Float](repeating: 0, count: geometry.longest)
    let isEmpty = holes.isEmpty ? [] : emptyBands(levels, depths, geometry, map)
    var first = 0
    for depth in depths {
      let edges = map.edges[depth]
      for b in steps.indices {
        if fill[b] > 0 {
          let size = steps[b] * Steps.noise[fill[b]]
          for k in edges[b]..<edges[b + 1] { values[first + k] = noise.next() * size }
        } else {
          let unit = steps[b] / 256
          for k in first + edges[b]..<first + edges[b + 1] { values[k] = Float(levels[k]) * unit }
          guard !holes.isEmpty, !isEmpty[b] else { continue }
          for k in first + edges[b]..<first + edges[b + 1] where levels[k] == 0 {
            values[k] = noise.next() * (steps[b] * holes[Int(energies[k])])
          }
        }
      }
      first += geometry.longest >> depth
    }
    return values
  }

  /// Cosines and sines of 16ths of half a turn.
  static let turns: [(cosine: Float, sine: Float)] = (0..<16).map { i in
    let x = Double(i) / 16
    return i <= 8
      ? (Float(Trigonometry.sine(0.5 - x)), Float(Trigonometry.sine(x)))
      : (Float(-Trigonometry.sine(x - 0.5)), Float(Trigonometry.sine(1 - x)))
  }

  /// Turns a pair's channels by the shape's angles. The inverse is `turnBack`.
  static func turn(_ pair: inout [[Float]], _ shape: FrameShape, _ geometry: AudioGeometry, _ map: BandMap) {
    turn(&pair, shape, geometry, map, sign: 1)
  }

  static func turnBack(_ pair: inout [[Float]], _ shape: FrameShape, _ geometry: AudioGeometry, _ map: BandMap) {
    turn(&pair, shape, geometry, map, sign: -1)
  }

  private static func turn(
    _ pair: inout [[Float]], _ shape: FrameShape, _ geometry: AudioGeometry, _ map: BandMap, sign: Float
  ) {
    var first = 0
    for depth in shape.depths {
      let edges = map.edges[depth]
      for (b, angle) in shape.angles.enumerated() where angle > 0 {
        let (cosine, sine) = (turns[angle].cosine, sign * turns[angle].sine)
        for k in first + edges[b]..<first + edges[b + 1] {
          let (left, right) = (pair[0][k], pair[1][k])
          pair[0][k] = cosine * left + sine * right
          pair[1][k] = cosine * right - sine * left
        }
      }
      first += geometry.longest >> depth
    }
  }
}
