/// What a dimension of a file's array counts.
public enum KVAxis: String, Sendable, Hashable, CaseIterable {
  /// Always 1.
  case batch
  /// Keys, then values: always 2.
  case kv
  case layer
  case head = "kv_head"
  case token
  /// Within a head.
  case channel = "head_dim"
  /// Heads and their channels in one, as LMCache has it.
  case width = "channel"
  /// vLLM's blocks of tokens, and the tokens of one block.
  case blocks
  case block
}

/// How a cache lies in a file of named arrays.
public struct KVArrayLayout: Sendable, Equatable {
  public enum Packing: Sendable, Equatable {
    /// One array for the keys of all layers, one for the values, if there are any.
    case stacked(keys: String, values: String?)
    /// One array for all.
    case fused(String)
    /// Arrays per layer; `values` is empty where there are none.
    case perLayer(keys: [String], values: [String])
    /// One array per layer, with the axis `kv`.
    case fusedPerLayer([String])
  }

  public var packing: Packing
  /// Of every array, outermost first.
  public var axes: [KVAxis]
  /// The tokens of one of vLLM's blocks; 0 without blocks.
  public var blockTokens: Int

  public init(packing: Packing, axes: [KVAxis], blockTokens: Int = 0) {
    self.packing = packing
    self.axes = axes
    self.blockTokens = blockTokens
  }

  /// `k` and `v`, each `[layer, kv_head, token, head_dim]`.
  public static let standard = KVArrayLayout(
    packing: .stacked(keys: "k", values: "v"), axes: [.layer, .head, .token, .channel])
}

/// How a cache lies in a llama.cpp sequence state.
public struct KVLlamaLayout: Sendable, Equatable {
  /// One memory; models with sliding windows have two, one after the other.
  public struct Section: Sendable, Equatable {
    public var layers: Int
    /// How many streams the build counts, all but `stream` empty; 0 for builds before streams.
    public var streams: Int
    public var stream: Int
    public var valuesAreTransposed: Bool
    /// The sequence id that every cell has; nil: cells differ and are carried as `llama.cells.N`.
    public var sequence: Int32?

    public init(layers: Int, streams: Int, stream: Int, valuesAreTransposed: Bool, sequence: Int32?) {
      self.layers = layers
      self.streams = streams
      self.stream = stream
      self.valuesAreTransposed = valuesAreTransposed
      self.sequence = sequence
    }
  }

  /// Of the file: 2 or 3, which differ only in what M-RoPE's cells hold. A build loads only its own.
  public var version: UInt32
  public var sections: [Section]

  public init(version: UInt32 = 3, sections: [Section]) {
    self.version = version
    self.sections = sections
  }
}

/// The file format that a cache came in, and what is needed to write it back the same way.
public enum KVFileLayout: Sendable, Equatable {
  case safeTensors(KVArrayLayout)
  /// One .npy array.
  case numPy(KVArrayLayout)
  /// An .npz archive.
  case numPyArchive(KVArrayLayout)
  case llamaState(KVLlamaLayout)
}
