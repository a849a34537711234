import Bitstream
import CKernels
import Coding
import EntropyCoding
import Media
import Tensors

/// Decodes the payloads of the schemes with chains, those of a segment in their order.
///
/// A block of a payload:
///
///     side        varint length, KVBlockScales, or with a profile two bytes: tokens kept exactly, 0...16, and the step; only in the first payload of a segment that has tokens of the layer
///     exact       the tokens that are kept exactly, their elements in the block's order; only with `side`
///     fine        varint: so many tokens at the payload's end, exact ones too, are in finer steps; unless 0, u8: how much finer, in
///                 sixteenths of an octave, 1...32
///     symbols     varint length, then an interleaved rANS payload of that many bytes: for each other token, its components
/// With a profile each payload is a segment.
///
///     exceptions  to the end: varint, elements since the one behind the last exception, and the element as it is
// bitstream-spec 10.10
final class KVChainDecoder {
  private let configuration: KVConfiguration
  private let shapes: [KVLayerGroup]
  private let threads: Int
  private var chains: [Chain] = []

  private typealias Chain = KVCodedChain<[[Float]]>

  /// Bytes that chains over `shapes` take, about.
  static func byteCount(_ shapes: some Sequence<KVLayerGroup>) -> Int {
    shapes.reduce(0) { $0 + KVBlockPlan.blockCount($1) * KVLink.byteCount(width: KVBlockPlan.widest($1)) }
  }

  /// Of the layers before `layers` alone, which is what those take. Memory for `byteCount` is the caller's to allow.
  ///
  /// Throws `CodecError` (unsupported) where the profile is not the one that the configuration names.
  init(_ configuration: KVConfiguration, _ profile: KVProfile?, layers: Int, threads: Int) throws {
    let profile = try configuration.checked(profile)
    self.configuration = configuration
    self.threads = threads
    shapes = Array(configuration.shapes.prefix(layers))
    chains = Chain.all(of: shapes, configuration, profile, forEncoding: false, threads: threads)
  }

  /// `store`: what is wanted of each layer, in `layers`, whose tensors begin at position `firstPosition` of the layer.
  ///
  /// Throws `CodecError` or `EntropyError`.
  func decode(
    _ payload: KVPayload, at start: UInt64, isRandomAccess: Bool, layers: [KVLayer], wantedLayers: Range<Int>
  ) throws {
    let inner = chains.count > 1 ? 1 : threads
    var failures = [(any Error)?](repeating: nil, count: chains.count)
    failures.withUnsafeMutableBufferPointer { failures in
      nonisolated(unsafe) let failures = failures
      nonisolated(unsafe) let chains = chains
      parallelFor(chains.count, threads: threads) { i in
        do {
          if isRandomAccess { chains[i].scales = nil }
          try decode(payload, at: start, chains[i], layers, wantedLayers, threads: inner)
        } catch { failures[i] = error }
      }
    }
    if let failure = failures.lazy.compactMap({ $0 }).first { throw failure }
  }

  private func decode(
    _ payload: KVPayload, at start: UInt64, _ chain: Chain, _ layers: [KVLayer], _ wantedLayers: Range<Int>, threads: Int
  ) throws {
    let numbers = chain.plan.layers
    let held = KVPayload.positions(of: shapes[numbers[0]], start: start, tokens: payload.tokens)
    let blocks = numbers.map { payload.blocks[$0][chain.plan.block] }
    guard !held.isEmpty else {
      guard blocks.allSatisfy(\.isEmpty) else { throw CodecError.damagedKV("there is a block of no tokens") }
      return
    }
    guard held.upperBound <= UInt64(UInt32.max) else { throw CodecError.damagedKV("a payload begins at token \(start)") }
    let positions = Int(held.lowerBound)..<Int(held.upperBound)
    var fields = blocks.map { KVFields($0) }
    let isFirst = chain.scales == nil
    var (exact, scales) = (0, [[Float]]())
    if isFirst, let profiled = chain.profiled {
      for i in numbers.indices {
        let side = Array(try fields[i].take(2, "steps"))
        guard i == 0 || Int(side[0]) == exact, side[0] <= KVBlockScales.maximumExact else {
          throw CodecError.damagedKV("layers differ in how many tokens they keep exactly, or keep too many")
        }
        exact = Int(side[0])
        profiled[i].begin(step: KVBlockScales.power(Int(side[1]) - 192))
      }
      guard exact <= positions.count else { throw CodecError.damagedKV("more tokens are kept exactly than there are") }
      scales = [[Float]](repeating: [Float](repeating: 1, count: chain.plan.width), count: numbers.count)
      chain.scales = scales
      chain.chain.begin(exact: exact, steps: [])
    } else if isFirst {
      var sides: [KVBlockScales] = []
      for i in numbers.indices {
        let side = try KVBlockScales(parsing: Array(try fields[i].prefixed("scales")), width: chain.plan.width)
        guard i == 0 || side.exact == exact else {
          throw CodecError.damagedKV("layers differ in how many tokens they keep exactly")
        }
        exact = side.exact
        sides.append(side)
      }
      guard exact <= positions.count else { throw CodecError.damagedKV("more tokens are kept exactly than there are") }
      scales = sides.map(\.scales)
      chain.scales = scales
      chain.chain.begin(exact: exact, steps: sides.map(\.step))
    } else {
      scales = chain.scales!
    }
    var fine = KVFineSteps()
    let coder = Coder(KVAngles.all(chain.turns, positions.dropFirst(exact)), first: positions.lowerBound + exact)
    for (i, number) in numbers.enumerated() {
      let shape = shapes[number]
      let rows = wantedLayers.contains(number)
        ? KVBlockRows(
          parts: chain.parts, width: chain.plan.width, keys: layers[number - wantedLayers.lowerBound].keys,
          values: layers[number - wantedLayers.lowerBound].values, turns: chain.turns) : nil
      let output = rows.map { Output(rows: $0, first: layers[number - wantedLayers.lowerBound].firstPosition) }
      if exact > 0 {
        let bytes = chain.parts.reduce(0) { $0 + $1.channels.count * ($1.isKeys ? shape.keyElement : shape.valueElement).media.bytes }
        for t in 0..<exact {
          let token = try fields[i].take(bytes, "tokens kept exactly")
          if let output, let place = output.place(positions.lowerBound + t) { output.rows.store(token: place, bytes: token) }
        }
      }
      let own = try fields[i].fineSteps()
      guard i == 0 || own == fine else { throw CodecError.damagedKV("layers differ in which tokens have finer steps") }
      fine = own
      coder.links.append(Coder.Link(try RANSDecoder(Array(try fields[i].prefixed("symbols"))), scales[i], output))
    }
    try chain.chain.run(tokens: positions.count - exact, fine: fine, coder: coder, threads: threads)
    for (i, number) in numbers.enumerated() {
      try coder.links[i].finish()
      try readExceptions(fields[i].rest(), coder.links[i].output, chain, shapes[number], positions.dropFirst(exact))
    }
  }

  private func readExceptions(
    _ bytes: ArraySlice<UInt8>, _ output: Output?, _ chain: Chain, _ shape: KVLayerGroup, _ positions: Range<Int>
  ) throws {
    var fields = KVFields(bytes), next: UInt64 = 0
    let (width, count) = (chain.plan.width, UInt64(chain.plan.width * positions.count))
    while !fields.isEmpty {
      let gap = try fields.varint("elements before an exception")
      guard gap < count, next + gap < count else { throw CodecError.damagedKV("an exception stands behind the last token") }
      let (token, channel) = Int(next + gap).quotientAndRemainder(dividingBy: width)
      let part = chain.parts.last { $0.place <= channel }!
      let size = (part.isKeys ? shape.keyElement : shape.valueElement).media.bytes
      let element = try fields.take(size, "exceptions")
      if let output, let place = output.place(positions.lowerBound + token) {
        let (tensor, head, channel) = output.rows.element(channel: channel)
        let to = tensor.row(head: head, token: place)
        for (i, byte) in element.enumerated() { to[channel * size + i] = byte }
      }
      next += gap + 1
    }
  }

  /// Where a link's tokens go.
  private struct Output {
    let rows: KVBlockRows
    /// The position of the tensors' first token.
    let first: Int

    /// Nil for what is not wanted.
    func place(_ position: Int) -> Int? {
      position >= first && position - first < rows.keys.tokens ? position - first : nil
    }
  }

  private final class Coder: KVChainCoder {
    final class Link {
      private var symbols: RANSDecoder?
      let scales: [Float]
      let output: Output?

      init(_ symbols: consuming RANSDecoder, _ scales: [Float], _ output: Output?) {
        self.symbols = consume symbols
        (self.scales, self.output) = (scales, output)
      }

      func decode(tables: UnsafeBufferPointer<UInt8>, into values: UnsafeMutableBufferPointer<Int16>) throws {
        try symbols!.decode(Scale.laplace, indices: tables, into: values)
      }

      func finish() throws { try symbols.take()!.finish() }
    }

    var links: [Link] = []
    private let angles: [KVAngles?]
    /// The position of the first token.
    private let first: Int

    init(_ angles: [KVAngles?], first: Int) { (self.angles, self.first) = (angles, first) }

    func begin(link: Int, _ batch: KVBatch) {}

    func code(link: Int, token: Int, of batch: KVBatch, tables: UnsafeBufferPointer<UInt8>) throws {
      try links[link].decode(
        tables: tables, into: UnsafeMutableBufferPointer(start: batch.symbols.row(token), count: tables.count))
    }

    func end(link: Int, _ batch: KVBatch) throws {
      guard let output = links[link].output else { return }
      for t in 0..<batch.tokens {
        guard let place = output.place(first + batch.first + t) else { continue }
        // What was predicted is not needed any more.
        let row = batch.predicted.row(t)
        links[link].scales.withUnsafeBufferPointer { nc_kv_scale(batch.values.row(t), $0.baseAddress!, $0.count, row) }
        output.rows.store(token: place, from: row, angles[batch.first + t])
      }
    }
  }
}

extension KVFields {
  /// `fine` of a block.
  fileprivate mutating func fineSteps() throws -> KVFineSteps {
    let tokens = try varint("tokens in finer steps")
    guard tokens > 0 else { return KVFineSteps() }
    guard tokens <= UInt64(KVConfiguration.maximumChunk) else { throw CodecError.damagedKV("\(tokens) tokens have finer steps") }
    let sixteenths = Int(try take(1, "finer steps").first!)
    guard (1...KVFineSteps.maximumSixteenths).contains(sixteenths) else {
      throw CodecError.damagedKV("steps are finer by \(sixteenths) sixteenths of an octave")
    }
    return KVFineSteps(tokens: Int(tokens), sixteenths: sixteenths)
  }
}
