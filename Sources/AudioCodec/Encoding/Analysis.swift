import Glibc

/// Samples to frames: cuts them into blocks, transforms them, turns pairs, and chooses bands' steps.
final class Analysis {
  struct Options {
    /// How much a band's step follows its level within a frame, and the frame's level: 0 not at all, 1 wholly.
    var bandExponent: Float = 0
    var levelExponent: Float = 0
    /// By how much a frame's halves have to be cheaper.
    var bias: Float = 0.005
  }

  let geometry: AudioGeometry
  private let map: BandMap
  private let channels: Int
  private let transform: LappedTransform
  let options: Options
  /// By which blocks are chosen: about what coefficients will be quantised with.
  var step: Float { Steps.step(stepIndex) }
  var stepIndex = 2048

  init(_ geometry: AudioGeometry, channels: Int, options: Options) {
    self.geometry = geometry
    self.channels = channels
    self.options = options
    map = BandMap(geometry)
    transform = LappedTransform(longest: geometry.longest, depth: AudioGeometry.depth)
  }

  /// Depths of the blocks of a frame of a pair. `samples` of each channel are those of the frame, with half a frame before and behind.
  func depths(_ samples: [UnsafePointer<Float>]) -> [Int] {
    let longest = geometry.longest, finest = AudioGeometry.depth
    // [depth][block]
    var costs = (0...finest).map { [Float](repeating: 0, count: 1 << $0) }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * longest) { block in
      for channel in samples {
        var inverses: [Float]?
        for depth in [2, 0, 1, 3, 4] {
          let size = longest >> depth
          var spectra: [Float] = []
          for j in 0..<1 << depth {
            // Half a block before and behind.
            let start = channel + longest / 2 + j * size - size / 2
            for i in 0..<2 * size { block[i] = start[i] }
            transform.mix(block.baseAddress!, at: size / 2, overlap: size)
            transform.mix(block.baseAddress!, at: 3 * size / 2, overlap: size)
            let middle = UnsafeMutableBufferPointer(rebasing: block[size / 2..<3 * size / 2])
            transform.transform(middle)
            spectra += middle
          }
          if inverses == nil {
            let offsets = rawOffsets(energies(spectra, [Int](repeating: depth, count: 1 << depth)))
            inverses = offsets.map { 1 / (step * exp2f($0 / 4)) }
          }
          let edges = map.edges[depth]
          for j in 0..<1 << depth {
            var sum: Float = 0
            for b in 0..<geometry.bandCount {
              let inverse = inverses![b]
              var product: Float = 1
              for k in edges[b]..<edges[b + 1] {
                product *= 1 + abs(spectra[j * size + k]) * inverse
                if product > 1e15 {
                  sum += log2f(product)
                  product = 1
                }
              }
              sum += log2f(product)
            }
            costs[depth][j] += sum
          }
        }
      }
    }
    func best(_ depth: Int, _ j: Int) -> (cost: Float, depths: [Int]) {
      let whole = costs[depth][j]
      guard depth < finest else { return (whole, [depth]) }
      let a = best(depth + 1, 2 * j), b = best(depth + 1, 2 * j + 1)
      let halves = (a.cost + b.cost) * (1 + options.bias)
      return halves < whole ? (halves, a.depths + b.depths) : (whole, [depth])
    }
    return best(0, 0).depths
  }

  /// The coefficients of a frame. `samples` as in `depths(_:)`; the neighbouring blocks' sizes are nil at the sound's ends.
  func coefficients(_ samples: UnsafePointer<Float>, _ depths: [Int], before: Int?, behind: Int?) -> [Float] {
    let longest = geometry.longest
    return withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * longest) { work in
      for i in 0..<2 * longest { work[i] = samples[i] }
      let start = work.baseAddress!
      if let before { transform.mix(start, at: longest / 2, overlap: min(before, longest >> depths[0])) }
      var boundary = longest / 2
      for (i, depth) in depths.enumerated() {
        boundary += longest >> depth
        guard let next = i + 1 < depths.count ? longest >> depths[i + 1] : behind else { continue }
        transform.mix(start, at: boundary, overlap: min(longest >> depth, next))
      }
      var first = longest / 2
      for depth in depths {
        let size = longest >> depth
        transform.transform(UnsafeMutableBufferPointer(rebasing: work[first..<first + size]))
        first += size
      }
      return Array(work[longest / 2..<3 * longest / 2])
    }
  }

  /// Mean squares of the bands' coefficients.
  private func energies(_ values: [Float], _ depths: [Int]) -> [Float] {
    var sums = [Float](repeating: 0, count: geometry.bandCount)
    var first = 0
    for depth in depths {
      let edges = map.edges[depth]
      for b in sums.indices {
        var sum: Float = 0
        for k in first + edges[b]..<first + edges[b + 1] { sum += values[k] * values[k] }
        sums[b] += sum
      }
      first += geometry.longest >> depth
    }
    for b in sums.indices { sums[b] /= Float(geometry.edges[b + 1] - geometry.edges[b]) }
    return sums
  }

  /// What a band's step should be, in quarters of an octave.
  private func rawOffsets(_ energies: [Float]) -> [Float] {
    let floor: Float = 1e-9
    var total: Float = 0
    for b in energies.indices { total += energies[b] * Float(geometry.edges[b + 1] - geometry.edges[b]) }
    let level = log2f(total / Float(geometry.longest) + floor)
    return energies.map {
      2 * (options.bandExponent * (log2f($0 + floor) - level) + options.levelExponent * level)
    }
  }

  /// Magnitudes of coefficients as if their bands' offsets were 0.
  func normalised(_ values: [Float], _ depths: [Int]) -> [Float] {
    let offsets = rawOffsets(energies(values, depths))
    let inverses = offsets.map { exp2f(-$0 / 4) }
    var result = values
    var first = 0
    for depth in depths {
      for (k, band) in map.bands[depth].enumerated() { result[first + k] = abs(values[first + k]) * inverses[Int(band)] }
      first += geometry.longest >> depth
    }
    return result
  }

  /// The step index with which normalised coefficients take about so many bits.
  static func stepIndex(of magnitudes: [Float], bits wanted: Float) -> Int {
    var (low, high) = (0, 4095)
    while high - low > 16 {
      let middle = (low + high) / 2
      let inverse = 1 / Steps.step(middle)
      let bits = magnitudes.reduce(Float(0)) { $0 + log2f(1 + $1 * inverse) }
      if bits > wanted { low = middle } else { high = middle }
    }
    return high
  }

  /// Fills in angles and offsets, and turns the coefficients. `last` is the frame before in the same group.
  func finish(_ frame: inout AnalysedFrame, after last: AnalysedFrame?) {
    for pair in frame.shapes.indices where 2 * pair + 1 < channels {
      var two = [frame.coefficients[2 * pair], frame.coefficients[2 * pair + 1]]
      let angles = last?.shapes[pair].angles ?? [Int](repeating: 0, count: geometry.bandCount)
      frame.shapes[pair].angles = chosenAngles(two, frame.shapes[pair].depths, last: angles)
      Restoring.turn(&two, frame.shapes[pair], geometry, map)
      (frame.coefficients[2 * pair], frame.coefficients[2 * pair + 1]) = (two[0], two[1])
    }
    guard options.bandExponent > 0 || options.levelExponent > 0 else { return }
    frame.offsets = frame.coefficients.indices.map { c in
      let pair = c / 2
      var energies = energies(frame.coefficients[c], frame.shapes[pair].depths)
      if let other = c & 1 == 1 ? c - 1 : c + 1 < channels ? c + 1 : nil {
        let more = self.energies(frame.coefficients[other], frame.shapes[pair].depths)
        for b in energies.indices { energies[b] = (energies[b] + more[b]) / 2 }
      }
      let raw = rawOffsets(energies)
      return raw.indices.map { b in
        let limit = Float(FrameMemory.maximumOffset)
        let wanted = max(-limit, min(limit, raw[b]))
        if let last, !last.offsets.isEmpty, abs(Float(last.offsets[c][b]) - wanted) < 0.8 { return last.offsets[c][b] }
        return Int(wanted.rounded())
      }
    }
  }

  /// The angles that gather most of a band in the first channel, unless those of the frame before do nearly as well.
  private func chosenAngles(_ pair: [[Float]], _ depths: [Int], last: [Int]) -> [Int] {
    var sums = [(ll: Float, rr: Float, lr: Float)](repeating: (0, 0, 0), count: last.count)
    var first = 0
    for depth in depths {
      let edges = map.edges[depth]
      for b in sums.indices {
        for k in first + edges[b]..<first + edges[b + 1] {
          let (l, r) = (pair[0][k], pair[1][k])
          sums[b].ll += l * l
          sums[b].rr += r * r
          sums[b].lr += l * r
        }
      }
      first += geometry.longest >> depth
    }
    return last.indices.map { b in
      let (ll, rr, lr) = sums[b]
      guard ll + rr > 1e-12 else { return last[b] }
      // The energies of the turned channels; their product says what they cost.
      func cost(_ angle: Int) -> Float {
        let (c, s) = Restoring.turns[angle]
        let a = c * c * ll + s * s * rr + 2 * c * s * lr
        let floor = 1e-4 * (ll + rr)
        return log2f(a + floor) + log2f(max(0, ll + rr - a) + floor)
      }
      let best = (0..<16).min { cost($0) < cost($1) }!
      return cost(best) < cost(last[b]) - 0.4 ? best : last[b]
    }
  }
}
