/// The payload of a `T` chunk:
///
///     kind           1 byte: bits 0...3 modality, bit 4 timed, bits 5...7 zero
///     codec          varint, 1...2^32 - 1
///     model          varint, 0...2^32 - 1, 0 for none
///     time base      TimeBase, if timed
///     configuration  bytes to the end of the chunk, at most 2^20, a structure of the codec's
// bitstream-spec 3.1
package struct TrackHeader: BitstreamStructure, Equatable, Sendable {
  package static let maximumConfigurationBytes = 1 << 20

  package var modality: Modality
  package var codec: UInt32
  /// The model whose weights the decoder needs; 0 if it needs none.
  package var model: UInt32
  /// Video and audio have one, images have none.
  package var timeBase: TimeBase?
  package var configuration: ArraySlice<UInt8>

  package init(
    modality: Modality = .data, codec: UInt32 = 1, model: UInt32 = 0, timeBase: TimeBase? = nil,
    configuration: ArraySlice<UInt8> = []
  ) {
    self.modality = modality
    self.codec = codec
    self.model = model
    self.timeBase = timeBase
    self.configuration = configuration
  }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    let start = visitor.offset
    var isTimed = timeBase != nil
    try visitor.packed("kind") { kind in
      kind.enumeration("modality", &modality, bits: 4)
      kind.flag("timed", &isTimed)
    }
    if let demanded = modality.isTimed, demanded != isTimed {
      throw visitor.rejection(
        in: "kind", at: start, "\(modality.label) tracks shall \(demanded ? "" : "not ")have a time base")
    }
    try visitor.varint("codec", &codec, in: 1...UInt32.max)
    try visitor.varint("model", &model)
    try visitor.optional("time base", &timeBase, isPresent: isTimed, blank: TimeBase())
    try visitor.bytes("configuration", &configuration, .rest(limit: Self.maximumConfigurationBytes))
  }
}

package enum Modality: UInt8, FieldEnumeration {
  case image = 0
  case video = 1
  case audio = 2
  case kvCache = 3
  case data = 4

  package var label: String {
    switch self {
    case .image: "image"
    case .video: "video"
    case .audio: "audio"
    case .kvCache: "kvcache"
    case .data: "data"
    }
  }

  /// Whether tracks shall or shall not have a time base; nil if they may.
  package var isTimed: Bool? {
    switch self {
    case .image: false
    case .video, .audio: true
    case .kvCache, .data: nil
    }
  }
}

/// Codec ids that are released. An id is never given to another codec.
package enum CodecID {
  package static let hyperpriorImage: UInt32 = 1
  package static let overfittedImage: UInt32 = 2
  package static let kvCache: UInt32 = 3
  package static let tensor: UInt32 = 4
  package static let transformAudio: UInt32 = 5
  package static let tokenAudio: UInt32 = 6
  package static let copiedPackets: UInt32 = 7
  package static let networkVideo: UInt32 = 8
}
