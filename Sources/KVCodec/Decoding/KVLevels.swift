import Bitstream
import Coding

/// One quality of a file's cache: a track of codec 3.
struct KVLevel {
  let track: UInt32
  let configuration: KVConfiguration
  /// 0...100; nil where it is not stated, and without loss.
  let quality: Int?

  var isLossless: Bool { configuration.scheme == .lossless }
}

/// The levels of a file's first cache, the best first.
// bitstream-spec 10.7
enum KVLevels {
  /// Files without levels chunk have one, the first track of a cache.
  ///
  /// Throws `CodecError`: unsupported without a cache in a codec known here, malformed where levels do not fit together;
  /// `BitstreamError`.
  static func read(_ reader: ContainerReader<some ByteSource>) throws -> [KVLevel] {
    guard let first = reader.tracks.firstIndex(where: { $0.modality == .kvCache }) else {
      throw CodecError(
        .unsupported, "the file has no KV cache, only: \(reader.tracks.map(\.modality.label).joined(separator: ", "))")
    }
    var stated: [Levels.Level]?
    for case .levels(let levels) in reader.metadata { stated = levels }
    guard let stated else { return [try level(UInt32(first), nil, reader)] }
    guard stated[0].track == UInt32(first) else {
      throw CodecError.damagedKV("level 0 is not the first cache of the file")
    }
    let levels = try stated.map { try level($0.track, $0.quality, reader) }
    for (number, level) in levels.enumerated() {
      var configuration = level.configuration
      configuration.scheme = levels[0].configuration.scheme
      guard configuration == levels[0].configuration else {
        throw CodecError.damagedKV("level \(number) is of another cache than level 0")
      }
    }
    return levels
  }

  private static func level(
    _ number: UInt32, _ quality: UInt8?, _ reader: ContainerReader<some ByteSource>
  ) throws -> KVLevel {
    let track = reader.tracks[Int(number)]
    guard track.modality == .kvCache else { throw CodecError.damagedKV("a level is no cache, but \(track.modality.label)") }
    guard track.codec == CodecID.kvCache else {
      throw CodecError(.unsupported, "the cache is in codec \(track.codec), which is unknown here. Use a newer version of nccodec.")
    }
    let configuration = try KVConfiguration(parsing: track.configuration)
    let isStated = quality != Levels.Level.lossless && configuration.scheme != .lossless
    return KVLevel(track: number, configuration: configuration, quality: isStated ? quality.map(Int.init) : nil)
  }
}

extension KVCacheDecoder {
  /// The payloads to decode, each of the level that the options say for its part.
  ///
  /// Throws `CodecError`: invalidOption for levels that the file does not have, malformed where levels have other parts.
  func chosenUnits(_ levels: [KVLevel], _ reader: ContainerReader<some ByteSource>) throws -> [(unit: UnitRecord, level: KVLevel)] {
    func wanted(_ number: Int) throws -> KVLevel {
      guard levels.indices.contains(number) else {
        throw CodecError(
          .invalidOption, "level \(number) is asked for, and the file has \(levels.count == 1 ? "level 0 alone" : "levels 0 to \(levels.count - 1)")")
      }
      return levels[number]
    }
    // From here on payloads follow each other without gap.
    let first = levels[0].configuration.shapes.map { UInt64($0.firstPosition) }.min()!
    func checked(_ units: [(unit: UnitRecord, level: KVLevel)]) throws -> [(unit: UnitRecord, level: KVLevel)] {
      if let start = units.first?.unit.start, start != first {
        throw CodecError.damagedKV("a payload begins at token \(start) where \(first) is expected")
      }
      return units
    }
    guard !options.levels.isEmpty else {
      let level = try wanted(options.level)
      return try checked(reader.units.filter { $0.track == level.track }.map { ($0, level) })
    }
    let units = levels.map { level in reader.units.filter { $0.track == level.track } }
    let parts = units[0].count { $0.isRandomAccess }
    guard parts == options.levels.count else {
      throw CodecError(.invalidOption, "\(options.levels.count) levels are given, and the cache has \(parts) parts. Give one for each.")
    }
    var chosen: [(unit: UnitRecord, level: KVLevel)] = []
    var part = -1
    for (i, unit) in units[0].enumerated() {
      if unit.isRandomAccess { part += 1 }
      // The first payload of a track is a random-access one.
      let number = options.levels[max(part, 0)]
      let level = try wanted(number)
      guard i < units[number].count, units[number][i].start == unit.start, units[number][i].isRandomAccess == unit.isRandomAccess else {
        throw CodecError.damagedKV("level \(number) has other parts than level 0")
      }
      chosen.append((units[number][i], level))
    }
    return try checked(chosen)
  }
}
