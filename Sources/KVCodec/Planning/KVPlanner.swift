import Coding

/// Chooses, part by part, what of a cache to fetch so that it is there by a deadline: CacheGen's controller, and one that
/// plans ahead.
///
///     var planner = try KVPlanner(file, options: options)
///     while let choice = planner.next(elapsed: seconds, bytesPerSecond: measured) { ... }    // fetch it, or start the model
///
/// Parts are fetched in order, one after the other, while the model may compute others; it computes a part once all parts
/// before it are there. Decoding is taken to keep up with the link.
public struct KVPlanner: Sendable {
  public enum Rule: String, Sendable, CaseIterable {
    /// Of what fits the time that is left, that with the least squared error over all parts still to come. The model, if it is
    /// needed, computes the next parts, as few as will do, while the link fetches those behind them; what early parts save,
    /// later ones spend.
    case ahead
    /// CacheGen's: every part has an equal share of the deadline; the best level that fits it, else the text.
    case cachegen
  }

  public struct Options: Sendable {
    /// Seconds from the start, above 0.
    public var deadline: Double
    /// Tokens a second that the model computes from the text; nil: it does not.
    public var recomputeRate: Double?
    public var rule = Rule.ahead
    /// Bytes that the link takes for a token of text.
    public var textBytesPerToken = 4
    /// What has to be fetched before the first part.
    public var preambleBytes = 0

    public init(deadline: Double, recomputeRate: Double? = nil) {
      self.deadline = deadline
      self.recomputeRate = recomputeRate
    }
  }

  public let chunks: [KVPlan.Chunk]
  public let qualities: [Int?]
  public let options: Options
  /// The part that `next` decides on.
  public private(set) var number = 0

  /// When the parts before `number` are all there, as expected, in seconds from the start.
  private var ready = 0.0
  /// What the last look ahead came to for the parts from `number` on, and under what it holds.
  private var plan: (choices: ArraySlice<KVPlan.Choice>, elapsed: Double, bytesPerSecond: Double)?
  /// By level and part: its weight in the squared error, tokens by distortion.
  private let errors: [[Double]]
  /// By level: bytes of the parts from i on.
  private let rest: [[Double]]

  /// - Parameter qualities: 0...100 by level, the best first; nil where not known.
  /// Throws `CodecError` (invalidOption) for options that make no sense, and for parts that do not have all levels.
  public init(chunks: [KVPlan.Chunk], qualities: [Int?], options: Options) throws {
    guard !qualities.isEmpty, chunks.allSatisfy({ $0.bytes.count == qualities.count && $0.bytes.allSatisfy { $0 >= 0 } }) else {
      throw CodecError(.invalidOption, "the parts do not all have the same levels")
    }
    guard options.deadline.isFinite, options.deadline > 0 else {
      throw CodecError(.invalidOption, "a deadline of \(options.deadline) seconds is not above 0")
    }
    if let rate = options.recomputeRate, !(rate.isFinite && rate > 0) {
      throw CodecError(.invalidOption, "\(rate) tokens a second are not above 0")
    }
    guard options.textBytesPerToken >= 0, options.preambleBytes >= 0 else {
      throw CodecError(.invalidOption, "there are no bytes below 0")
    }
    (self.chunks, self.qualities, self.options) = (chunks, qualities, options)
    // Levels of unknown quality are taken to lie a quarter of the scale apart.
    let distortions = qualities.enumerated().map { KVDistortion.of(quality: Double($1 ?? max(0, 100 - 25 * $0))) }
    errors = distortions.map { distortion in chunks.map { distortion * Double($0.tokens) } }
    rest = qualities.indices.map { level in
      var sums = [0.0]
      for chunk in chunks.reversed() { sums.append(sums[sums.count - 1] + Double(chunk.bytes[level])) }
      return sums.reversed()
    }
  }

  /// Of a file, whose levels it chooses from; what is in it beside the levels is fetched first.
  public init(_ file: KVCacheFile, options: Options) throws {
    var options = options
    options.preambleBytes += file.byteCount - file.levels.reduce(0) { $0 + $1.byteCount }
    let qualities = file.levels.map { $0.scheme == "lossless" ? 100 : $0.quality }
    try self.init(chunks: file.chunks, qualities: qualities, options: options)
  }

  /// What to do about the next part, at the time when the link is free for it; nil after the last.
  ///
  /// - Parameters:
  ///   - elapsed: seconds since the start.
  ///   - bytesPerSecond: what the link is expected to do from now on, such as what it did for the last part.
  public mutating func next(elapsed: Double, bytesPerSecond: Double) -> KVPlan.Choice? {
    guard number < chunks.count else { return nil }
    let speed = bytesPerSecond.isFinite && bytesPerSecond > 0 ? bytesPerSecond : 1
    let elapsed = elapsed.isFinite ? max(0, elapsed) : 0
    let choice = switch options.rule {
    case .cachegen: shared(speed)
    case .ahead: ahead(elapsed, speed)
    }
    let arrival = elapsed + Double(bytes(of: choice, chunk: number)) / speed
    ready = max(ready, arrival)
    if choice == .recompute { ready += computing(number) }
    number += 1
    return choice
  }

  /// Bytes over the link.
  func bytes(of choice: KVPlan.Choice, chunk: Int) -> Int {
    switch choice {
    case .level(let level): chunks[chunk].bytes[level]
    case .recompute: chunks[chunk].tokens * options.textBytesPerToken
    }
  }

  /// Seconds that the model takes for a part; infinite where there is none.
  func computing(_ chunk: Int) -> Double { options.recomputeRate.map { Double(chunks[chunk].tokens) / $0 } ?? .infinity }

  /// CacheGen's rule.
  private func shared(_ speed: Double) -> KVPlan.Choice {
    let share = options.deadline / Double(chunks.count)
    if let level = qualities.indices.first(where: { Double(chunks[number].bytes[$0]) / speed < share }) { return .level(level) }
    return options.recomputeRate == nil ? .level(qualities.count - 1) : .recompute
  }

  private mutating func ahead(_ elapsed: Double, _ speed: Double) -> KVPlan.Choice {
    // A plan holds as long as the link keeps to it.
    if let last = plan, !last.choices.isEmpty, abs(speed - last.bytesPerSecond) <= 1e-9 * speed,
      abs(elapsed - last.elapsed) <= 1e-9 * options.deadline
    {
      return follow(last.choices, elapsed, speed)
    }
    return follow(choices(elapsed, speed)[...], elapsed, speed)
  }

  private mutating func follow(_ choices: ArraySlice<KVPlan.Choice>, _ elapsed: Double, _ speed: Double) -> KVPlan.Choice {
    let choice = choices[choices.startIndex]
    plan = (choices.dropFirst(), elapsed + Double(bytes(of: choice, chunk: number)) / speed, speed)
    return choice
  }

  /// The best that can be done about the parts from `number` on.
  ///
  /// Parts that the model computes come first: it begins at once then and waits for none, so that of parts of like size, which
  /// they are, no other choice of as many is there sooner.
  /// As few are computed as let all others come in the best level; where no number does, as many as the deadline lets, since
  /// each takes its bytes off the link.
  private func choices(_ elapsed: Double, _ speed: Double) -> [KVPlan.Choice] {
    let budget = (options.deadline - elapsed) * speed
    let worst = qualities.count - 1
    var (text, end) = (0.0, max(ready, elapsed))
    var inTime = (count: 0, text: 0.0)
    /// The number of computed parts with which all is there soonest, others in the worst level.
    var soonest = (count: 0, end: Double.infinity)
    for count in 0...chunks.count - number {
      if count > 0 {
        let chunk = number + count - 1
        text += Double(bytes(of: .recompute, chunk: chunk))
        end = max(end, elapsed + text / speed) + computing(chunk)
      }
      let last = max(count > 0 ? end : 0, elapsed + (text + rest[worst][number + count]) / speed)
      if last < soonest.end { soonest = (count, last) }
      if count == 0 || end <= options.deadline {
        inTime = (count, text)
        if text + rest[0][number + count] <= budget { break }
      } else if end >= soonest.end {
        // More of them are later still.
        break
      }
    }
    let isMet = inTime.text + rest[worst][number + inTime.count] <= budget
    let count = isMet ? inTime.count : soonest.count
    let levels = self.levels(from: number + count, budget: isMet ? budget - inTime.text : 0)
    return [KVPlan.Choice](repeating: .recompute, count: count) + levels.map { .level($0) }
  }

  /// The levels of parts that take at most `budget` bytes together and have the least squared error, but for the last part
  /// that does not quite fit; the worst everywhere where nothing fits.
  private func levels(from first: Int, budget: Double) -> [Int] {
    let worst = qualities.count - 1
    var levels = [Int](repeating: worst, count: chunks.count - first)
    var left = budget - rest[worst][first]
    guard left > 0, worst > 0 else { return levels }
    // From the worst level up, along each part's lower convex hull of bytes and error, the steepest steps first.
    var steps: [(gain: Double, chunk: Int, level: Int, bytes: Double)] = []
    for chunk in first..<chunks.count {
      var (from, last) = (worst, Double.infinity)
      while from > 0 {
        var best: (gain: Double, level: Int)?
        for level in 0..<from {
          let bytes = Double(chunks[chunk].bytes[level] - chunks[chunk].bytes[from])
          let saved = errors[from][chunk] - errors[level][chunk]
          guard saved > 0 else { continue }
          let gain = bytes > 0 ? saved / bytes : .infinity
          if best == nil || gain > best!.gain { best = (gain, level) }
        }
        guard let (gain, level) = best else { break }
        // A hull is never steeper further up, but for rounding.
        last = min(last, gain)
        steps.append((last, chunk, level, Double(chunks[chunk].bytes[level] - chunks[chunk].bytes[from])))
        from = level
      }
    }
    // Of equal ones the earlier part's: texts begin with what later tokens attend to most.
    steps.sort { ($1.gain, $0.chunk, $1.level) < ($0.gain, $1.chunk, $0.level) }
    var isClosed = [Bool](repeating: false, count: levels.count)
    for step in steps where !isClosed[step.chunk - first] {
      guard step.bytes <= left else {
        isClosed[step.chunk - first] = true
        continue
      }
      left -= step.bytes
      levels[step.chunk - first] = step.level
    }
    return levels
  }
}

extension KVPlanner {
  /// What comes of it on a link of constant speed.
  public func simulated(bytesPerSecond: Double) -> KVPlan { simulated([(from: 0, bytesPerSecond: bytesPerSecond)]) }

  /// What comes of it on a link whose speed changes: the planner expects the first speed, then what the last part had.
  ///
  /// - Parameter link: speeds above 0, from which second on, rising from 0; the last one stays.
  public func simulated(_ link: [(from: Double, bytesPerSecond: Double)]) -> KVPlan {
    precondition(!link.isEmpty && link.allSatisfy { $0.bytesPerSecond > 0 }, "a link that carries something")
    var planner = self
    var elapsed = Self.arrival(of: options.preambleBytes, from: 0, on: link)
    var expected = link[0].bytesPerSecond
    var (ready, steps) = (0.0, [KVPlan.Step]())
    while let choice = planner.next(elapsed: elapsed, bytesPerSecond: expected) {
      let number = steps.count
      let bytes = bytes(of: choice, chunk: number)
      let arrival = Self.arrival(of: bytes, from: elapsed, on: link)
      if bytes > 0, arrival > elapsed {
        let measured = Double(bytes) / (arrival - elapsed)
        // Rounding is no news.
        if abs(measured - expected) > 1e-6 * expected { expected = measured }
      }
      elapsed = arrival
      ready = max(ready, elapsed)
      if choice == .recompute { ready += computing(number) }
      steps.append(KVPlan.Step(chunk: chunks[number], choice: choice, bytes: bytes, ready: ready))
    }
    return KVPlan(steps: steps, deadline: options.deadline, qualities: qualities)
  }

  private static func arrival(of bytes: Int, from start: Double, on link: [(from: Double, bytesPerSecond: Double)]) -> Double {
    var (left, time) = (Double(bytes), start)
    for (i, piece) in link.enumerated() {
      guard i + 1 < link.count else { return time + left / piece.bytesPerSecond }
      let end = link[i + 1].from
      guard end > time else { continue }
      if left <= (end - time) * piece.bytesPerSecond { return time + left / piece.bytesPerSecond }
      left -= (end - time) * piece.bytesPerSecond
      time = end
    }
    return time
  }
}
