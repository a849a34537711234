import CKernels
import Coding
import Synchronization
import Tensors

/// The kernels of `NeRVFrameDecoder` for one SIMD level.
package struct NeRVKernels: @unchecked Sendable {
  // Points at a table that the C++ side never changes or frees.
  let table: UnsafePointer<nc_nerv>

  /// The fastest of the level that `Kernels.current` has.
  package static let current = at(Kernels.current.level, dot: true) ?? at(Kernels.current.level, dot: false)!

  /// Nil where this CPU lacks the level, or with `dot` its instructions that multiply pairs and add the products to a sum.
  package static func at(_ level: Kernels.Level, dot: Bool) -> NeRVKernels? { nc_nerv_at(level.rawValue, dot).map(NeRVKernels.init(table:)) }

  /// Such as "avx2" or "avx512 vnni".
  package var name: String { String(cString: nc_level_name(table.pointee.level)) + (table.pointee.dot ? " vnni" : "") }
}

/// Makes frames of what `NeRVInputs` gives by a network in integers: the same bytes at any SIMD level and any number of threads.
///
/// Made once for a network, whose weights it packs. Its methods may be called from several threads at once; the memory that they work in
/// is kept for later calls.
// bitstream-spec 14.4
package final class NeRVFrameDecoder: @unchecked Sendable {
  package let architecture: NeRVArchitecture
  /// Samples of a frame: red, green, blue, [3, height, width].
  package var frameCount: Int { 3 * architecture.height * architecture.width }
  /// Samples of a pass: [3, height, width] of each of its frames.
  private var passCount: Int { architecture.passFrames * frameCount }

  /// Passes that one call of the kernels' driver is spread over at most.
  private static let together = 32
  /// Rows of a band at least, as some of the rows above and below it are computed again.
  private static let bandRows = 16

  private let kernels: NeRVKernels
  /// Points at memory that this object owns, and never changes.
  private let view: nc_nerv_network
  private let stages: UnsafeMutablePointer<nc_nerv_stage>
  private let numbers: UnsafeMutablePointer<Int16>
  private let activation: UnsafeMutablePointer<UInt16>
  private let samples: UnsafeMutablePointer<UInt8>

  private struct Scratch: @unchecked Sendable {
    let memory: UnsafeMutableRawPointer
  }
  /// Memory that no thread works in just now.
  private let idle = Mutex<[Scratch]>([])
  private let scratchBytes: Int

  /// Throws `CodecError` (malformed) where `network.validate()` does.
  package init(_ network: NeRVNetwork, kernels: NeRVKernels = .current) throws(CodecError) {
    try network.validate()
    let a = network.architecture
    (architecture, self.kernels) = (a, kernels)
    let packed = a.stages.map(\.packedCount)
    numbers = .allocate(capacity: packed.reduce(0, +) + a.stages.reduce(0) { $0 + $1.biasCount })
    stages = .allocate(capacity: a.stages.count)
    var at = numbers
    for (i, (stage, layer)) in zip(a.stages, network.layers.suffix(a.stages.count)).enumerated() {
      var shape = Self.shape(stage)
      (shape.shift, shape.multiplier, shape.fraction) = (Int32(layer.shift), Int32(layer.multiplier), Int32(layer.fraction))
      if stage.isDepthwise {
        nc_nerv_pack_depthwise(layer.weights, stage.outputs, stage.side, at)
      } else {
        nc_nerv_pack(layer.weights, stage.biasCount, stage.inputs, stage.side, at)
      }
      shape.weights = UnsafePointer(at)
      at += packed[i]
      at.initialize(from: layer.biases, count: stage.biasCount)
      shape.biases = UnsafePointer(at)
      at += stage.biasCount
      (stages + i).initialize(to: shape)
    }
    // The kernels read, and do not use, what lies behind a table.
    activation = .allocate(capacity: Int(NC_NERV_ACTIVATIONS) + 1)
    activation.initialize(from: NeRVTables.shortfall(a.activation) + [0], count: Int(NC_NERV_ACTIVATIONS) + 1)
    samples = .allocate(capacity: Int(NC_NERV_SAMPLES) + 3)
    samples.initialize(from: NeRVTables.samples + [0, 0, 0], count: Int(NC_NERV_SAMPLES) + 3)
    var view = Self.shape(a, stages)
    (view.activation, view.samples) = (UnsafePointer(activation), UnsafePointer(samples))
    self.view = view
    scratchBytes = nc_nerv_scratch(&view)
  }

  deinit {
    numbers.deallocate()
    stages.deallocate()
    activation.deallocate()
    samples.deallocate()
    idle.withLock { for scratch in $0 { scratch.memory.deallocate() } }
  }

  /// Memory of a decoder in bytes, frames not counted. The architecture is valid.
  package static func memory(_ a: NeRVArchitecture, threads: Int) -> Int {
    let packed = a.stages.reduce(0) { $0 + $1.packedCount + $1.biasCount }
    return withUnsafeTemporaryAllocation(of: nc_nerv_stage.self, capacity: a.stages.count) { stages in
      for (i, stage) in a.stages.enumerated() { stages.initializeElement(at: i, to: shape(stage)) }
      var view = shape(a, stages.baseAddress!)
      return 2 * packed + threads * nc_nerv_scratch(&view) + 1 << 17
    }
  }

  private static func shape(_ stage: NeRVArchitecture.Stage) -> nc_nerv_stage {
    var shape = nc_nerv_stage()
    (shape.inputs, shape.outputs) = (Int32(stage.inputs), Int32(stage.outputs))
    (shape.side, shape.factor) = (Int32(stage.side), Int32(stage.factor))
    (shape.depthwise, shape.linear) = (stage.isDepthwise, stage.isLinear)
    let sums = stage.sums + [0, 0]
    shape.sums = (Int32(sums[0]), Int32(sums[1]))
    return shape
  }

  private static func shape(_ a: NeRVArchitecture, _ stages: UnsafeMutablePointer<nc_nerv_stage>) -> nc_nerv_network {
    var shape = nc_nerv_network()
    (shape.count, shape.stages) = (Int32(a.stages.count), UnsafePointer(stages))
    (shape.height, shape.width) = (Int32(a.embedding.height), Int32(a.embedding.width))
    (shape.rows, shape.columns) = (Int32(a.height), Int32(a.width))
    nc_nerv_plan(&shape, stages)
    return shape
  }

  /// The frames of embeddings [frames, channels, height, width], each [3, height, width]; of a group, all its frames one after the other,
  /// [frames of a group, 3, height, width]. Each thread makes whole frames, or bands of them where
  /// there are fewer frames than threads; best are as many frames as threads, or many times as many.
  ///
  /// Throws `CodecError` (malformed) where an embedding is outside of `NeRVLayer.inputRange`.
  package func frames(_ embeddings: some Collection<Int16>, threads: Int = 1) throws(CodecError) -> [[UInt8]] {
    let one = architecture.embedding.count
    precondition(embeddings.count % one == 0, "embeddings of whole frames")
    let range = NeRVLayer.inputRange
    guard embeddings.allSatisfy({ range.contains(Int($0)) }) else { throw NeRVArchitecture.damage("an embedding") }
    var frames: [[UInt8]] = []
    ContiguousArray(embeddings).withUnsafeBufferPointer { embeddings in
      let count = embeddings.count / one
      for begin in stride(from: 0, to: count, by: Self.together) {
        var group: [[UInt8]] = []
        fill(&group, min(Self.together, count - begin), [], of: embeddings.baseAddress! + begin * one, threads)
        frames += group.reversed()
      }
    }
    return frames
  }

  /// Appends arrays for frames, last frame first; they are made when all have memory.
  private func fill(
    _ frames: inout [[UInt8]], _ count: Int, _ memory: [UnsafeMutablePointer<UInt8>], of embeddings: UnsafePointer<Int16>, _ threads: Int
  ) {
    if memory.count == count { return decode(embeddings, into: memory, threads) }
    let frame = [UInt8](unsafeUninitializedCapacity: passCount) { out, initialised in
      fill(&frames, count, memory + [out.baseAddress!], of: embeddings, threads)
      initialised = passCount
    }
    frames.append(frame)
  }

  private func decode(_ embeddings: UnsafePointer<Int16>, into frames: [UnsafeMutablePointer<UInt8>], _ threads: Int) {
    let (one, height) = (architecture.embedding.count, architecture.height)
    let bands = min((threads + frames.count - 1) / frames.count, max(height / Self.bandRows, 1))
    nonisolated(unsafe) let (embeddings, frames) = (embeddings, frames)
    parallelFor(frames.count * bands, threads: threads) { job in
      let (frame, band) = job.quotientAndRemainder(dividingBy: bands)
      let scratch = idle.withLock { $0.popLast() } ?? newScratch()
      withUnsafePointer(to: view) {
        nc_nerv_band(
          kernels.table, $0, embeddings + frame * one, height * band / bands, height * (band + 1) / bands, frames[frame], scratch.memory)
      }
      idle.withLock { $0.append(scratch) }
    }
  }

  private func newScratch() -> Scratch {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: scratchBytes, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: scratchBytes)
    return Scratch(memory: memory)
  }
}

extension NeRVArchitecture.Stage {
  fileprivate var packedCount: Int { isDepthwise ? nc_nerv_packed_depthwise_count(outputs, side) : nc_nerv_packed_count(biasCount, inputs, side) }
}
