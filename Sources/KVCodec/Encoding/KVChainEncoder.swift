import Bitstream
import CKernels
import Coding
import EntropyCoding
import Glibc
import Media
import Tensors

/// Encodes a cache's payloads by the schemes with chains, in their order. The inverse is `KVChainDecoder`, whose chains it runs
/// along, as the next tokens are predicted from decoded ones.
// bitstream-spec 10.10
final class KVChainEncoder {
  private let cache: KVCache
  private let configuration: KVConfiguration
  private let shapes: [KVLayerGroup]
  private let stepIndex: Int
  private let recentTokens: Int
  private let threads: Int
  private var chains: [Chain] = []

  private typealias Chain = KVCodedChain<[KVBlockScales]>

  /// `stepIndex`: as in `KVBlockScales`. `recentTokens`: of the cache's last ones, kept in finer steps.
  ///
  /// Throws `CodecError` (unsupported) where the profile is not the one that the configuration names.
  init(
    _ cache: KVCache, _ configuration: KVConfiguration, _ profile: KVProfile?, stepIndex: Int, recentTokens: Int, threads: Int
  ) throws {
    let profile = try configuration.checked(profile)
    (self.cache, self.configuration) = (cache, configuration)
    (self.stepIndex, self.recentTokens, self.threads) = (stepIndex, recentTokens, threads)
    shapes = configuration.shapes
    chains = Chain.all(of: shapes, configuration, profile, forEncoding: true, threads: threads)
  }

  /// The blocks of the payload of `tokens` tokens from position `start` on, by layer. `beginsSegment`: whether decoding can
  /// begin there.
  func blocks(start: UInt64, tokens: Int, beginsSegment: Bool) throws -> [[[UInt8]]] {
    var blocks = zip(shapes, configuration.blockCounts).map { [[UInt8]](repeating: [], count: $1) }
    let inner = chains.count > 1 ? 1 : threads
    var results = [Result<[[UInt8]], any Error>](repeating: .success([]), count: chains.count)
    results.withUnsafeMutableBufferPointer { results in
      nonisolated(unsafe) let results = results
      nonisolated(unsafe) let chains = chains
      parallelFor(chains.count, threads: threads) { i in
        results[i] = Result {
          if beginsSegment { chains[i].scales = nil }
          return try encode(chains[i], start: start, tokens: tokens, threads: inner)
        }
      }
    }
    for (chain, result) in zip(chains, results) {
      for (layer, block) in zip(chain.plan.layers, try result.get()) { blocks[layer][chain.plan.block] = block }
    }
    return blocks
  }

  private func encode(_ chain: Chain, start: UInt64, tokens: Int, threads: Int) throws -> [[UInt8]] {
    let numbers = chain.plan.layers
    let held = KVPayload.positions(of: shapes[numbers[0]], start: start, tokens: tokens)
    guard !held.isEmpty else { return [[UInt8]](repeating: [], count: numbers.count) }
    let positions = Int(held.lowerBound)..<Int(held.upperBound)
    let rows = numbers.map {
      KVBlockRows(
        parts: chain.parts, width: chain.plan.width, keys: cache.layers[$0].keys, values: cache.layers[$0].values,
        turns: chain.turns)
    }
    let firstPosition = cache.layers[numbers[0]].firstPosition
    var blocks = [[UInt8]](repeating: [], count: numbers.count)
    var exact = 0
    let scales: [KVBlockScales]
    // Much of all attention goes to a text's first token, and there is nothing yet to predict it from.
    if chain.scales == nil { exact = positions.lowerBound == 0 ? 1 : 0 }
    if let known = chain.scales {
      scales = known
    } else if let profiled = chain.profiled {
      let plain = KVBlockScales(exact: exact, stepIndex: stepIndex, indices: [Int](repeating: 0, count: chain.plan.width))
      scales = [KVBlockScales](repeating: plain, count: numbers.count)
      chain.scales = scales
      chain.chain.begin(exact: exact, steps: [])
      for (i, link) in profiled.enumerated() {
        link.begin(step: plain.step)
        blocks[i] += [UInt8(exact), UInt8(stepIndex)]
        for t in 0..<exact { blocks[i] += rows[i].bytes(token: positions.lowerBound + t - firstPosition) }
      }
    } else {
      scales = rows.map {
        KVScaleRule.scales($0, first: positions.lowerBound + exact, in: firstPosition, exact: exact, stepIndex: stepIndex)
      }
      chain.scales = scales
      chain.chain.begin(exact: exact, steps: scales.map(\.step))
      for (i, side) in scales.enumerated() {
        let bytes = side.serialised()
        Varint.append(UInt64(bytes.count), to: &blocks[i])
        blocks[i] += bytes
        for t in 0..<exact { blocks[i] += rows[i].bytes(token: positions.lowerBound + t - firstPosition) }
      }
    }
    let coded = positions.dropFirst(exact)
    let fine = recent(positions)
    for i in blocks.indices {
      Varint.append(UInt64(fine.tokens), to: &blocks[i])
      if fine.tokens > 0 { blocks[i].append(UInt8(fine.sixteenths)) }
    }
    let coder = Coder(
      chain.chain, KVAngles.all(chain.turns, coded), choosesSymbols: chain.profiled != nil,
      zip(rows, scales).map { Coder.Link($0, $1.scales, firstToken: coded.lowerBound - firstPosition, tokens: coded.count) })
    try chain.chain.run(tokens: coded.count, fine: fine, coder: coder, threads: threads)
    blocks.withUnsafeMutableBufferPointer { blocks in
      nonisolated(unsafe) let blocks = blocks
      parallelFor(numbers.count, threads: threads) { i in
        // Many symbols are worth four lanes, however few bits they take.
        let symbols = coder.links[i].finish(lanes: coded.count * chain.plan.width >= 1 << 14 ? 4 : nil)
        Varint.append(UInt64(symbols.count), to: &blocks[i])
        blocks[i] += symbols
        blocks[i] += coder.links[i].exceptions
      }
    }
    return blocks
  }

  /// Which of a payload's tokens are among the cache's last ones.
  private func recent(_ positions: Range<Int>) -> KVFineSteps {
    let end = cache.layers[0].firstPosition + cache.layers[0].tokens
    let tokens = positions.upperBound - max(positions.lowerBound, end - recentTokens)
    return tokens > 0 ? KVFineSteps(tokens: tokens, sixteenths: Self.recentSixteenths) : KVFineSteps()
  }

  /// 0.6 of the step, about.
  private static let recentSixteenths = 12

  private final class Coder: KVChainCoder {
    final class Link {
      let rows: KVBlockRows
      let scales: [Float]
      let inverses: [Float]
      /// In the tensors.
      let firstToken: Int
      /// Tokens of the batch with elements that are not.
      var isFinite = [Bool](repeating: true, count: KVChain.batchTokens)
      private var symbols: RANSEncoder?
      private(set) var exceptions: [UInt8] = []
      private var nextException = 0

      init(_ rows: KVBlockRows, _ scales: [Float], firstToken: Int, tokens: Int) {
        (self.rows, self.scales, self.firstToken) = (rows, scales, firstToken)
        inverses = scales.map { 1 / $0 }
        var symbols = RANSEncoder()
        symbols.reserve(tokens * rows.width)
        self.symbols = consume symbols
      }

      func append(_ values: UnsafeBufferPointer<Int16>, tables: UnsafeBufferPointer<UInt8>) throws {
        try symbols!.append(values, indices: tables, tables: Scale.laplace)
      }

      /// `element`: its number among those of the payload's coded tokens. They come in rising order.
      func appendException(_ element: Int, bytes: some Sequence<UInt8>) {
        Varint.append(UInt64(element - nextException), to: &exceptions)
        exceptions += bytes
        nextException = element + 1
      }

      func finish(lanes: Int?) -> [UInt8] { symbols.take()!.finish(lanes: lanes) }
    }

    let links: [Link]
    private let chain: KVChain
    private let angles: [KVAngles?]
    /// Whether symbols are those that cost least, or just the nearest.
    private let choosesSymbols: Bool
    private var width: Int { links[0].rows.width }

    init(_ chain: KVChain, _ angles: [KVAngles?], choosesSymbols: Bool, _ links: [Link]) {
      (self.chain, self.angles, self.choosesSymbols, self.links) = (chain, angles, choosesSymbols, links)
    }

    func begin(link number: Int, _ batch: KVBatch) {
      let link = links[number], model = chain.links[number]
      let kernels = kvKernels()
      for t in 0..<batch.tokens {
        let (row, predicted) = (batch.values.row(t), batch.predicted.row(t))
        link.rows.load(token: link.firstToken + batch.first + t, into: row, angles[batch.first + t])
        // The sign bit is set by NaNs and infinities, whose exponents are all ones.
        var odd: UInt32 = 0
        link.inverses.withUnsafeBufferPointer { inverses in
          for j in 0..<inverses.count {
            let value = row[j] * inverses[j]
            odd |= value.bitPattern & 0x7F80_0000 &+ 0x0080_0000
            row[j] = value - predicted[j]
          }
        }
        link.isFinite[t] = odd >> 31 == 0
        // Those are exceptions; what stands for them costs least as predicted.
        if !link.isFinite[t] { for j in 0..<width where !row[j].isFinite { row[j] = 0 } }
      }
      var differences = batch.values
      if let analysis = model.analysis {
        for t in 0..<batch.tokens {
          let row = batch.residual.row(t)
          for j in 0..<width { row[j] = 0 }
        }
        batch.residual.add(rows: 0..<batch.tokens, inner: width, batch.values.base, row: batch.values.pitch, times: analysis)
        differences = batch.residual
      }
      let wholes = KVGrid<Int32>(rows: 1, columns: width)
      for t in 0..<batch.tokens {
        let inverse = 1 / (model.step * KVBlockScales.power(-batch.octaves[t]))
        kernels.wholes(differences.row(t), width, inverse, 32767, wholes.base)
        // `code` wants numbers in steps; a token's residual is only made after that.
        let (symbols, from, to) = (batch.symbols.row(t), differences.row(t), batch.residual.row(t))
        for j in 0..<width {
          symbols[j] = Int16(truncatingIfNeeded: wholes.base[j])
          to[j] = from[j] * inverse
        }
      }
    }

    func code(link: Int, token: Int, of batch: KVBatch, tables: UnsafeBufferPointer<UInt8>) throws {
      if choosesSymbols { KVChoice.lower(batch.symbols.row(token), towardsZeroOf: batch.residual.row(token), tables: tables) }
      try links[link].append(UnsafeBufferPointer(start: batch.symbols.row(token), count: width), tables: tables)
    }

    func end(link number: Int, _ batch: KVBatch) throws {
      let link = links[number]
      for t in 0..<batch.tokens {
        let token = link.firstToken + batch.first + t
        let symbols = batch.symbols.row(t)
        // Few tokens have any: those with a component at the end of its range, or with NaNs and infinities.
        var mayDiffer = false
        for j in 0..<width where abs(Int32(symbols[j])) >= 32767 { mayDiffer = true }
        if !link.isFinite[t] { mayDiffer = true }
        guard mayDiffer else { continue }
        let original = batch.predicted.row(t)
        link.rows.load(token: token, into: original, angles[batch.first + t])
        for j in 0..<width {
          let restored = batch.values.row(t)[j] * link.scales[j]
          let tolerance = 16 * chain.links[number].step * link.scales[j]
          if original[j].isFinite, abs(restored - original[j]) <= tolerance { continue }
          // RoPE turns two channels at a time; both are kept as they are.
          let (tensor, head, channel) = link.rows.element(channel: j)
          let size = tensor.element.bytes
          tensor.withRow(head: head, token: token) {
            link.appendException(
              (batch.first + t) * width + j, bytes: Array($0[channel * size..<(channel + 1) * size]))
          }
        }
      }
    }
  }
}

/// Rate-distortion optimised quantisation: a symbol becomes one nearer to 0 where that saves more bits than it costs.
enum KVChoice {
  /// Squared steps that a bit is worth.
  private static let worth: Float = 0.1
  /// Magnitudes that are looked at.
  private static let most = 15
  /// By table and magnitude m, 0...15: below that number, m - 1 costs less than m.
  private static let thresholds: [Float] = (0..<64).flatMap { table in
    (0...most).map { m -> Float in
      guard m > 0, let here = Scale.laplace.width(of: m, in: table), let below = Scale.laplace.width(of: m - 1, in: table) else {
        return 0
      }
      // What symbols stand for, as `KVProfiledLink.restore` has it.
      let value = Float(m) - 0.03125, lower = m > 1 ? Float(m - 1) - 0.03125 : 0
      return ((value * value - lower * lower) + worth * log2(Float(below) / Float(here))) / (2 * (value - lower))
    }
  }

  /// `numbers`: what the symbols were rounded from.
  static func lower(
    _ symbols: UnsafeMutablePointer<Int16>, towardsZeroOf numbers: UnsafePointer<Float>, tables: UnsafeBufferPointer<UInt8>
  ) {
    thresholds.withUnsafeBufferPointer {
      kvKernels().lower(symbols, numbers, tables.baseAddress!, $0.baseAddress!, tables.count)
    }
  }
}

/// How channels are scaled before they are coded.
enum KVScaleRule {
  /// Tokens that scales are made from, at most.
  private static let tokens = 64

  /// The keys' scale is their root mean square, of each pair that RoPE turns less the more energy it has; values' is theirs times
  /// 1.9: errors in keys are worse. `first`: the position of the first coded token, of tensors that begin at `origin`.
  static func scales(_ rows: KVBlockRows, first: Int, in origin: Int, exact: Int, stepIndex: Int) -> KVBlockScales {
    let width = rows.width
    var squares = [Double](repeating: 0, count: width)
    let from = first - origin
    let range = from..<min(from + tokens, rows.keys.tokens)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: width) { row in
      for token in range {
        rows.load(token: token, into: row.baseAddress!, rows.turns.map { KVAngles($0, at: origin + token) })
        for j in 0..<width where row[j].isFinite { squares[j] += Double(row[j] * row[j]) / Double(range.count) }
      }
    }
    var indices = [Int](repeating: 0, count: width)
    func index(_ square: Double) -> Int {
      guard square > 0, square.isFinite else { return 0 }
      return min(max(Int((8 * log2(square)).rounded()), -KVBlockScales.maximumIndex), KVBlockScales.maximumIndex)
    }
    for isKeys in [true, false] {
      let channels = rows.parts.filter { $0.isKeys == isKeys }.flatMap { $0.place..<$0.place + $0.channels.count }
      guard !channels.isEmpty else { continue }
      let mean = channels.reduce(0) { $0 + squares[$1] } / Double(channels.count)
      let common = index(isKeys ? mean : mean * 1.9 * 1.9)
      for j in channels { indices[j] = common }
      guard isKeys, let turns = rows.turns, mean > 0, mean.isFinite else { continue }
      let pairs = rows.parts.filter(\.isKeys).flatMap { part in
        turns.turns.indices.map { i in
          turns.halves ? (part.place + i, part.place + i + turns.turns.count) : (part.place + 2 * i, part.place + 2 * i + 1)
        }
      }
      let energies = pairs.map { log2((squares[$0.0] + squares[$0.1]) / 2 + mean * 1e-4) }
      let middle = energies.reduce(0, +) / Double(energies.count)
      for (pair, energy) in zip(pairs, energies) {
        // The square's exponent -0.6, eighths of an octave.
        let change = 2 * Int((-0.3 * (energy - middle) * 8).rounded())
        for j in [pair.0, pair.1] {
          indices[j] = min(max(common + change, -KVBlockScales.maximumIndex), KVBlockScales.maximumIndex)
        }
      }
    }
    return KVBlockScales(exact: exact, stepIndex: stepIndex, indices: indices)
  }
}
