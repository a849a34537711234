import CKernels
import Glibc
import Synchronization
import Tensors

/// What codes the symbols of a chain: an encoder or a decoder. Each link is served by one thread at a time, its batches in order.
protocol KVChainCoder: AnyObject {
  /// Before the symbols of a batch: an encoder quantises what `batch.predicted` leaves.
  func begin(link: Int, _ batch: KVBatch)
  /// Codes the symbols of the batch's token `token` under `tables`, or fills them in.
  func code(link: Int, token: Int, of batch: KVBatch, tables: UnsafeBufferPointer<UInt8>) throws
  /// `batch.values` are decoded.
  func end(link: Int, _ batch: KVBatch) throws
}

/// The last tokens of a payload may have finer steps, as what follows a text depends most on its end.
struct KVFineSteps: Equatable {
  static let maximumSixteenths = 32

  var tokens = 0
  /// Of an octave, 0...32.
  var sixteenths = 0
}

/// One block of one layer, as encoder and decoder both know it: how it is predicted from the blocks before it in its chain, and
/// what its symbols stand for.
///
/// Rows of batches have `columns` numbers: the block's channels, then what else `restore` adds up for `file`.
class KVChainLink: @unchecked Sendable {
  let width: Int
  let columns: Int
  /// Numbers that later blocks are predicted from; 0: none are.
  let coefficients: Int
  /// Of a unit of the scales.
  final var step: Float = 1
  /// By component; see `KVScales`.
  final var states: [Int32]

  init(width: Int, columns: Int, coefficients: Int) {
    (self.width, self.columns, self.coefficients) = (width, columns, coefficients)
    states = [Int32](repeating: 0, count: width)
  }

  /// Whether states adapt to symbols.
  var adapts: Bool { true }
  /// [channel, component], for encoders; nil: components are channels.
  var analysis: KVStrips? { nil }

  /// `predicted`: a row for each of `tokens` tokens; `before`: the coefficients of the block before, as far as there is one, and of
  /// that before it.
  func predict(into predicted: KVMatrix, tokens: Int, before: [KVMatrix]) {}

  /// What `symbols`, in steps of `step`, stand for: `residual` gets what was not predicted.
  func restore(_ symbols: UnsafePointer<Int16>, step: Float, into residual: UnsafeMutablePointer<Float>, _ scratch: KVSparseScratch) {}

  /// Of `tokens` tokens, as many rows of values and residuals as decoded, `coefficients` gets those of this block. `first`: where
  /// the tokens go in the block's history.
  func file(
    first: Int, tokens: Int, values: KVMatrix, residual: KVMatrix, coefficients: KVMatrix, _ scratch: KVSparseScratch
  ) {}

  /// What symbols that are not 0 stand for, in `scratch`'s list and factors: `offset` nearer to 0 than they are. Returns how many
  /// there are.
  final func values(
    of symbols: UnsafePointer<Int16>, offset: Float, step: Float, in scratch: KVSparseScratch
  ) -> Int {
    kvKernels().nonzeros(symbols, width, offset, step, scratch.list, scratch.factors)
  }

  final func withStates<R>(_ body: (UnsafeMutablePointer<Int32>) -> R) -> R {
    states.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
  }
}

/// A few tokens on their way through the links of a chain.
final class KVBatch {
  /// The first one's number among those that the call to `KVChain.run` has.
  fileprivate(set) var first = 0
  fileprivate(set) var tokens = 0
  /// [token, column of the link]
  let predicted: KVMatrix
  let residual: KVMatrix
  let values: KVMatrix
  let symbols: KVGrid<Int16>
  /// Of the links that this one is predicted from, and room for its own.
  fileprivate var coefficients: [KVMatrix]
  fileprivate var energies = [UInt32](repeating: 0, count: KVChain.batchTokens)
  /// By token, how much finer its steps are than the link's, in sixteenths of an octave.
  fileprivate(set) var octaves = [Int](repeating: 0, count: KVChain.batchTokens)
  fileprivate let scratch: KVSparseScratch
  fileprivate let indices: UnsafeMutableBufferPointer<UInt8>

  fileprivate init(_ link: KVChainLink) {
    func matrix(_ columns: Int) -> KVMatrix { KVMatrix(rows: KVChain.batchTokens, columns: columns) }
    (predicted, residual, values) = (matrix(link.columns), matrix(link.columns), matrix(link.columns))
    let width = link.width
    symbols = KVGrid(rows: KVChain.batchTokens, columns: width)
    coefficients = (0..<3).map { _ in matrix(max(1, link.coefficients)) }
    scratch = KVSparseScratch(width: width, coefficients: link.coefficients)
    indices = .allocate(capacity: width)
    indices.initialize(repeating: 0)
  }

  deinit { indices.deallocate() }
}

/// The same block of layers that follow each other, and all that is learned of it in a segment of tokens.
///
/// A batch of tokens passes through the links in order, as each is predicted from the two before it; at events, which tokens'
/// numbers alone decide, the links learn from all that has passed. So batches between events run on several threads, one
/// behind the other, and links refresh on several too, and nothing depends on how many there are.
// bitstream-spec 10.10.3
final class KVChain {
  /// Of a batch, at most: the more, the fewer times matrices come from memory.
  static let batchTokens = 64
  static let stretchTokens = 256

  let links: [KVChainLink]
  /// The same, if they learn.
  private let learners: [KVLink]
  private let width: Int
  /// Tokens of the segment so far, with those that are kept exactly.
  private var count = 0
  private var exact = 0
  /// Tokens in the links' histories, and how many of them are there since `learn`.
  private var held = 0
  private var owed = 0

  /// Links that learn.
  init(width: Int, links: Int, forEncoding: Bool) {
    self.width = width
    learners = (0..<links).map {
      KVLink(width: width, predecessors: min($0, 2), feeds: $0 + 1 < links, keepsAnalysis: forEncoding)
    }
    self.links = learners
  }

  /// Links that are what they are; at least one.
  init(_ links: [KVChainLink]) {
    (width, learners) = (links[0].width, [])
    self.links = links
  }

  /// Begins a segment; the tokens that are kept exactly, at most 16, are not seen by the chain. Links that do not learn have begun.
  func begin(exact: Int, steps: [Float]) {
    (self.exact, count, held, owed) = (exact, exact, 0, 0)
    for (link, step) in zip(learners, steps) { link.begin(step: step) }
  }

  /// Whether links learn when the segment has `count` tokens: at powers of two, scales alone below 32 and all from there on, and
  /// from 96 on at half as much again too.
  static func isEvent(_ count: Int) -> Bool {
    count >= 2 && (count.nonzeroBitCount == 1 || count >= 96 && count % 3 == 0 && (count / 3).nonzeroBitCount == 1)
  }

  /// The next `tokens` tokens of the segment, the last `fine.tokens` of them in finer steps. Throws what `coder` throws.
  func run(tokens: Int, fine: KVFineSteps, coder: any KVChainCoder, threads: Int) throws {
    var done = 0
    while done < tokens {
      // Only now: after a file's last token nobody needs what is learned from it.
      if owed > 0, !learners.isEmpty { learn(threads) }
      // Links that do not learn have no events, and fuller batches.
      var next = count + 1
      while next < count + min(tokens - done, Self.stretchTokens), learners.isEmpty || !Self.isEvent(next) { next += 1 }
      let stretch = next - count
      let plain = max(0, tokens - fine.tokens - done)
      try pass(first: done, tokens: stretch, fine, plain: plain, coder, threads)
      done += stretch
      count += stretch
      guard !learners.isEmpty else { continue }
      held += stretch
      owed = stretch
    }
  }

  // MARK: Passing

  /// `plain`: tokens before those in finer steps.
  private func pass(
    first: Int, tokens: Int, _ fine: KVFineSteps, plain: Int, _ coder: any KVChainCoder, _ threads: Int
  ) throws {
    // Two tokens share a row of the history, so batches begin with an even one. Each thread gets two at least.
    let size = min(max(tokens / (2 * threads) / 2 * 2, 16), Self.batchTokens)
    var batches: [Range<Int>] = []
    while (batches.last?.upperBound ?? 0) < tokens {
      let start = batches.last?.upperBound ?? 0
      batches.append(start..<min(start + size - (held + start) % 2, tokens))
    }
    let wavefront = Wavefront(batches: batches.count)
    nonisolated(unsafe) let coder = coder
    nonisolated(unsafe) var failures = [(any Error)?](repeating: nil, count: batches.count)
    failures.withUnsafeMutableBufferPointer { failures in
      nonisolated(unsafe) let failures = failures
      parallelFor(min(threads, batches.count), threads: threads) { _ in
        let batch = KVBatch(links[0])
        while let number = wavefront.take() {
          batch.first = first + batches[number].lowerBound
          batch.tokens = batches[number].count
          for t in 0..<batch.tokens {
            batch.energies[t] = KVScales.plainEnergy
            batch.octaves[t] = batches[number].lowerBound + t < plain ? 0 : fine.sixteenths
          }
          for link in links.indices {
            guard wavefront.waits(number, for: link) else { return }
            do {
              try pass(batch, place: held + batches[number].lowerBound, through: link, coder)
            } catch {
              failures[number] = error
              wavefront.fail()
              return
            }
            wavefront.finish(number, link)
          }
        }
      }
    }
    // The earliest, which does not depend on the threads.
    if let failure = failures.lazy.compactMap({ $0 }).first { throw failure }
  }

  private func pass(_ batch: KVBatch, place: Int, through number: Int, _ coder: any KVChainCoder) throws {
    let link = links[number], kernels = kvKernels()
    // The link before, and the one before that; the third is for this one.
    let before = (0..<min(number, 2)).map { batch.coefficients[(number + 2 - $0) % 3] }
    link.predict(into: batch.predicted, tokens: batch.tokens, before: before)
    coder.begin(link: number, batch)
    for t in 0..<batch.tokens {
      let symbols = batch.symbols.row(t), indices = batch.indices.baseAddress!
      let shift = KVScales.shift(sixteenths: batch.octaves[t])
      let offset = KVScales.offset(energy: batch.energies[t]) + Int32(shift)
      let expected = KVScales.shifted[shift].withUnsafeBufferPointer { means in
        link.withStates { kernels.scale_indices($0, offset, means.baseAddress!, width, indices) }
      }
      try coder.code(link: number, token: t, of: batch, tables: UnsafeBufferPointer(batch.indices))
      if link.adapts {
        let sum = KVScales.moves.withUnsafeBufferPointer { moves in
          link.withStates { kernels.adapt($0, indices, symbols, width, moves.baseAddress!) }
        }
        batch.energies[t] = KVScales.energy(batch.energies[t], sum: sum, expected: expected)
      }
      link.restore(
        symbols, step: link.step * KVBlockScales.power(-batch.octaves[t]), into: batch.residual.row(t), batch.scratch)
      let (predicted, residual, values) = (batch.predicted.row(t), batch.residual.row(t), batch.values.row(t))
      for j in 0..<link.columns { values[j] = predicted[j] + residual[j] }
    }
    link.file(
      first: place, tokens: batch.tokens, values: batch.values, residual: batch.residual,
      coefficients: batch.coefficients[number % 3], batch.scratch)
    try coder.end(link: number, batch)
  }

  // MARK: Learning

  private func learn(_ threads: Int) {
    owed = 0
    let flushed = count - held
    let isEvent = Self.isEvent(count) && count > exact
    // Runs end at multiples of 64 and at events.
    var runs: [Range<Int>] = [], start = 0
    while start < held {
      let end = min((flushed + start) / 64 * 64 + 64 - flushed, held)
      guard isEvent || (flushed + end) % 64 == 0 else { break }
      runs.append(start..<end)
      start = end
    }
    let left = held - start
    if !runs.isEmpty {
      parallelFor(learners.count, threads: threads) { i in
        for run in runs { learners[i].addUp(from: run.lowerBound, tokens: run.count, before: before(i)) }
      }
      // Only when no link reads another's history any more.
      for link in learners { link.keep(last: left, of: held) }
      held = left
    }
    guard isEvent else { return }
    let seen = count - exact
    guard count >= 32 else {
      parallelFor(learners.count, threads: threads) { i in learners[i].refreshScales(count: seen) }
      return
    }
    let scratch = KVPool { [width] in KVMatrix(rows: width, columns: width) }
    parallelFor(learners.count, threads: threads) { i in
      scratch.with { learners[i].refreshInputs(count: seen, $0) }
    }
    parallelFor(learners.count, threads: threads) { i in
      scratch.with { learners[i].refreshBasis(count: seen, before: before(i), $0) }
    }
  }

  /// The links that link `i` is predicted from, the nearest first.
  private func before(_ i: Int) -> [KVLink] { (0..<min(i, 2)).map { learners[i - 1 - $0] } }
}

/// Batches that pass through links one behind the other.
private final class Wavefront: Sendable {
  private let next = Atomic(0)
  private let failed = Atomic(false)
  /// By batch, one more than their number: links that it has passed.
  nonisolated(unsafe) private let passed: UnsafeMutablePointer<Atomic<Int>>
  private let batches: Int

  init(batches: Int) {
    self.batches = batches
    passed = .allocate(capacity: batches)
    for i in 0..<batches { (passed + i).initialize(to: Atomic(0)) }
  }

  deinit {
    passed.deinitialize(count: batches)
    passed.deallocate()
  }

  /// The next batch. Batches are taken in order, so the one before is always under way.
  func take() -> Int? {
    let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
    return number < batches ? number : nil
  }

  /// Waits until the batch before `number` has passed `link`. False where all is to stop.
  func waits(_ number: Int, for link: Int) -> Bool {
    var tries = 0
    while number > 0, passed[number - 1].load(ordering: .acquiring) <= link {
      if failed.load(ordering: .acquiring) { return false }
      tries += 1
      if tries > 64 { sched_yield() }
    }
    // An earlier batch's failure counts, however far this one has come.
    return true
  }

  func finish(_ number: Int, _ link: Int) { passed[number].store(link + 1, ordering: .releasing) }

  func fail() { failed.store(true, ordering: .releasing) }
}

/// Things that threads take in turn.
final class KVPool<Thing>: @unchecked Sendable {
  private let free = Mutex<[Unshared]>([])
  private let make: () -> Thing

  private struct Unshared: @unchecked Sendable { let thing: Thing }

  init(make: @escaping () -> Thing) { self.make = make }

  func with(_ body: (Thing) -> Void) {
    let held = free.withLock { $0.popLast() } ?? Unshared(thing: make())
    body(held.thing)
    free.withLock { $0.append(held) }
  }
}
