import Autograd
import Glibc

extension NeRVFit {
  /// The segment in integers. Where nothing is rounded yet, all is first rounded finely.
  // bitstream-spec 14.4
  package func segment(threads: Int) -> NeRVSegment {
    if !rounds { roundFinely(threads: threads) }
    let layers = graph.architecture.layers, hasStem = graph.architecture.stem != nil
    var maxima = [Float](repeating: 0, count: layers.count)
    let embeddingStep = exp2f(graph.embeddingStep.value[0])
    var embeddings: [Int16] = []
    forEachFrame(threads: threads) { _, frame in
      for (i, made) in frame.layers.enumerated() { maxima[i] = max(maxima[i], made.greatestMagnitude) }
      if !hasStem { embeddings += frame.stageInput.elements.map { NeRVParameters.embedding($0 / embeddingStep) } }
    }
    let largest = embeddings.reduce(1) { max($0, abs(Int($1))) }
    let embeddingShift = hasStem ? 0 : (0...12).last { largest << $0 <= NeRVLayer.inputRange.upperBound } ?? 0
    // What a unit of a layer's inputs stands for.
    var unit = hasStem ? exp2(-Double(NeRVStem.waveFraction)) : Double(embeddingStep) * exp2(-Double(embeddingShift))
    let changes = graph.decoder.changes
    var made: [NeRVLayer] = []
    for (i, layer) in layers.enumerated() {
      let isLast = i == layers.count - 1
      // A quarter more than was seen, as integers need not be quite the same.
      let fraction = isLast ? 4 : (4...10).last { 1.25 * maxima[i] * exp2f(Float($0)) <= 8191 } ?? 4
      made.append(self.layer(i, layer, changes, unit: unit, fraction: fraction, isLast: isLast))
      unit = exp2(-Double(fraction))
    }
    let network = NeRVNetwork(graph.architecture, layers: made, embeddingShift: embeddingShift)
    return NeRVSegment(network: network, frames: frameCount, embeddings: embeddings)
  }

  private func roundFinely(threads: Int) {
    graph.tape.forward(threads: threads, iteration: iteration)
    graph.beginRounding(frames: frameCount)
    for step in graph.decoder.steps + [graph.embeddingStep] { step.value[0] -= 4 }
  }

  private func layer(_ i: Int, _ stage: NeRVArchitecture.Stage, _ changes: [[Int16]], unit: Double, fraction: Int, isLast: Bool) -> NeRVLayer {
    var step = Double(graph.decoder.weights[i].rounding.step), changes = changes[i]
    let columns = stage.weightCount / stage.biasCount
    var weights: [Int16] = [], amplitude = 0, centreShift = 4
    // Weights in as small parts of the step as the sums have room for.
    while true {
      let wanted = (NeRVParameters.bound(stage) * exp2(Double(centreShift)) / step).rounded()
      amplitude = Int(min(32767, wanted))
      var initial = InitialWeights(stage: i)
      let wide = changes.map { Int($0) << centreShift + initial.next(amplitude: amplitude) }
      let sums = (0..<stage.biasCount).map { row in wide[row * columns..<(row + 1) * columns].reduce(0) { $0 + abs($1) } }
      if wanted <= 32767, sums.max()! <= NeRVLayer.maximumRowSum, wide.allSatisfy({ abs($0) <= 32767 }) {
        weights = wide.map { Int16($0) }
        break
      }
      if centreShift > 0 {
        centreShift -= 1
      } else {
        // A fit that has hardly begun has steps that are too fine for the sums.
        step *= 2
        changes = changes.map { ($0 + $0.signum()) / 2 }
      }
    }
    let (multiplier, shift) = Self.multiplier(exp2(Double(NeRVLayer.sumFraction)) * step * exp2(-Double(centreShift)) * unit)
    let biasShift = NeRVLayer.sumFraction - NeRVParameters.biasFraction(isLast: isLast)
    let biases = graph.decoder.biases[i].used.elements.map {
      Int16(max(-32768, min(32767, $0 * exp2f(Float(NeRVLayer.sumFraction - biasShift)))).rounded()) << Int16(biasShift)
    }
    return NeRVLayer(
      weights: weights, biases: biases, shift: shift, multiplier: multiplier, fraction: fraction, centreShift: centreShift,
      amplitude: amplitude, biasShift: biasShift)
  }

  /// `factor` as m / 2^15 / 2^shift, with the largest m.
  private static func multiplier(_ factor: Double) -> (multiplier: Int16, shift: Int) {
    for shift in stride(from: 24, to: 0, by: -1) {
      let m = (factor * exp2(Double(15 + shift))).rounded()
      if m <= 32767 { return (Int16(max(1, m)), shift) }
    }
    return (Int16(min(32767, factor * 32768)), 0)
  }
}

extension Variable {
  fileprivate var greatestMagnitude: Float { elements.reduce(0) { max($0, $1.magnitude) } }
}
