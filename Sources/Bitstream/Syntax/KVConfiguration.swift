/// The configuration of codec 3, the KV-cache codec:
///
///     scheme       1 byte: 1 static, 2 lossless, 3 adaptive, 4 with a profile, 5 CacheGen's
///     keys         1 byte: bits 0...1 RoPE's layout, bit 2 whether RoPE has been applied
///     rope base    u64, the bits of a finite positive IEEE 754 binary64
///     chunk        varint, 1...65536, the most tokens of a payload
///     model        text behind a varint length, at most 1024 bytes
///     layout       KVLayoutSyntax: what file the cache came in
///     groups       list of KVLayerGroup
///     turns        list of u64, at most 32768: what RoPE turns each pair of channels by, in 2^-64 of a turn; schemes 3 and 4
///     profile      32 bytes, its SHA-256; scheme 4
// bitstream-spec 10.1
package struct KVConfiguration: BitstreamStructure, Equatable, Sendable {
  package enum Scheme: UInt8, FieldEnumeration {
    case statistics = 1
    case lossless = 2
    case adaptive = 3
    case profile = 4
    case cacheGen = 5

    package var label: String {
      switch self {
      case .statistics: "static"
      case .lossless: "lossless"
      case .adaptive: "adaptive"
      case .profile: "profile"
      case .cacheGen: "cachegen"
      }
    }
  }

  package enum Rope: UInt8, FieldEnumeration {
    case none = 0
    case interleaved = 1
    case halves = 2

    package var label: String { "\(self)" }
  }

  package static let maximumLayers = 1 << 12
  package static let maximumChunk: UInt32 = 65_536

  package var scheme: Scheme
  package var rope: Rope
  package var keysAreRotated: Bool
  /// The bits of a binary64.
  package var ropeBase: UInt64
  package var chunkTokens: UInt32
  package var model: String
  package var layout: KVLayoutSyntax
  package var groups: [KVLayerGroup]
  package var turns: [KVTurn] = []
  /// 32 bytes with scheme 4, none without.
  package var profile: ArraySlice<UInt8> = []

  package init(
    scheme: Scheme, rope: Rope, keysAreRotated: Bool, ropeBase: Double, chunkTokens: UInt32, model: String,
    layout: KVLayoutSyntax, groups: [KVLayerGroup]
  ) {
    self.scheme = scheme
    self.rope = rope
    self.keysAreRotated = keysAreRotated
    self.ropeBase = ropeBase.bitPattern
    self.chunkTokens = chunkTokens
    self.model = model
    self.layout = layout
    self.groups = groups
  }

  static let blank = KVConfiguration(
    scheme: .statistics, rope: .none, keysAreRotated: false, ropeBase: 1, chunkTokens: 1, model: "",
    layout: KVLayoutSyntax(), groups: [])

  /// The inverse is `serialised()`. Throws `malformed` or `limitExceeded`.
  package init(parsing configuration: ArraySlice<UInt8>) throws(BitstreamError) {
    self = try Self.parse(configuration, into: Self.blank, named: "KV configuration")
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.enumeration("scheme", &scheme)
    try visitor.packed("keys") { keys in
      keys.enumeration("rope", &rope, bits: 2)
      keys.flag("rotated", &keysAreRotated)
    }
    try visitor.unsigned("rope base", &ropeBase)
    let base = Double(bitPattern: ropeBase)
    try visitor.require(base.isFinite && base > 0, "rope base", "the base is no positive number")
    try visitor.varint("chunk", &chunkTokens, in: 1...Self.maximumChunk, unit: "tokens")
    try visitor.text("model", &model, .prefixed(limit: 1024))
    try visitor.structure("layout", &layout)
    try visitor.list("groups", &groups, limit: Self.maximumLayers, minimumBytes: 6, blank: KVLayerGroup())
    let layers = groups.reduce(UInt64(0)) { $0 + UInt64($1.count) }
    try visitor.require(
      layers >= 1 && layers <= UInt64(Self.maximumLayers), "groups", "\(layers) layers are not 1 to \(Self.maximumLayers)")
    guard scheme == .adaptive || scheme == .profile else { return }
    try visitor.list("turns", &turns, limit: 32_768, minimumBytes: 8, blank: KVTurn())
    guard scheme == .profile else { return }
    try visitor.bytes("profile", &profile, .fixed(32))
  }
}

/// What a position more turns a pair of channels by: u64, in units of 2^-64 of a whole turn.
// bitstream-spec 10.1
package struct KVTurn: BitstreamStructure, Equatable, Sendable {
  package var turn: UInt64

  package init(_ turn: UInt64 = 0) { self.turn = turn }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.unsigned("turn", &turn)
  }
}

/// Layers that follow each other and have the same shape:
///
///     count                  varint, 1...4096
///     first position         varint, at most 2^32 - 1: of the layer's first token
///     key heads, channels    varints, 1...65536 each, their product at most 2^20
///     key element            1 byte: 1 float16, 2 bfloat16, 3 float32
///     value heads            varint, 0 (no values) or as many as the keys'
///     value channels, element   as for keys; only with values
// bitstream-spec 10.1
package struct KVLayerGroup: BitstreamStructure, Equatable, Sendable {
  package enum Element: UInt8, FieldEnumeration {
    case float16 = 1
    case bfloat16 = 2
    case float32 = 3

    package var label: String { "\(self)" }
  }

  package static let maximumWidth = 1 << 20

  package var count: UInt32 = 1
  package var firstPosition: UInt32 = 0
  package var keyHeads: UInt32 = 1
  package var keyChannels: UInt32 = 1
  package var keyElement = Element.float16
  package var valueHeads: UInt32 = 0
  package var valueChannels: UInt32 = 1
  package var valueElement = Element.float16

  package init() {}

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.varint("count", &count, in: 1...UInt32(KVConfiguration.maximumLayers), unit: "layers")
    try visitor.varint("first position", &firstPosition)
    try visitor.varint("key heads", &keyHeads, in: 1...65_536)
    try visitor.varint("key channels", &keyChannels, in: 1...65_536)
    try visitor.require(
      UInt64(keyHeads) * UInt64(keyChannels) <= UInt64(Self.maximumWidth), "key channels", "a token's keys are too many")
    try visitor.enumeration("key element", &keyElement)
    try visitor.varint("value heads", &valueHeads, in: 0...65_536)
    try visitor.require(
      valueHeads == 0 || valueHeads == keyHeads, "value heads", "there are \(valueHeads) beside \(keyHeads) of the keys")
    guard valueHeads > 0 else { return }
    try visitor.varint("value channels", &valueChannels, in: 1...65_536)
    try visitor.require(
      UInt64(valueHeads) * UInt64(valueChannels) <= UInt64(Self.maximumWidth), "value channels",
      "a token's values are too many")
    try visitor.enumeration("value element", &valueElement)
  }
}
