import Autograd
import EntropyCoding
import Glibc

/// Fits the networks of a segment's groups, one group after the other: each begins as the one before has ended, and what it changes costs bits. The
/// result does not depend on threads.
package final class NIRVANAFit: NetworkFit {
  package let settings: NeRVSettings
  package let graph: NeRVGraph
  package let frameCount: Int
  package private(set) var iteration = 0
  package let iterations: Int
  package private(set) var lambda = 0.0

  private let load: (Int, Variable) -> Void
  private let groupCount: Int
  private let firstIterations: Int
  private var optimiser: NeRVOptimiser
  /// Of the groups that are done.
  private var done: [CodedNumbers] = []
  private var maxima: LayerMaxima
  private let meter = BitMeter()
  private let coder: GroupNumbers
  /// Bits of the first group, once that is done.
  private var firstBits = 0.0
  /// What a group's coded numbers take of the estimate, as was seen last.
  private var coding = 1.0
  /// Estimate of the group that goes on, by the last iteration.
  private var runBits = 0.0
  /// Of the frames of all groups that are done, and of the group that goes on as they were seen last.
  private var (doneSum, sum) = (0.0, 0.0)

  /// Times that the first group is seen, for each time that others are.
  private static let firstEpochs = 2
  /// Bits of the first group for each bit of others, where nothing is known yet.
  static let firstWeight = 4.0
  /// Groups among which the first one's bits are shared, as what it says serves those after it, too.
  private static let sharingGroups = 4
  /// Of groups but the first: what all rates are times, and the share of a group's iterations, the first ones, in which changes are not rounded.
  private static let laterRate: Float = 0.7, laterFreeShare = 0.3

  /// `load` puts a frame's samples, 0...1, into a variable [3, h, w] that may be larger than the frame (`VideoFrame.load(into:)`).
  package init(_ architecture: NeRVArchitecture, frames: Int, settings: NeRVSettings, load: @escaping (Int, Variable) -> Void) {
    precondition(frames > 0 && settings.epochs > 0, "there is something to fit")
    (self.settings, self.load, frameCount) = (settings, load, frames)
    graph = NeRVGraph(architecture, batch: architecture.passFrames, encoderWidth: settings.method.encoderWidth, seed: settings.seed)
    groupCount = architecture.groups(frames: frames)
    firstIterations = Self.firstEpochs * settings.epochs
    iterations = firstIterations + (groupCount - 1) * settings.epochs
    (maxima, coder) = (LayerMaxima(architecture), GroupNumbers(architecture))
    optimiser = NeRVOptimiser(graph, settings, iterations: firstIterations)
    graph.beginAtMean(of: 0..<min(frames, architecture.passFrames), load)
  }

  package var psnr: Double {
    let frames = min(frameCount, done.count * graph.frames.count), current = done.count < groupCount && sum > 0 ? self.frames(of: done.count).count : 0
    return frames + current == 0 ? 0 : (doneSum + sum) / Double(frames + current)
  }

  private var rounds: Bool { graph.decoder.weights[0].rounding.isOn }

  package var bits: Double? {
    guard rounds else { return nil }
    guard !done.isEmpty else { return runBits * coding / bitShare }
    let current = done.count < groupCount ? runBits * coding : 0
    let others = (meter.bits - firstBits + current) / Double(max(1, min(done.count, groupCount - 1)))
    return 8 * Double(SegmentWriter.headerBytes(graph.architecture)) + firstBits + others * Double(groupCount - 1)
  }

  private func frames(of group: Int) -> Range<Int> { group * graph.frames.count..<min(frameCount, (group + 1) * graph.frames.count) }

  /// The first iteration of a group, and how many there are.
  private func begin(of group: Int) -> Int { group == 0 ? 0 : firstIterations + (group - 1) * settings.epochs }
  private func iterations(of group: Int) -> Int { group == 0 ? firstIterations : settings.epochs }

  package func step(threads: Int) {
    let group = done.count, number = iteration - begin(of: group), count = iterations(of: group)
    if number == 0 { beginGroup() }
    let free = group == 0 ? 1 - settings.roundedShare : Self.laterFreeShare
    let part = (Double(number) / Double(count) - free) / (1 - free)
    if group == 0 {
      if !rounds, part >= 0, settings.roundedShare > 0 { beginRounding(threads: threads) }
      if rounds { followRate(part) }
    } else {
      graph.setRounding(part >= 0)
    }
    graph.tape.run(threads: threads, iteration: iteration)
    runBits = graph.decoder.bits(withBiases: group > 0)
    optimiser.step(number, rounded: rounds ? max(0, part) : nil, threads: threads)
    sum = currentPSNR
    iteration += 1
    if group == 0, rounds, (number + 1) % max(1, count / 20) == 0 {
      coding = Double(8 * SegmentWriter.bytes(of: graph.decoder.numbers, graph.architecture)) / max(1, runBits)
    }
    if number + 1 == count { endGroup(threads: threads) }
  }

  /// Of the last pass, all frames of the group together.
  private var currentPSNR: Double { graph.frames.prefix(frames(of: done.count).count).reduce(0) { $0 + $1.psnr(pixels: graph.pixels) } }

  private func beginGroup() {
    if let last = done.last { graph.decoder.begin(after: last) }
    prepareGroup()
  }

  /// What of a group is no state.
  private func prepareGroup() {
    let group = done.count, frames = frames(of: group)
    for (number, frame) in zip(frames, graph.frames) { load(number, frame.target) }
    graph.setCounting(frames.count)
    optimiser = NeRVOptimiser(
      graph, settings, iterations: iterations(of: group), rate: group == 0 ? 1 : Self.laterRate, learnsSteps: group == 0)
    graph.chargesBiases = group > 0
    graph.setCost(lambda, frames: chargedFrames)
  }

  /// Frames that a bit of the group that goes on is shared by.
  private var chargedFrames: Int { done.isEmpty ? min(frameCount, Self.sharingGroups * graph.frames.count) : frames(of: done.count).count }

  private func endGroup(threads: Int) {
    if !rounds { graph.roundFinely(frames: chargedFrames, threads: threads, iteration: iteration) }
    graph.tape.forward(threads: threads, iteration: iteration)
    let (numbers, estimate, before) = (currentNumbers, graph.decoder.bits(withBiases: !done.isEmpty), meter.bits)
    maxima.include(graph.frames[0])
    (doneSum, sum, runBits) = (doneSum + currentPSNR, 0, 0)
    count(numbers)
    let bits = meter.bits - before
    // Of changes nothing is known yet behind the first group.
    coding = done.count == 1 ? 1 : max(0.1, min(10, bits / max(1, estimate)))
    guard let wantedBits, done.count > 1, done.count < groupCount else { return }
    // As many bits as are left for each group to come, or a tenth of an even share where there are none.
    let left = max((wantedBits - meter.bits) / Double(groupCount - done.count), 0.1 * wantedBits / Double(groupCount))
    lambda = max(1e-8, min(100, lambda * max(0.5, min(2, (bits / left).squareRoot()))))
  }

  private func count(_ numbers: CodedNumbers) {
    var copy = numbers
    // Measuring throws nothing.
    try! coder.visit(&copy, meter)
    if done.isEmpty { firstBits = meter.bits }
    done.append(numbers)
  }

  /// Of the group that goes on.
  private var currentNumbers: CodedNumbers { done.last.map { $0.changed(by: graph.decoder.numbers) } ?? graph.decoder.numbers }

  /// Bits that all is to have.
  private var wantedBits: Double? { settings.cost.wantedBits(numbers: Double(graph.architecture.parameterCount) / bitShare) }

  /// The share of a segment's bits that its first group is given, if nothing else is known.
  static func firstShare(groups: Int) -> Double { 1 / (1 + Double(groups - 1) / firstWeight) }

  private var bitShare: Double { Self.firstShare(groups: groupCount) }

  private func beginRounding(threads: Int) {
    graph.tape.forward(threads: threads, iteration: iteration)
    graph.beginRounding(frames: chargedFrames)
    if case .lambda(let lambda) = settings.cost {
      self.lambda = lambda
    } else if let wantedBits {
      lambda = NeRVFit.firstLambda(psnr: sum / Double(frames(of: 0).count), bits: bitShare * wantedBits, pixels: graph.pixels * chargedFrames)
    }
    graph.setCost(lambda, frames: chargedFrames)
  }

  private func followRate(_ part: Double) {
    guard let wantedBits, part > 0.25, runBits > 0 else { return }
    let gain = 12 / (Double(firstIterations) * settings.roundedShare)
    lambda = NeRVFit.cost(after: lambda, bits: runBits * coding, wanted: bitShare * wantedBits, part: part, gain: gain)
    graph.setCost(lambda, frames: chargedFrames)
  }

  /// Groups that were not reached are as the last one that was.
  // bitstream-spec 14.3, 14.4
  package func segment(threads: Int) -> NeRVSegment {
    var (numbers, maxima) = (done, maxima)
    if numbers.count < groupCount {
      if iteration > begin(of: done.count) || done.isEmpty {
        if iteration == 0 { prepareGroup() }
        if !rounds { graph.roundFinely(frames: chargedFrames, threads: threads, iteration: iteration) }
        graph.setRounding(true)
        graph.tape.forward(threads: threads, iteration: iteration)
        maxima.include(graph.frames[0])
        numbers.append(currentNumbers)
      }
      numbers += [CodedNumbers](repeating: numbers[numbers.count - 1], count: groupCount - numbers.count)
    }
    let networks = graph.decoder.networks(graph.architecture, of: numbers, maxima, unit: exp2(-Double(NeRVStem.waveFraction)))
    return NeRVSegment(networks: networks, frames: frameCount)
  }

  private var parameters: [Parameter] { graph.decoder.trained + graph.decoder.steps }

  package var state: [UInt8] {
    var state = FitStateWriter()
    let numbers = [lambda, coding, doneSum, sum, runBits]
    state.append([UInt64(iteration), UInt64(done.count), rounds ? 1 : 0] + numbers.map(\.bitPattern))
    for numbers in done { for part in numbers.weights + numbers.biases { state.append(part) } }
    state.append(maxima.values)
    state.append(parameters.flatMap(\.elements) + optimiser.state)
    return state.bytes
  }

  package func restore(_ state: ArraySlice<UInt8>) -> Bool {
    var state = FitStateReader(state)
    guard let words = state.numbers(8, of: UInt64.self), words[0] <= UInt64(iterations), words[1] <= UInt64(groupCount) else { return false }
    let (iteration, groups) = (Int(words[0]), Int(words[1]))
    guard iteration >= begin(of: groups), groups == groupCount || iteration < begin(of: groups) + iterations(of: groups) else { return false }
    for _ in 0..<groups {
      var numbers = CodedNumbers(graph.architecture)
      for part in [\CodedNumbers.weights, \.biases] {
        for i in numbers[keyPath: part].indices {
          guard let read = state.numbers(numbers[keyPath: part][i].count, of: Int16.self) else { return false }
          numbers[keyPath: part][i] = read
        }
      }
      count(numbers)
    }
    guard let maxima = state.numbers(self.maxima.values.count, of: UInt32.self), state.load(parameters), let rest = state.floats() else { return false }
    self.maxima.values = maxima.map(Float.init(bitPattern:))
    self.iteration = iteration
    let numbers = words[3...].map(Double.init(bitPattern:))
    (lambda, coding, doneSum, sum, runBits) = (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4])
    let trained = graph.decoder.trained.map(\.elements)
    if let last = done.last { graph.decoder.begin(after: last) }
    for (parameter, values) in zip(graph.decoder.trained, trained) { parameter.load(values) }
    if words[2] == 1 { graph.setRounding(true) }
    if groups < groupCount { prepareGroup() }
    return optimiser.restore(rest[...])
  }
}

/// Adds up what bits cost, instead of coding them.
private final class BitMeter: ModelledBits {
  private(set) var bits = 0.0

  func bit(_ bit: Int, one: Int32) -> Int {
    bits -= log2(Double(bit == 1 ? one : 65536 - one) / 65536)
    return bit
  }
}

extension CodedNumbers {
  /// Numbers of the next group, within their bounds.
  fileprivate func changed(by changes: CodedNumbers) -> CodedNumbers {
    func sum(_ a: [[Int16]], _ b: [[Int16]], limit: Int) -> [[Int16]] {
      zip(a, b).map { zip($0, $1).map { Int16(max(-limit, min(limit, Int($0) + Int($1)))) } }
    }
    return CodedNumbers(weights: sum(weights, changes.weights, limit: 16383), biases: sum(biases, changes.biases, limit: 8191))
  }
}
