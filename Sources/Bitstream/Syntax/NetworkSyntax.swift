/// A network of codec 8, and the formats of its numbers:
///
///     embedding    varint channels 1...64, or 1...512 with a stem, 4...160 with groups; varint height, varint width, each 1...4096
///     activation   1 byte: bits 0...1 activation, 0 GELU, 1 swish; bit 2 whether there is a stem, bit 3 whether there are groups; others reserved
///     shift        1 byte, 0...12: of embeddings; 0 where there are none
///     stem         StemSyntax, if there is one
///     group        1 byte, 1...8 frames, if there are groups
///     stages       list of 2...64 StageSyntax
// bitstream-spec 14.3
package struct NetworkSyntax: BitstreamStructure, Equatable, Sendable {
  package enum Activation: UInt8, FieldEnumeration {
    case gelu = 0
    case swish = 1

    package var label: String { self == .gelu ? "GELU" : "swish" }
  }

  package var channels: UInt32 = 1
  package var height: UInt32 = 1
  package var width: UInt32 = 1
  package var activation = Activation.gelu
  package var embeddingShift: UInt8 = 0
  /// What makes the first stage's input of a frame's number; nil where embeddings are it.
  package var stem: StemSyntax?
  /// Frames of a group, 1...8; nil where there are no groups.
  package var groupFrames: UInt8?
  package var stages: [StageSyntax] = []

  package init() {}

  /// Of the stem's layers, if there is one, and of the stages.
  package var formats: [FormatSyntax] { (stem.map { [$0.first, $0.second] } ?? []) + stages.map(\.format) }

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.varint("embedding channels", &channels, in: 1...512)
    try visitor.varint("embedding height", &height, in: 1...4096)
    try visitor.varint("embedding width", &width, in: 1...4096)
    var (hasStem, hasGroups) = (stem != nil, groupFrames != nil)
    try visitor.packed("activation") { kind in
      kind.enumeration("activation", &activation, bits: 2)
      kind.flag("stem", &hasStem)
      kind.flag("groups", &hasGroups)
    }
    try visitor.unsigned("embedding shift", &embeddingShift, in: 0...12)
    if hasStem {
      var some = stem ?? StemSyntax()
      try visitor.structure("stem", &some)
      stem = some
    } else {
      stem = nil
    }
    if hasGroups {
      var frames = groupFrames ?? 1
      try visitor.unsigned("frames of a group", &frames, in: 1...8)
      groupFrames = frames
      try visitor.require(!hasStem, "groups", "there is a stem")
      try visitor.require(channels % 4 == 0 && channels <= 160, "embedding channels", "waves of places are 4 for each of 1 to 40 levels")
    } else {
      groupFrames = nil
    }
    if hasStem || hasGroups {
      try visitor.require(embeddingShift == 0, "embedding shift", "there are no embeddings")
    } else {
      try visitor.require(channels <= 64, "embedding channels", "embeddings have at most 64")
    }
    try visitor.list("stages", &stages, limit: 64, minimumBytes: StageSyntax.minimumByteCount, blank: StageSyntax())
    try visitor.require(stages.count >= 2, "stages", "a network has at least two")
  }
}

/// A stem, which has two layers:
///
///     levels    1 byte, 1...40
///     hidden    varint, 1...512 numbers between the two
///     first     FormatSyntax
///     second    FormatSyntax
// bitstream-spec 14.3
package struct StemSyntax: BitstreamStructure, Equatable, Sendable {
  package var levels: UInt8 = 1
  package var hidden: UInt32 = 1
  package var first = FormatSyntax()
  package var second = FormatSyntax()

  package init() {}

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.unsigned("levels", &levels, in: 1...40)
    try visitor.varint("hidden", &hidden, in: 1...512)
    try visitor.structure("first", &first)
    try visitor.structure("second", &second)
  }
}

/// A stage of a network:
///
///     outputs    varint, 1...512 channels
///     kernel     1 byte: bits 0...1 (side - 1) / 2, bits 2...4 factor - 1 (0...4), bit 5 depthwise, bit 6 linear, bit 7 whether something is added
///     sums       1 byte, if something is added: bits 0...3 of how many stages before, 1...15; bits 4...7 a second one, or 0
///     format     FormatSyntax
// bitstream-spec 14.3
package struct StageSyntax: BitstreamStructure, Equatable, Sendable {
  package static let minimumByteCount = 2 + FormatSyntax.minimumByteCount

  package var outputs: UInt32 = 1
  private var halfSide: UInt8 = 0
  private var lessFactor: UInt8 = 0
  package var isDepthwise = false
  package var isLinear = false
  private var firstSum: UInt8 = 0
  private var secondSum: UInt8 = 0
  package var format = FormatSyntax()

  /// 1, 3, 5 or 7
  package var side: Int {
    get { 2 * Int(halfSide) + 1 }
    set { halfSide = UInt8(newValue / 2) }
  }

  /// 1...5
  package var factor: Int {
    get { Int(lessFactor) + 1 }
    set { lessFactor = UInt8(newValue - 1) }
  }

  /// Of how many stages before the inputs are added: at most two, each 1...15.
  package var sums: [Int] {
    get { [firstSum, secondSum].filter { $0 > 0 }.map { Int($0) } }
    set { (firstSum, secondSum) = (UInt8(newValue.first ?? 0), UInt8(newValue.count > 1 ? newValue[1] : 0)) }
  }

  package init() {}

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.varint("outputs", &outputs, in: 1...512)
    var hasSums = firstSum != 0
    try visitor.packed("kernel") { kernel in
      kernel.unsigned("(side - 1) / 2", &halfSide, bits: 2)
      kernel.unsigned("factor - 1", &lessFactor, bits: 3, in: 0...4)
      kernel.flag("depthwise", &isDepthwise)
      kernel.flag("linear", &isLinear)
      kernel.flag("sums", &hasSums)
    }
    if hasSums {
      try visitor.packed("sums") { sums in
        sums.unsigned("first", &firstSum, bits: 4, in: 1...15)
        sums.unsigned("second", &secondSum, bits: 4)
      }
    } else {
      (firstSum, secondSum) = (0, 0)
    }
    try format.visitFields(&visitor)
  }
}

/// The formats of a stage's or a stem's layer's numbers:
///
///     rounding     1 byte: bits 0...4 shift (0...24), bits 5...7 fraction - 4
///     multiplier   u16, 1...32767
///     steps        1 byte: bits 0...3 shift of weights, bits 4...7 shift of biases, each 0...8
///     amplitude    varint, 0...32767
// bitstream-spec 14.3
package struct FormatSyntax: BitstreamStructure, Equatable, Sendable {
  package static let minimumByteCount = 5

  package var shift: UInt8 = 0
  private var lessFraction: UInt8 = 0
  package var multiplier: UInt16 = 1
  package var centreShift: UInt8 = 0
  package var biasShift: UInt8 = 0
  package var amplitude: UInt32 = 0

  /// 4...10
  package var fraction: Int {
    get { Int(lessFraction) + 4 }
    set { lessFraction = UInt8(newValue - 4) }
  }

  package init() {}

  package mutating func visitFields(_ visitor: inout some FieldVisitor) throws(BitstreamError) {
    try visitor.packed("rounding") { rounding in
      rounding.unsigned("shift", &shift, bits: 5, in: 0...24)
      rounding.unsigned("fraction - 4", &lessFraction, bits: 3, in: 0...6)
    }
    try visitor.unsigned("multiplier", &multiplier, in: 1...32767)
    try visitor.packed("steps") { steps in
      steps.unsigned("shift of weights", &centreShift, bits: 4, in: 0...8)
      steps.unsigned("shift of biases", &biasShift, bits: 4, in: 0...8)
    }
    try visitor.varint("amplitude", &amplitude, in: 0...32767)
  }
}
