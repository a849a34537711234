import Bitstream
import Coding
import EntropyCoding

/// A picture of codec 2 as integers: what its payload says, alpha apart.
///
///     header     bit string, filled up to a whole byte
///     side       varint length, then a range-coded payload of that many bytes: parameters, maps of empty blocks
///     symbols    a rANS payload with the grids' values, to the end
///
/// `parse` reads it; the inverse is `OverfitStream.write`.
// bitstream-spec 9.2
package struct OverfitStream: Sendable {
  package let architecture: OverfitArchitecture
  package let parameters: OverfitParameters
  package let formats: OverfitFormats
  /// By grid in coding order: the largest magnitude of its values, 0...127; 0 is a grid of zeros.
  package let magnitudes: [Int]
  /// By grid: which blocks of 16 x 16 are coded (1) or empty (0), row by row; nil: all are coded.
  package let blocks: [[UInt8]?]
  /// Bytes of the header, of the side information with its length field, and of the symbols.
  package let headerBytes: Int
  package let sideBytes: Int
  package var symbolBytes: Int { symbols.count }
  let symbols: [UInt8]

  static let blockSize = 16

  /// Blocks of a grid: rows and columns.
  static func blockCounts(_ grid: OverfitArchitecture.Grid) -> (rows: Int, columns: Int) {
    ((grid.height + blockSize - 1) / blockSize, (grid.width + blockSize - 1) / blockSize)
  }

  /// What comes before the side information.
  struct Header: Equatable {
    var architecture: OverfitArchitecture
    var formats: OverfitFormats
    var steps: [Int]
    var bases: [Int]
    var magnitudes: [Int]
    /// By grid: whether a map of its blocks follows.
    var hasMap: [Bool]
  }

  /// Everything but the values of a payload for a picture of this size; those are `OverfitEntropyModel.decode`'s.
  /// `limit` sees the architecture before memory is taken for it, and throws to refuse it.
  ///
  /// Throws `CodecError`, `BitstreamError` or `EntropyError`.
  package static func parse(
    _ payload: ArraySlice<UInt8>, width: Int, height: Int, outputs: Int, modelID: UInt32,
    limit: (OverfitArchitecture) throws -> Void = { _ in }
  ) throws -> OverfitStream {
    var reader = BitReader(payload, element: "picture header")
    let header = try Header(reading: &reader, width: width, height: height, outputs: outputs)
    try reader.align()
    let architecture = header.architecture
    try limit(architecture)
    let headerBytes = reader.position / 8
    let rest = payload.dropFirst(headerBytes)
    guard case .value(let length, let digits) = Varint.decode(rest), length <= UInt64(rest.count - digits) else {
      throw CodecError(.malformed, "the picture's side information is cut short. Get the file again from where it came from.")
    }
    let side = rest.dropFirst(digits).prefix(Int(length))
    let symbols = rest.dropFirst(digits + Int(length))

    let prior = try OverfitPrior(modelID: modelID, for: architecture)
    var decoder = RangeDecoder(Array(side))
    let integers = try OverfitParameters.integers(
      from: &decoder, architecture: architecture, prior: prior, bases: header.bases)
    var maps = OverfitBlockMaps()
    var blocks: [[UInt8]?] = []
    for (number, grid) in architecture.grids.enumerated() {
      blocks.append(header.hasMap[number] ? try maps.decode(from: &decoder, grid: grid) : nil)
    }
    try decoder.finish()
    return OverfitStream(
      architecture: architecture,
      parameters: OverfitParameters(
        architecture: architecture, prior: prior, steps: header.steps, bases: header.bases, integers: integers),
      formats: header.formats, magnitudes: header.magnitudes, blocks: blocks, headerBytes: headerBytes,
      sideBytes: digits + Int(length), symbols: Array(symbols))
  }
}

extension OverfitStream.Header {
  /// In place of the networks' number, which then follows: hyper-latents are planes.
  private static let joined = 5

  /// The inverse is `write(to:)`. Throws `BitstreamError` or `CodecError` (malformed).
  init(reading reader: inout BitReader, width: Int, height: Int, outputs: Int) throws {
    func number(_ bits: Int) throws -> Int { Int(try reader.read(count: bits)) }
    var code = try number(3)
    let areJoined = code == Self.joined
    if areJoined { code = try number(3) }
    let latents: Int
    if code == 0 {
      let spatial = try number(6) + 1
      let features = try number(4)
      let mask = try number(9)
      let hiddenLayers = try number(2) + 1
      let synthesisWidth = try number(7) + 1
      let convolutions = try number(2)
      latents = try number(9)
      architecture = OverfitArchitecture(
        width: width, height: height, outputs: outputs, latentMask: latents, hyperMask: try number(9), spatial: spatial,
        features: features, featureMask: mask, hiddenLayers: hiddenLayers, synthesisWidth: synthesisWidth,
        convolutions: convolutions)
    } else {
      guard let preset = OverfitArchitecture.Preset(rawValue: code) else {
        throw CodecError(.malformed, "the overfitted picture's header names networks \(code), which are unknown here. Use a newer version.")
      }
      architecture = OverfitArchitecture(preset: preset, width: width, height: height, outputs: outputs)
      architecture.latentMask = try number(9)
      architecture.hyperMask = try number(9)
    }
    architecture.areJoined = areJoined
    try architecture.check()
    formats = OverfitFormats(planes: try number(4), hidden: try number(4), outputs: try number(4))
    guard formats.outputs > 0 else {
      throw CodecError(.malformed, "the overfitted picture's header gives its samples no fraction bits")
    }
    (steps, bases, magnitudes, hasMap) = ([], [], [], [])
    for _ in architecture.groups {
      steps.append(try number(4))
      bases.append(try number(7))
      guard bases.last! <= OverfitParameters.maximumIndex else {
        throw CodecError(.malformed, "the overfitted picture's header has a scale index of \(bases.last!)")
      }
    }
    for grid in architecture.grids {
      let magnitude = Int(try reader.readExpGolomb(order: 2))
      // Planes shall fit their format; other hyper-latents the entropy model's activations.
      guard magnitude <= OverfitArchitecture.maximumMagnitude, !architecture.isPlane(grid) || magnitude << formats.planes <= 32767
      else { throw CodecError(.malformed, "the overfitted picture's header has values up to \(magnitude)") }
      magnitudes.append(magnitude)
      hasMap.append(magnitude > 0 ? try reader.readFlag() : false)
    }
  }

  /// The inverse of `init(reading:width:height:outputs:)`; size and outputs are the configuration's.
  func write(to writer: inout BitWriter) {
    func put(_ value: Int, _ bits: Int) { writer.write(UInt64(value), count: bits) }
    let a = architecture
    if a.areJoined { put(Self.joined, 3) }
    put(a.preset?.rawValue ?? 0, 3)
    if a.preset == nil {
      put(a.spatial - 1, 6)
      put(a.features, 4)
      put(a.featureMask, 9)
      put(a.hiddenLayers - 1, 2)
      put(a.synthesisWidth - 1, 7)
      put(a.convolutions, 2)
    }
    put(a.latentMask, 9)
    put(a.hyperMask, 9)
    for bits in [formats.planes, formats.hidden, formats.outputs] { put(bits, 4) }
    for (step, base) in zip(steps, bases) {
      put(step, 4)
      put(base, 7)
    }
    for (magnitude, hasMap) in zip(magnitudes, hasMap) {
      writer.writeExpGolomb(UInt32(magnitude), order: 2)
      if magnitude > 0 { writer.write(hasMap) }
    }
  }
}

/// The maps of empty blocks, in the order of the grids: an adaptive bit per block, 1 where it is coded, whose context
/// is how many of its left and upper neighbours are (outside the grid: none).
// bitstream-spec 9.2
struct OverfitBlockMaps {
  private var models = [AdaptiveBit](repeating: AdaptiveBit(), count: 3)

  private func context(_ map: [UInt8], _ row: Int, _ column: Int, columns: Int) -> Int {
    (column > 0 ? Int(map[row * columns + column - 1]) : 0) + (row > 0 ? Int(map[(row - 1) * columns + column]) : 0)
  }

  /// Throws `EntropyError`.
  mutating func decode(from decoder: inout RangeDecoder, grid: OverfitArchitecture.Grid) throws -> [UInt8] {
    let (rows, columns) = OverfitStream.blockCounts(grid)
    var map = [UInt8](repeating: 0, count: rows * columns)
    for row in 0..<rows {
      for column in 0..<columns {
        let model = context(map, row, column, columns: columns)
        map[row * columns + column] = UInt8(try decoder.decode(adapting: &models[model]))
      }
    }
    return map
  }

  mutating func encode(_ map: [UInt8], into encoder: inout RangeEncoder, grid: OverfitArchitecture.Grid) {
    let (rows, columns) = OverfitStream.blockCounts(grid)
    for row in 0..<rows {
      for column in 0..<columns {
        let model = context(map, row, column, columns: columns)
        // Both symbols of a bit always have an interval.
        try! encoder.encode(Int(map[row * columns + column]), adapting: &models[model])
      }
    }
  }
}
