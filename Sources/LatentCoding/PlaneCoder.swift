import EntropyCoding

/// Lossless coding of a plane of bytes [height, width], such as alpha: mostly flat, with soft edges.
///
/// Each sample first says whether it equals its prediction, and if not codes its value bit by bit, all with adaptive
/// bits whose contexts are its neighbours. A plane of one value costs a few dozen bytes.
// bitstream-spec 8.6
package enum PlaneCoder {
  /// The inverse of `decode(_:width:height:)`.
  package static func encode(_ plane: UnsafeBufferPointer<UInt8>, width: Int, height: Int) -> [UInt8] {
    precondition(plane.count == width * height)
    var encoder = RangeEncoder()
    var model = PlaneModel()
    var above = [UInt8](repeating: 0, count: width + 2)
    var current = above
    for row in 0..<height {
      for column in 0..<width {
        let value = plane[row * width + column]
        let context = model.context(above: above, current: current, column: column)
        // Both symbols of a bit always have an interval.
        try! encoder.encode(value == context.prediction ? 0 : 1, adapting: &model.hits[context.hit])
        if value != context.prediction {
          var node = 1
          for shift in stride(from: 7, through: 0, by: -1) {
            let bit = Int(value >> shift) & 1
            try! encoder.encode(bit, adapting: &model.values[context.value + node])
            node = node << 1 | bit
          }
        }
        current[column + 1] = value
      }
      current[width + 1] = current[width]
      swap(&above, &current)
      current[0] = above[1]
    }
    return encoder.finish()
  }

  /// Throws `EntropyError` for a payload that is not one of `encode`'s. Takes memory for `width * height` bytes, which
  /// the caller has checked.
  package static func decode(_ payload: [UInt8], width: Int, height: Int) throws -> [UInt8] {
    var decoder = RangeDecoder(payload)
    var model = PlaneModel()
    var plane = [UInt8](repeating: 0, count: width * height)
    var above = [UInt8](repeating: 0, count: width + 2)
    var current = above
    for row in 0..<height {
      for column in 0..<width {
        let context = model.context(above: above, current: current, column: column)
        var value = context.prediction
        if try decoder.decode(adapting: &model.hits[context.hit]) == 1 {
          var node = 1
          for _ in 0..<8 { node = node << 1 | (try decoder.decode(adapting: &model.values[context.value + node])) }
          value = UInt8(truncatingIfNeeded: node)
        }
        plane[row * width + column] = value
        current[column + 1] = value
      }
      current[width + 1] = current[width]
      swap(&above, &current)
      current[0] = above[1]
    }
    try decoder.finish()
    return plane
  }
}

/// The adaptive bits of a plane and the rule that picks among them. Rows are kept with one sample more on each side:
/// the left one is that above it, the right one repeats the last.
private struct PlaneModel {
  var hits = [AdaptiveBit](repeating: AdaptiveBit(), count: 3 * 3 * 3 * 3)
  var values = [AdaptiveBit](repeating: AdaptiveBit(), count: 17 * 256)

  struct Context {
    let prediction: UInt8
    let hit: Int
    let value: Int
  }

  @inline(__always)
  func context(above: [UInt8], current: [UInt8], column: Int) -> Context {
    let (west, north, northWest, northEast) = (current[column], above[column + 1], above[column], above[column + 2])
    // Median of west, north and their planar extension (LOCO-I, Weinberger et al. 2000).
    let (low, high) = (min(west, north), max(west, north))
    let prediction =
      northWest >= high ? low : northWest <= low ? high : UInt8(Int(west) + Int(north) - Int(northWest))
    let hit =
      Self.distance(west, northWest) * 27 + Self.distance(north, northWest) * 9 + Self.distance(north, northEast) * 3
      + Self.distance(prediction, west)
    return Context(prediction: prediction, hit: hit, value: ((Int(prediction) + 8) / 16) * 256)
  }

  @inline(__always)
  private static func distance(_ a: UInt8, _ b: UInt8) -> Int {
    let difference = a > b ? a - b : b - a
    return difference == 0 ? 0 : difference < 16 ? 1 : 2
  }
}
