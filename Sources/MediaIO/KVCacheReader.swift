import Media

/// The front door for files of KV caches: safetensors, .npy, .npz and llama.cpp's sequence states, told apart by content.
/// The counterpart of `KVCacheWriter`.
package enum KVCacheReader {
  /// How many bytes `recognises` wants to see.
  package static let prefixBytes = 12

  /// The format that a file's first bytes are of; nil when it is none of a cache.
  package static func format(of prefix: some Collection<UInt8>) -> KVFileFormat? {
    let prefix = Array(prefix.prefix(prefixBytes))
    return prefix.withUnsafeBytes { format(of: $0) }
  }

  /// Whether a file that begins so may hold a cache. `prefix` are `prefixBytes` bytes, or the whole of a shorter file.
  package static func recognises(_ prefix: some Collection<UInt8>) -> Bool { format(of: prefix) != nil }

  private static func format(of prefix: UnsafeRawBufferPointer) -> KVFileFormat? {
    if NumPyArray.recognises(prefix) { return .numPy }
    if NumPyArchive.recognises(prefix) { return .numPyArchive }
    if LlamaState.recognises(prefix) { return .llamaState }
    if SafeTensors.recognises(prefix) { return .safeTensors }
    return nil
  }

  /// Reads a cache from a file, which is mapped and not copied where its order allows, or from standard input for "-".
  ///
  /// Throws `MediaIOError`.
  package static func read(_ path: String, options: KVReadOptions = KVReadOptions()) throws(MediaIOError) -> KVCache {
    try read(KVBytes.open(path, limit: options.maxBytes), options: options)
  }

  package static func read(
    _ bytes: [UInt8], options: KVReadOptions = KVReadOptions()
  ) throws(MediaIOError) -> KVCache {
    guard let storage = KVStorage(copying: bytes) else {
      throw MediaIOError(.outOfMemory, at: "cache", "no memory for \(bytes.count) bytes")
    }
    return try read(storage, options: options)
  }

  static func read(_ storage: KVStorage, options: KVReadOptions) throws(MediaIOError) -> KVCache {
    let bytes = UnsafeRawBufferPointer(storage.bytes)
    guard !bytes.isEmpty else { throw MediaIOError(.empty, at: "cache", "no bytes") }
    switch format(of: bytes) {
    case .safeTensors:
      let file = try SafeTensors.read(storage)
      return try KVArrayReader.read(file.tensors, metadata: file.metadata, options: options) { .safeTensors($0) }
    case .numPy:
      let array = try NumPyArray.read(storage, range: 0..<bytes.count, name: "")
      return try KVArrayReader.read([array], metadata: [], options: options) { .numPy($0) }
    case .numPyArchive:
      let file = try NumPyArchive.read(storage, maxBytes: options.maxBytes)
      return try KVArrayReader.read(file.arrays, metadata: file.metadata, options: options) { .numPyArchive($0) }
    case .llamaState:
      return try LlamaState.read(storage, options: options)
    case nil:
      throw MediaIOError(
        .unknownFormat, at: "cache", "neither safetensors, .npy, .npz nor a llama.cpp sequence state")
    }
  }
}

/// Writes caches to files. The counterpart of `KVCacheReader`.
package enum KVCacheWriter {
  /// Writes to a file, whole or not at all, or to standard output for "-".
  ///
  /// `format` nil: the one that the cache came in. Its layout is kept where the format and the cache allow.
  /// Throws `MediaIOError`.
  package static func write(
    _ cache: KVCache, to path: String, format: KVFileFormat? = nil, overwrite: Bool = false
  ) throws(MediaIOError) {
    try write(cache, to: AtomicFile(path, overwrite: overwrite), format: format)
  }

  static func write(_ cache: KVCache, to file: consuming AtomicFile, format: KVFileFormat?) throws(MediaIOError) {
    var sink = KVByteSink(file)
    try write(cache, format: format, to: &sink)
    try sink.commit()
  }

  /// The file as bytes.
  package static func bytes(_ cache: KVCache, format: KVFileFormat? = nil) throws(MediaIOError) -> [UInt8] {
    var sink = KVByteSink()
    try write(cache, format: format, to: &sink)
    return sink.buffer
  }

  private static func write(
    _ cache: KVCache, format: KVFileFormat?, to sink: inout KVByteSink
  ) throws(MediaIOError) {
    switch format ?? cache.source.format {
    case .safeTensors:
      let writer = try KVArrayWriter(cache, layout: cache.source.arrays)
      try SafeTensors.write(writer.arrays, metadata: writer.metadata, to: &sink)
    case .numPyArchive:
      let writer = try KVArrayWriter(cache, layout: cache.source.arrays)
      try NumPyArchive.write(writer.arrays, metadata: writer.metadata, to: &sink)
    case .numPy: try NumPyArray.write(cache, to: &sink)
    case .llamaState: try LlamaState.write(cache, to: &sink)
    }
  }
}

extension KVFileLayout {
  package var format: KVFileFormat {
    switch self {
    case .safeTensors: .safeTensors
    case .numPy: .numPy
    case .numPyArchive: .numPyArchive
    case .llamaState: .llamaState
    }
  }

  /// Nil for llama.cpp's.
  var arrays: KVArrayLayout? {
    switch self {
    case .safeTensors(let layout), .numPy(let layout), .numPyArchive(let layout): layout
    case .llamaState: nil
    }
  }
}
