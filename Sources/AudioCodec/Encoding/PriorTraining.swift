import Glibc

/// Learns `CoefficientPrior` from sound: what the adaptive model knows after coding all of it, at many rates, is what new groups
/// start with. Training/audio runs it.
package final class PriorTraining {
  /// Sound of one or two channels.
  package struct Clip {
    package let sampleRate: Int
    package let samples: [[Float]]

    package init(sampleRate: Int, samples: [[Float]]) { (self.sampleRate, self.samples) = (sampleRate, samples) }
  }

  private var prior = CoefficientPrior.blank
  /// Sums for the energies' least squares, by depth and second: products of features, and of features with the magnitude.
  private var normal = [[Double]](repeating: [Double](repeating: 0, count: 12 * 11), count: 2 * CoefficientModel.depths)
  private var random: UInt64 = 88_172_645_463_325_252
  private let report: (String) -> Void

  package init(report: @escaping (String) -> Void) { self.report = report }

  private func uniform() -> Double {
    random ^= random << 13
    random ^= random >> 7
    random ^= random << 17
    return Double(random >> 11) / Double(1 << 53)
  }

  /// The prior's file.
  package func train(_ clips: [Clip]) -> [UInt8] {
    // Energies from all magnitudes, by what a plain guess makes of them.
    pass(clips, repeats: 1, mixRate: 4) { self.observe($0, $1, $2) }
    solve()
    prior = prior.with(slots: CoefficientPrior.blank.slots, weights: CoefficientPrior.blank.weights)
    pass(clips, repeats: 1, mixRate: 4, observer: nil)
    pass(clips, repeats: 2, mixRate: 1, observer: nil)
    return prior.serialised()
  }

  private func pass(_ clips: [Clip], repeats: Int, mixRate: Int32, observer: ((Int, BlockNeighbours, Int) -> Void)?) {
    let order = (0..<repeats).flatMap { _ in clips.indices.map { ($0, uniform()) }.sorted { $0.1 < $1.1 }.map(\.0) }
    let model = CoefficientModel(prior)
    model.mixRate = mixRate
    let notes = TrainingNotes(observe: observer)
    var bytes = 0, seconds = 0.0
    for i in order {
      let clip = clips[i]
      // Bits a second and channel, evenly in the logarithm.
      let kbps = exp(log(10) + uniform() * log(12)) * min(1, Double(clip.sampleRate) / 24_000)
      let isPerceptual = uniform() < 0.6
      bytes += encode(clip, kbps: kbps, isPerceptual: isPerceptual, model, notes)
      seconds += Double(clip.samples[0].count) / Double(clip.sampleRate)
    }
    for i in prior.shrinkage.indices {
      let (sum, count) = notes.sums[i]
      prior.shrinkage[i] = Int32((256 * sum / (count + 20)).rounded())
    }
    for i in prior.zeros.indices {
      let (sum, count) = notes.sums[prior.shrinkage.count + i]
      prior.zeros[i] = Int32((256 * ((sum + 1) / (count + 20)).squareRoot()).rounded())
    }
    prior.slots = (0..<prior.slots.count).map { model.slots[$0] }
    prior.weights = (0..<prior.weights.count).map { model.weights[$0] }
    report("pass: \(bytes) bytes of \(Int(seconds)) seconds")
  }

  private func encode(_ clip: Clip, kbps: Double, isPerceptual: Bool, _ model: CoefficientModel, _ notes: TrainingNotes) -> Int {
    guard let layout = clip.samples.count == 2 ? 2 : clip.samples.count == 1 ? 1 : nil else { return 0 }
    let geometry = AudioGeometry(sampleRate: clip.sampleRate)
    let tuning = MDCTTuning(isPerceptual: isPerceptual)
    let analysis = Analysis(geometry, channels: layout, options: tuning.analysis)
    let encoder = GroupEncoder(geometry, channels: layout, model, options: tuning.group)
    encoder.startsAfresh = false
    encoder.notes = notes
    let longest = geometry.longest
    let count = clip.samples[0].count / longest - 2
    guard count > 2 else { return 0 }
    func pointers(_ frame: Int, _ body: ([UnsafePointer<Float>]) -> Void) {
      clip.samples[0].withUnsafeBufferPointer { a in
        clip.samples[layout - 1].withUnsafeBufferPointer { b in
          body(Array([a.baseAddress! + frame * longest, b.baseAddress! + frame * longest].prefix(layout)))
        }
      }
    }
    var logs: [Float] = []
    for f in 0..<count {
      pointers(f) { for p in $0 { logs += analysis.normalised(analysis.coefficients(p, [1, 1], before: longest / 2, behind: longest / 2), [1, 1]) } }
    }
    let wanted = Float(kbps * 1000 * Double(count * longest) / Double(clip.sampleRate)) * Float(layout)
    analysis.stepIndex = Analysis.stepIndex(of: logs, bits: wanted)
    // Near silence no step is small enough for the rate, and nothing is to be learned from it.
    guard analysis.stepIndex > 1280 else { return 0 }
    var frames: [AnalysedFrame] = []
    var depths: [[Int]] = []
    for f in 0..<count { pointers(f) { depths.append(analysis.depths($0)) } }
    for f in 0..<count {
      var frame = AnalysedFrame(shapes: [FrameShape(depths: depths[f])], coefficients: [], offsets: [])
      pointers(f) {
        for p in $0 {
          frame.coefficients.append(
            analysis.coefficients(
              p, depths[f], before: f > 0 ? longest >> depths[f - 1].last! : nil, behind: f + 1 < count ? longest >> depths[f + 1][0] : nil))
        }
      }
      analysis.finish(&frame, after: frames.last)
      frames.append(frame)
    }
    let group = geometry.framesInGroup(sampleRate: clip.sampleRate)
    return stride(from: 0, to: count, by: group).reduce(0) {
      $0 + encoder.encode(frames[$1..<min($1 + group, count)], stepIndex: analysis.stepIndex).count
    }
  }

  private func observe(_ k: Int, _ n: BlockNeighbours, _ magnitude: Int) {
    let c = n.current + k, p = n.last + k, o = n.older + k, x = n.other + k
    let f: [Int32] = [
      c[-1], c[-2], c[-3] + c[-4], c[-5] + c[-6] + c[-7] + c[-8], p[0], p[-1] + p[1], p[-2] + p[2],
      p[3] + p[4] + p[-3] + p[-4], o[0], o[-1] + o[1], 2 * x[0] + x[-1] + x[1],
    ]
    var sum: Int32 = 0
    for i in 0..<11 { sum += f[i] }
    guard sum > 0 || random & 7 == 0 else { return }
    let row = n.depth * 2 + (n.isSecond ? 1 : 0)
    // Small magnitudes are to be as right as large ones.
    let expected = Double(sum) / 24 + 2
    let weight = 1 / (expected * expected)
    let target = Double(min(magnitude, 255) * 16)
    normal[row].withUnsafeMutableBufferPointer { normal in
      for i in 0..<11 where f[i] != 0 {
        let v = Double(f[i]) * weight
        for j in 0..<11 { normal[i * 12 + j] += v * Double(f[j]) }
        normal[i * 12 + 11] += v * target
      }
    }
  }

  private func solve() {
    for row in normal.indices {
      var a = normal[row]
      guard a[0] > 0 else { continue }
      let usedCount = row & 1 == 1 ? 11 : 10
      for i in 0..<11 { a[i * 12 + i] += 1e-3 * a[0] + 1e-9 }
      for i in 0..<usedCount {
        for r in 0..<usedCount where r != i {
          let f = a[r * 12 + i] / a[i * 12 + i]
          for j in i..<12 { a[r * 12 + j] -= f * a[i * 12 + j] }
        }
      }
      let found = (0..<11).map { $0 < usedCount ? Int32((256 * a[$0 * 12 + 11] / a[$0 * 12 + $0]).rounded()) : 0 }
      report("energies \(row): \(found)")
      for i in 0..<11 { prior.energies[row * 11 + i] = max(-127, min(255, found[i])) }
    }
  }
}
