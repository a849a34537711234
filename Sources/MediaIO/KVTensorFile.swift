import Media

/// The tensors of a safetensors file, whatever they are.
package enum KVTensorFile {
  /// Views; nothing is copied. Throws `MediaIOError`.
  package static func read(_ path: String) throws(MediaIOError) -> [KVNamedTensor] {
    let storage = try KVBytes.open(path, limit: 1 << 36)
    guard SafeTensors.recognises(UnsafeRawBufferPointer(storage.bytes)) else {
      throw MediaIOError(.unsupported, at: "tensors", "the file is no safetensors file")
    }
    return try SafeTensors.read(storage).tensors
  }
}
