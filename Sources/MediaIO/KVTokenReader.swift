import Media

/// Token ids from a file: the tensor `tokens` of a cache's file, an .npy array of integers, or numbers as text.
package enum KVTokenReader {
  /// Numbers of a file; more would be no context.
  private static let maximumCount = 1 << 26

  /// `model`: what a cache's file says of it. Throws `MediaIOError`.
  package static func read(_ path: String) throws(MediaIOError) -> (ids: [Int64], model: String?) {
    try read(KVBytes.open(path, limit: 1 << 36))
  }

  package static func read(_ bytes: [UInt8]) throws(MediaIOError) -> (ids: [Int64], model: String?) {
    guard let storage = KVStorage(copying: bytes) else {
      throw MediaIOError(.outOfMemory, at: "token ids", "no memory for \(bytes.count) bytes")
    }
    return try read(storage)
  }

  private static func read(_ storage: KVStorage) throws(MediaIOError) -> (ids: [Int64], model: String?) {
    let bytes = UnsafeRawBufferPointer(storage.bytes)
    defer { withExtendedLifetime(storage) {} }
    guard !bytes.isEmpty else { throw MediaIOError(.empty, at: "token ids", "no bytes") }
    switch KVCacheReader.format(of: bytes.prefix(KVCacheReader.prefixBytes)) {
    case .safeTensors:
      let file = try SafeTensors.read(storage)
      return (try ids(in: file.tensors), file.metadata.first { $0.key == "model" }?.value)
    case .numPyArchive:
      let file = try NumPyArchive.read(storage, maxBytes: 1 << 36)
      return (try ids(in: file.arrays), file.metadata.first { $0.key == "model" }?.value)
    case .numPy: return (try ids(of: NumPyArray.read(storage, range: 0..<bytes.count, name: "")), nil)
    case .llamaState: return (try ids(in: LlamaState.read(storage, options: KVReadOptions()).others), nil)
    case nil: return (try numbers(bytes), nil)
    }
  }

  private static func ids(in tensors: [KVNamedTensor]) throws(MediaIOError) -> [Int64] {
    guard let tensor = tensors.first(where: { $0.name == KVCache.tokensName }) else {
      throw MediaIOError(.unsupported, at: "token ids", "the file has no array \"\(KVCache.tokensName)\"")
    }
    return try ids(of: tensor)
  }

  private static func ids(of tensor: KVNamedTensor) throws(MediaIOError) -> [Int64] {
    guard tensor.shape.count(where: { $0 != 1 }) <= 1 else {
      throw MediaIOError(.unsupported, at: "token ids", "an array of \(tensor.shape), of which one row is wanted")
    }
    guard tensor.byteCount <= 8 * maximumCount else {
      throw MediaIOError(.tooLarge, at: "token ids", "more than \(maximumCount)")
    }
    guard let ids = tensor.integers else {
      throw MediaIOError(.unsupported, at: "token ids", "elements of \(tensor.dtype.debugDescription), not integers")
    }
    return ids
  }

  /// Decimal numbers with anything of spaces, commas, brackets and line ends between them.
  private static func numbers(_ bytes: UnsafeRawBufferPointer) throws(MediaIOError) -> [Int64] {
    let between = Array(" ,;[]()\n\r\t".utf8)
    var ids: [Int64] = []
    for word in bytes.lazy.split(whereSeparator: { between.contains($0) }) {
      guard word.count <= 20, let id = Int64(String(decoding: word, as: UTF8.self)) else {
        throw MediaIOError(
          .unknownFormat, at: "token ids",
          "neither safetensors, .npy, .npz, a llama.cpp sequence state nor text of numbers: \(String(decoding: word.prefix(20), as: UTF8.self).debugDescription)")
      }
      guard ids.count < maximumCount else { throw MediaIOError(.tooLarge, at: "token ids", "more than \(maximumCount)") }
      ids.append(id)
    }
    guard !ids.isEmpty else { throw MediaIOError(.empty, at: "token ids", "no numbers") }
    return ids
  }
}
