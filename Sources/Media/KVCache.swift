/// One layer of a cache.
public struct KVLayer: Sendable {
  public var keys: KVTensor
  /// As many heads and tokens as `keys`; channels may differ. Nil: one latent stands for both, as in MLA.
  public var values: KVTensor?
  /// The position of token 0, which RoPE turned by; sliding-window layers have dropped those before it.
  public var firstPosition: Int

  public init(keys: KVTensor, values: KVTensor?, firstPosition: Int = 0) {
    self.keys = keys
    self.values = values
    self.firstPosition = firstPosition
  }

  public var tokens: Int { keys.tokens }
  public var elementCount: Int { keys.elementCount + (values?.elementCount ?? 0) }
  public var byteCount: Int { keys.byteCount + (values?.byteCount ?? 0) }
}

/// Which channels of a key RoPE turns together.
public enum RopeLayout: String, Sendable, Hashable, CaseIterable {
  /// `(2i, 2i + 1)`, as GGUF permutes Llama's weights for.
  case interleaved
  /// `(i, i + channels / 2)`, as in Hugging Face's models.
  case halves
  /// No rotary positions.
  case none
}

/// A tensor that a file holds beside the cache, carried along as it is.
public struct KVNamedTensor: Sendable {
  public let name: String
  /// safetensors' name of the type ("I32"), or "numpy:" and NumPy's ("numpy:<U5") for those that safetensors lacks.
  public let dtype: String
  public let shape: [Int]
  package let storage: KVStorage
  package let range: Range<Int>

  /// `range` lies inside `storage`.
  package init(name: String, dtype: String, shape: [Int], storage: KVStorage, range: Range<Int>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= storage.bytes.count, "bytes of the storage")
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.storage = storage
    self.range = range
  }

  public init(name: String, dtype: String, shape: [Int], bytes: [UInt8]) {
    guard let storage = KVStorage(copying: bytes) else { preconditionFailure("no memory for \(bytes.count) bytes") }
    self.init(name: name, dtype: dtype, shape: shape, storage: storage, range: 0..<bytes.count)
  }

  public var byteCount: Int { range.count }
  /// A copy.
  public var bytes: [UInt8] { withUnsafeBytes { Array($0) } }

  public func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try withExtendedLifetime(storage) {
      try body(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(storage.bytes)[range]))
    }
  }
}

/// The keys and values that a language model keeps of its context. It knows no codec and no file format, but remembers
/// how a file laid it out.
public struct KVCache: Sendable {
  /// Layers may differ in heads, channels, tokens and element type.
  public var layers: [KVLayer]
  /// Whether RoPE has been applied to the keys.
  public var keysAreRotated: Bool
  public var rope: RopeLayout
  /// Finite, positive.
  public var ropeBase: Double
  public var model: String
  /// Names differ from each other.
  public var others: [KVNamedTensor]
  /// A file's text metadata other than what the properties above say, in the file's order.
  public var metadata: [(key: String, value: String)]
  /// The layout that the cache came in, and goes back to unless told otherwise.
  public var source: KVFileLayout
  /// What a reader had to guess or leave out.
  public var notices: [String] = []

  public init(
    layers: [KVLayer], keysAreRotated: Bool = true, rope: RopeLayout = .interleaved, ropeBase: Double = 10_000,
    model: String = "", others: [KVNamedTensor] = [], metadata: [(key: String, value: String)] = [],
    source: KVFileLayout = .safeTensors(.standard)
  ) {
    self.layers = layers
    self.keysAreRotated = keysAreRotated
    self.rope = rope
    self.ropeBase = ropeBase
    self.model = model
    self.others = others
    self.metadata = metadata
    self.source = source
  }

  public var elementCount: Int { layers.reduce(0) { $0 + $1.elementCount } }
  /// Of keys and values.
  public var byteCount: Int { layers.reduce(0) { $0 + $1.byteCount } }
  /// The most that a layer holds.
  public var tokens: Int { layers.reduce(0) { max($0, $1.tokens) } }

  /// Whether all layers have the same shape, element type and first position.
  public var isUniform: Bool {
    guard let first = layers.first else { return true }
    func isSame(_ a: KVTensor?, _ b: KVTensor?) -> Bool {
      guard let a, let b else { return (a == nil) == (b == nil) }
      return a.heads == b.heads && a.tokens == b.tokens && a.channels == b.channels && a.element == b.element
    }
    return layers.allSatisfy {
      isSame($0.keys, first.keys) && isSame($0.values, first.values) && $0.firstPosition == first.firstPosition
    }
  }
}
