import Glibc

/// A frame, ready for quantisation.
struct AnalysedFrame {
  /// By pair.
  var shapes: [FrameShape]
  /// [channel][coefficient], a pair's turned by its angles.
  var coefficients: [[Float]]
  /// [channel][band], in quarters of an octave; empty where bands have the same step.
  var offsets: [[Int]]
}

/// Encodes the frames of a group. The inverse is `GroupDecoder`.
// bitstream-spec 11.5
final class GroupEncoder {
  struct Options {
    var lambda: Float = 0.12
    var hasNoise = false
    /// Eighths of what is usual.
    var holes = 0
    /// In dB, of noise less than what it stands for.
    var noiseReduction: Float = 0
  }

  private let state: GroupState
  /// 1 / step of the coefficients of a block.
  private var inverses: [Float]
  var options: Options
  /// False in training, where what was learned in a group is kept for the next one.
  var startsAfresh = true
  /// For training.
  var notes: TrainingNotes?

  var geometry: AudioGeometry { state.geometry }
  var map: BandMap { state.map }
  var model: CoefficientModel { state.model }

  init(_ geometry: AudioGeometry, channels: Int, _ model: CoefficientModel, options: Options) {
    self.options = options
    state = GroupState(geometry, channels: channels, model)
    inverses = [Float](repeating: 0, count: geometry.longest)
  }

  /// The range-coded bytes of the group.
  func encode(_ frames: ArraySlice<AnalysedFrame>, stepIndex: Int) -> [UInt8] {
    let writer = GroupWriter(model, lambda: options.lambda, isFresh: startsAfresh, notes: notes)
    state.beginGroup()
    var header = GroupHeader(
      stepIndex: stepIndex, hasOffsets: frames.contains { !$0.offsets.isEmpty }, hasNoise: options.hasNoise,
      holes: options.holes)
    // Writing throws nothing.
    try! header.visit(writer)
    var memories = state.memories()
    let bandwidths = memories.indices.map { bandwidth(frames, pair: $0, stepIndex) }
    for frame in frames {
      for pair in memories.indices {
        write(frame, pair, header, bandwidths[pair], &memories[pair], writer)
      }
    }
    return writer.finish()
  }

  /// The least step index with which no magnitude is too large.
  func finestStep(_ frames: [AnalysedFrame]) -> Int {
    var largest: Float = 0
    for frame in frames {
      for c in frame.coefficients.indices {
        var first = 0
        for depth in frame.shapes[c / 2].depths {
          let edges = map.edges[depth]
          for b in 0..<geometry.bandCount {
            let peak = frame.coefficients[c][first + edges[b]..<first + edges[b + 1]].reduce(Float(0)) { max($0, abs($1)) }
            largest = max(largest, frame.offsets.isEmpty ? peak : peak * exp2f(-Float(frame.offsets[c][b]) / 4))
          }
          first += geometry.longest >> depth
        }
      }
    }
    guard largest > 0 else { return 0 }
    return max(0, min(4095, Int((128 * (log2f(largest / GroupWriter.largest) + 24)).rounded(.up))))
  }

  private func steps(_ frame: AnalysedFrame, _ channel: Int, _ stepIndex: Int) -> [Float] {
    guard !frame.offsets.isEmpty else { return [Float](repeating: Steps.step(stepIndex), count: geometry.bandCount) }
    return frame.offsets[channel].map { Steps.step(stepIndex, offset: $0) }
  }

  /// Of the highest coefficient that is more than about half a step, in 64ths of the frame.
  private func bandwidth(_ frames: ArraySlice<AnalysedFrame>, pair: Int, _ stepIndex: Int) -> Int {
    var highest = 0
    let unit = geometry.bandwidthUnit
    for frame in frames {
      for c in 2 * pair..<2 * pair + state.width(ofPair: pair) {
        let steps = steps(frame, c, stepIndex)
        var first = 0
        for depth in frame.shapes[pair].depths {
          let size = geometry.longest >> depth
          let bands = map.bands[depth]
          var k = size - 1
          while k << depth >= highest, k >= 0 {
            if abs(frame.coefficients[c][first + k]) > 0.6 * steps[Int(bands[k])] {
              highest = (k + 1) << depth
              break
            }
            k -= 1
          }
          first += size
        }
      }
    }
    return (highest + unit - 1) / unit
  }

  private func write(
    _ frame: AnalysedFrame, _ pair: Int, _ header: GroupHeader, _ bandwidth: Int, _ memory: inout FrameMemory, _ writer: GroupWriter
  ) {
    let count = state.width(ofPair: pair)
    var shape = frame.shapes[pair]
    shape.bandwidth = bandwidth
    try! memory.visit(&shape, writer)
    let steps = (0..<count).map { self.steps(frame, 2 * pair + $0, header.stepIndex) }
    if header.hasOffsets {
      for c in 0..<count {
        var offsets = frame.offsets[2 * pair + c]
        try! memory.visitOffsets(&offsets, channel: c, writer)
      }
    }
    let longest = geometry.longest
    var first = 0
    for depth in shape.depths {
      let size = longest >> depth
      let coded = size * shape.bandwidth / 64
      for c in 0..<count {
        let neighbours = state.beginBlock(depth: depth, pair: pair, channel: c)
        let bands = map.bands[depth]
        inverses.withUnsafeMutableBufferPointer { inverses in
          for k in 0..<coded { inverses[k] = 1 / steps[c][Int(bands[k])] }
        }
        let target = state.levels + c * longest + first
        frame.coefficients[2 * pair + c].withUnsafeBufferPointer { values in
          inverses.withUnsafeBufferPointer {
            writer.write(values.baseAddress! + first, coded, inverse: $0.baseAddress!, neighbours, levels: target)
          }
        }
        for k in coded..<size { target[k] = 0 }
      }
      state.endBlock(pair: pair)
      first += size
    }
    guard header.hasNoise else { return }
    for c in 0..<count {
      let isEmpty = state.emptyBands(channel: c, shape.depths)
      var fill = noise(frame.coefficients[2 * pair + c], shape.depths, steps[c], isEmpty)
      try! memory.visitNoise(&fill, isEmpty, channel: c, writer)
    }
  }

  /// Levels of the bands without coefficients.
  private func noise(_ values: [Float], _ depths: [Int], _ steps: [Float], _ isEmpty: [Bool]) -> [Int] {
    var energies = [Float](repeating: 0, count: steps.count)
    var first = 0
    for depth in depths {
      let edges = map.edges[depth]
      for b in steps.indices where isEmpty[b] {
        for k in first + edges[b]..<first + edges[b + 1] { energies[b] += values[k] * values[k] }
      }
      first += geometry.longest >> depth
    }
    return steps.indices.map { b in
      guard isEmpty[b], energies[b] > 0 else { return 0 }
      let mean = energies[b] / Float(geometry.edges[b + 1] - geometry.edges[b])
      let octaves = 0.5 * log2f(mean / (steps[b] * steps[b])) - options.noiseReduction / 6.02
      let level = Int((-2 * octaves - 1).rounded())
      return level >= FrameMemory.noiseLevels ? 0 : max(1, level)
    }
  }
}
