import Autograd
import Glibc

extension NeRVFit {
  /// The segment in integers. Where nothing is rounded yet, all is first rounded finely.
  // bitstream-spec 14.4
  package func segment(threads: Int) -> NeRVSegment {
    if !rounds { graph.roundFinely(frames: frameCount, threads: threads, iteration: iteration) }
    let architecture = graph.architecture, hasStem = architecture.stem != nil
    var maxima = LayerMaxima(architecture)
    let embeddingStep = exp2f(graph.embeddingStep.value[0])
    var embeddings: [Int16] = []
    forEachFrame(threads: threads) { _, frame in
      maxima.include(frame)
      if !hasStem { embeddings += frame.stageInput.elements.map { NeRVParameters.embedding($0 / embeddingStep) } }
    }
    let largest = embeddings.reduce(1) { max($0, abs(Int($1))) }
    let embeddingShift = hasStem ? 0 : (0...12).last { largest << $0 <= NeRVLayer.inputRange.upperBound } ?? 0
    // What a unit of a layer's inputs stands for.
    let unit = hasStem ? exp2(-Double(NeRVStem.waveFraction)) : Double(embeddingStep) * exp2(-Double(embeddingShift))
    var network = graph.decoder.networks(architecture, of: [graph.decoder.numbers], maxima, unit: unit)[0]
    network.embeddingShift = embeddingShift
    return NeRVSegment(network: network, frames: frameCount, embeddings: embeddings)
  }
}

extension NeRVGraph {
  /// Rounds what was not rounded in its fit.
  func roundFinely(frames count: Int, threads: Int, iteration: Int) {
    tape.forward(threads: threads, iteration: iteration)
    beginRounding(frames: count)
    for step in decoder.steps + [embeddingStep] { step.value[0] -= 4 }
  }
}

/// The largest magnitude of what each layer has made.
struct LayerMaxima {
  var values: [Float]

  init(_ architecture: NeRVArchitecture) { values = [Float](repeating: 0, count: architecture.layers.count) }

  mutating func include(_ frame: NeRVGraph.Frame) {
    for (i, made) in frame.layers.enumerated() { values[i] = made.reduce(values[i]) { max($0, $1.greatestMagnitude) } }
  }
}

extension NeRVParameters {
  /// Networks in integers, of one format all of them, with the numbers of each. `unit` is what 1 stands for in the first layer's inputs.
  // bitstream-spec 14.4
  func networks(_ architecture: NeRVArchitecture, of numbers: [CodedNumbers], _ maxima: LayerMaxima, unit: Double) -> [NeRVNetwork] {
    var (unit, networks): (Double, [[NeRVLayer]]) = (unit, numbers.map { _ in [] })
    let layers = architecture.layers, fractions = Self.fractions(architecture, maxima)
    for (i, layer) in layers.enumerated() {
      let isLast = i == layers.count - 1
      // Numbers before rounding are below 16, or with some multipliers up to 32. Where there is no activation, what they stand for is free.
      let doublings = layer.isLinear ? (0..<2).first { 1.25 * maxima.values[i] < Float(16 << $0) } ?? 2 : 0
      let made = self.layers(i, layer, numbers, unit: unit, fraction: fractions[i] + doublings, doublings: doublings, isLast: isLast)
      for (group, layer) in made.enumerated() { networks[group].append(layer) }
      unit = exp2(-Double(fractions[i]))
    }
    return networks.map { NeRVNetwork(architecture, layers: $0) }
  }

  /// Of each layer's numbers, which have room for a quarter more than was seen, as integers need not be quite the same.
  private static func fractions(_ architecture: NeRVArchitecture, _ maxima: LayerMaxima) -> [Int] {
    var fractions = maxima.values.map { most in (4...10).last { 1.25 * most * exp2f(Float($0)) <= 8191 } ?? 4 }
    fractions[fractions.count - 1] = 4
    // What is added to a layer's numbers is in their unit.
    let first = architecture.stemLayers.count
    var links: [(Int, Int)] = []
    for (i, stage) in architecture.stages.enumerated() { links += stage.sums.map { (first + i, first + i - $0 - 1) } }
    for _ in links {
      for (a, b) in links {
        let least = min(fractions[a], fractions[b])
        (fractions[a], fractions[b]) = (least, least)
      }
    }
    return fractions
  }

  /// A layer by group, whose numbers before rounding stand for so many times 2 as they would with an activation.
  private func layers(
    _ i: Int, _ stage: NeRVArchitecture.Stage, _ numbers: [CodedNumbers], unit: Double, fraction: Int, doublings: Int, isLast: Bool
  ) -> [NeRVLayer] {
    var step = Double(weights[i].rounding.step), changes = numbers.map { $0.weights[i] }
    var all: [[Int16]] = [], amplitude = 0, centreShift = 8
    // Weights in as small parts of the step as the sums have room for.
    while true {
      let wanted = (Self.bound(stage) * exp2(Double(centreShift)) / step).rounded()
      amplitude = Int(min(32767, wanted))
      all = wanted > 32767 ? [] : changes.compactMap { Self.weights($0, i, shift: centreShift, amplitude: amplitude, columns: stage.columns) }
      if all.count == changes.count { break }
      if centreShift > 0 {
        centreShift -= 1
      } else {
        // A fit that has hardly begun has steps that are too fine for the sums.
        step *= 2
        changes = changes.map { $0.map { ($0 + $0.signum()) / 2 } }
      }
    }
    let (multiplier, shift) = Self.multiplier(exp2(Double(NeRVLayer.sumFraction - doublings)) * step * exp2(-Double(centreShift)) * unit)
    let biasShift = NeRVLayer.sumFraction - Self.biasFraction(isLast: isLast) - doublings
    return zip(all, numbers).map { weights, numbers in
      NeRVLayer(
        weights: weights, biases: numbers.biases[i].map { $0 << Int16(biasShift) }, shift: shift, multiplier: multiplier, fraction: fraction,
        centreShift: centreShift, amplitude: amplitude, biasShift: biasShift)
    }
  }

  /// Of changes; nil where a weight or a row is beyond its bounds.
  private static func weights(_ changes: [Int16], _ stage: Int, shift: Int, amplitude: Int, columns: Int) -> [Int16]? {
    var initial = InitialWeights(stage: stage)
    var (weights, sum): ([Int16], Int) = ([], 0)
    weights.reserveCapacity(changes.count)
    for (i, change) in changes.enumerated() {
      let wide = Int(change) << shift + initial.next(amplitude: amplitude)
      sum = i % columns == 0 ? abs(wide) : sum + abs(wide)
      guard abs(wide) <= 32767, sum <= NeRVLayer.maximumRowSum else { return nil }
      weights.append(Int16(wide))
    }
    return weights
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
