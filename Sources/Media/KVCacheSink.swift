/// A tensor beside a cache, without its bytes.
package struct KVNamedShape: Sendable {
  package let name: String
  /// As `KVNamedTensor.dtype`.
  package let dtype: String
  package let shape: [Int]
  package let byteCount: Int

  package init(name: String, dtype: String, shape: [Int], byteCount: Int) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.byteCount = byteCount
  }
}

/// Takes a cache part by part, so that nobody holds it whole.
package protocol KVCacheSink: AnyObject {
  /// Comes first. `cache` says everything but its elements, which are zeros that take no memory, and has no tensors beside it;
  /// `others` are those.
  func begin(_ cache: KVCache, others: [KVNamedShape]) throws
  /// The next positions, ascending and without gap: what each layer has of them, from its `firstPosition` on.
  func write(_ layers: [KVLayer]) throws
  /// Some bytes of the tensor `number` among the others, from byte `offset` of it on.
  func write(other number: Int, _ bytes: [UInt8], at offset: Int) throws
}

extension KVTensor {
  /// A tensor of zeros, all of whose rows are one: the first bytes of `zeros`. Nil where those are too few.
  package init?(blankHeads heads: Int, tokens: Int, channels: Int, element: KVElement, zeros: KVStorage) {
    self.init(
      heads: heads, tokens: tokens, channels: channels, element: element, storage: zeros, offset: 0, headStride: 0,
      tokenStride: 0)
  }
}
