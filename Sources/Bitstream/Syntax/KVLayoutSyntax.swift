/// What file a cache came in, so that decoding can write one like it. It does nothing to decoding.
///
///     format     1 byte: 0 safetensors, 1 .npy, 2 .npz, 3 llama.cpp sequence state
///     packing    1 byte: 0 stacked, 1 fused, 2 per layer, 3 fused per layer; formats 0...2
///     keys       list of texts, the arrays' names; formats 0...2
///     values     list of texts; formats 0...2
///     axes       bytes behind a varint length, at most 8; formats 0...2
///     block      varint, tokens of a block, 0 for none; formats 0...2
///     version    u32 of that format; format 3
///     sections   list of KVSectionSyntax; format 3
// bitstream-spec 10.1
package struct KVLayoutSyntax: BitstreamStructure, Equatable, Sendable {
  package enum Format: UInt8, FieldEnumeration {
    case safeTensors = 0
    case numPy = 1
    case numPyArchive = 2
    case llamaState = 3

    package var label: String {
      switch self {
      case .safeTensors: "safetensors"
      case .numPy: "npy"
      case .numPyArchive: "npz"
      case .llamaState: "llama.cpp state"
      }
    }
  }

  package enum Packing: UInt8, FieldEnumeration {
    case stacked = 0
    case fused = 1
    case perLayer = 2
    case fusedPerLayer = 3

    package var label: String {
      switch self {
      case .stacked: "stacked"
      case .fused: "fused"
      case .perLayer: "per layer"
      case .fusedPerLayer: "fused per layer"
      }
    }
  }

  package var format = Format.safeTensors
  package var packing = Packing.stacked
  package var keys: [KVArrayName] = []
  package var values: [KVArrayName] = []
  /// Numbers of axes, outermost first: 0 batch, 1 keys or values, 2 layer, 3 head, 4 token, 5 channel, 6 heads and
  /// channels in one, 7 block, 8 token of a block.
  package var axes: ArraySlice<UInt8> = []
  package var blockTokens: UInt32 = 0
  package var version: UInt32 = 0
  package var sections: [KVSectionSyntax] = []

  package init() {}

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.enumeration("format", &format)
    if format == .llamaState {
      try visitor.unsigned("version", &version)
      try visitor.list("sections", &sections, limit: 16, minimumBytes: 4, blank: KVSectionSyntax())
      return
    }
    try visitor.enumeration("packing", &packing)
    try visitor.list("keys", &keys, limit: KVConfiguration.maximumLayers, blank: KVArrayName())
    try visitor.list("values", &values, limit: KVConfiguration.maximumLayers, blank: KVArrayName())
    try visitor.bytes("axes", &axes, .prefixed(limit: 8))
    try visitor.require(axes.allSatisfy { $0 <= 8 }, "axes", "there is an axis that stands for nothing")
    try visitor.varint("block", &blockTokens, unit: "tokens")
  }
}

/// The name of an array in a file: text behind a varint length, at most 1024 bytes.
package struct KVArrayName: BitstreamStructure, Equatable, Sendable {
  package var name: String

  package init(_ name: String = "") { self.name = name }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.text("name", &name, .prefixed(limit: 1024))
  }
}

/// One memory of a llama.cpp sequence state:
///
///     layers, streams, stream   varints
///     flags                     1 byte: bit 0 values are transposed, bit 1 all cells have one sequence id
///     sequence                  u32, that id's bits; only with bit 1
// bitstream-spec 10.1
package struct KVSectionSyntax: BitstreamStructure, Equatable, Sendable {
  package var layers: UInt32 = 0
  package var streams: UInt32 = 0
  package var stream: UInt32 = 0
  package var valuesAreTransposed = false
  package var sequence: UInt32?

  package init() {}

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.varint("layers", &layers)
    try visitor.varint("streams", &streams)
    try visitor.varint("stream", &stream)
    var hasSequence = sequence != nil
    try visitor.packed("flags") { flags in
      flags.flag("transposed values", &valuesAreTransposed)
      flags.flag("one sequence", &hasSequence)
    }
    guard hasSequence else {
      sequence = nil
      return
    }
    var id = sequence ?? 0
    try visitor.unsigned("sequence", &id)
    sequence = id
  }
}
