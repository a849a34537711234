import Media

/// Writes a cache's file part by part, each where it belongs, so that memory does not grow with the tokens: safetensors and .npy
/// in a regular file. Of other formats, and of pipes, all is held until the end (`KVStorage.init(scratch:)`). The file appears whole
/// with `commit()`, or not at all.
package final class KVPartWriter: KVCacheSink {
  /// What comes where.
  private enum State {
    case idle
    /// `starts` are the arrays' first bytes in the file, those of the cache before the others.
    case placed(arrays: [KVOutgoingArray], starts: [Int], caches: Int)
    case held(KVCache)
  }

  private var file: AtomicFile?
  private let takesPlaces: Bool
  private let format: KVFileFormat?
  private let maxMemory: Int
  private var state = State.idle
  /// Bytes on their way to the file's byte `start`: neighbours go together.
  private var buffer: [UInt8] = []
  private var start = 0
  private static let bufferBytes = 1 << 20

  /// `format` nil: the one that the cache came in. `maxMemory`, in bytes, is for caches that are held, on disk too.
  ///
  /// Throws `MediaIOError` as `AtomicFile` does: before any work.
  package init(
    _ path: String, format: KVFileFormat? = nil, overwrite: Bool = false, maxMemory: Int = 1 << 40
  ) throws(MediaIOError) {
    let file = try AtomicFile(path, overwrite: overwrite)
    takesPlaces = file.takesPlaces
    self.file = consume file
    (self.format, self.maxMemory) = (format, maxMemory)
    buffer.reserveCapacity(Self.bufferBytes)
  }

  /// Throws `MediaIOError`: `unsupported` for caches that the format cannot hold, `tooLarge` and `outOfMemory` for what is held,
  /// `system`.
  package func begin(_ cache: KVCache, others: [KVNamedShape]) throws {
    switch takesPlaces ? format ?? cache.source.format : .numPyArchive {
    case .safeTensors:
      let writer = try KVArrayWriter(cache, layout: cache.source.arrays, others: others)
      try place(writer.arrays, behind: SafeTensors.header(writer.arrays, metadata: writer.metadata))
    case .numPy:
      let array = try NumPyArray.outgoing(cache)
      try place([array], behind: NumPyArray.header(dtype: array.dtype, shape: array.shape, place: ".npy"))
    case .numPyArchive, .llamaState: try hold(cache, others)
    }
  }

  private func place(_ arrays: [KVOutgoingArray], behind header: [UInt8]) throws(MediaIOError) {
    var starts: [Int] = []
    var end = header.count
    for array in arrays {
      starts.append(end)
      let (next, overflows) = end.addingReportingOverflow(array.byteCount)
      guard !overflows else { throw MediaIOError(.tooLarge, at: "cache", "more bytes than a file can have") }
      end = next
    }
    state = .placed(arrays: arrays, starts: starts, caches: arrays.count { $0.part != nil })
    try put(header, at: 0)
  }

  private func hold(_ cache: KVCache, _ others: [KVNamedShape]) throws(MediaIOError) {
    let (bytes, overflows) = others.reduce((cache.byteCount, false)) { sum, other in
      let (more, overflows) = sum.0.addingReportingOverflow(other.byteCount)
      return (more, sum.1 || overflows)
    }
    guard !overflows, bytes <= maxMemory else { throw Self.refused(.tooLarge, "takes more than \(maxMemory) bytes") }
    var held = cache
    for i in held.layers.indices {
      held.layers[i].keys = try Self.zeros(held.layers[i].keys)
      if let values = held.layers[i].values { held.layers[i].values = try Self.zeros(values) }
    }
    for other in others {
      guard let storage = KVStorage(scratch: other.byteCount) else { throw Self.refused(.outOfMemory, "there is no room for it") }
      held.others.append(
        KVNamedTensor(
          name: other.name, dtype: other.dtype, shape: other.shape, storage: storage, range: 0..<other.byteCount))
    }
    state = .held(held)
  }

  private static func refused(_ code: MediaIOError.Code, _ reason: String) -> MediaIOError {
    MediaIOError(code, at: "cache", "it has to be held whole, as it goes to a pipe or into .npz or a llama.cpp state, and \(reason)")
  }

  private static func zeros(_ tensor: KVTensor) throws(MediaIOError) -> KVTensor {
    guard let made = KVTensor(
      zeroedHeads: tensor.heads, tokens: tensor.tokens, channels: tensor.channels, element: tensor.element, isScratch: true)
    else { throw refused(.outOfMemory, "there is no room for it") }
    return made
  }

  /// Throws `MediaIOError` (system).
  package func write(_ layers: [KVLayer]) throws {
    switch state {
    case .idle: preconditionFailure("begin() comes first")
    case .placed(let arrays, let starts, _):
      for (array, start) in zip(arrays, starts) {
        try array.part?(layers) { bytes, offset throws(MediaIOError) in try put(bytes, at: start + offset) }
      }
    case .held(let cache):
      for (layer, whole) in zip(layers, cache.layers) {
        Self.copy(layer.keys, into: whole.keys, from: layer.firstPosition - whole.firstPosition)
        if let values = layer.values, let target = whole.values {
          Self.copy(values, into: target, from: layer.firstPosition - whole.firstPosition)
        }
      }
    }
  }

  private static func copy(_ part: KVTensor, into whole: KVTensor, from first: Int) {
    for head in 0..<part.heads {
      for token in 0..<part.tokens {
        part.withRow(head: head, token: token) { row in
          whole.withMutableRow(head: head, token: first + token) { $0.copyMemory(from: row) }
        }
      }
    }
  }

  /// Throws `MediaIOError` (system).
  package func write(other number: Int, _ bytes: [UInt8], at offset: Int) throws {
    switch state {
    case .idle: preconditionFailure("begin() comes first")
    case .placed(_, let starts, let caches):
      // An .npy holds the cache alone.
      guard caches + number < starts.count else { return }
      try put(bytes, at: starts[caches + number] + offset)
    case .held(let cache):
      let other = cache.others[number]
      UnsafeMutableRawBufferPointer(rebasing: other.storage.bytes[other.range][offset..<(offset + bytes.count)])
        .copyBytes(from: bytes)
    }
  }

  private func put(_ bytes: [UInt8], at offset: Int) throws(MediaIOError) {
    var failure: MediaIOError?
    bytes.withUnsafeBytes { do throws(MediaIOError) { try put($0, at: offset) } catch { failure = error } }
    if let failure { throw failure }
  }

  private func put(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(MediaIOError) {
    if offset != start + buffer.count || buffer.count + bytes.count > Self.bufferBytes {
      try flush()
      start = offset
    }
    buffer.append(contentsOf: bytes)
  }

  private func flush() throws(MediaIOError) {
    guard !buffer.isEmpty, file != nil else { return }
    try file!.write(buffer, at: start)  // checked in the line above
    start += buffer.count
    buffer.removeAll(keepingCapacity: true)
  }

  /// Gives the file its name; without it nothing remains. Throws `MediaIOError`.
  package func commit() throws(MediaIOError) {
    try flush()
    guard let file = file.take() else { return }
    switch state {
    case .idle: preconditionFailure("begin() comes first")
    case .placed: try file.commit()
    case .held(let cache): try KVCacheWriter.write(cache, to: file, format: format)
    }
  }
}
