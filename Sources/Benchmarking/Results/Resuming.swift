import MediaIO

/// What makes two points the same measurement, files and codecs being known.
package struct PointKey: Hashable {
  package let file, codec, setting: String

  package init(file: String, codec: String, setting: String) { (self.file, self.codec, self.setting) = (file, codec, setting) }
  package init(_ point: PointRecord) { self.init(file: point.file, codec: point.codec, setting: point.setting) }
}

extension BenchResults {
  /// Takes over what `previous` has and is still true: points of files with the same bytes, of codecs with the same version
  /// and settings, that have the measures of this run. Files and codecs that this run does not name stay in the report,
  /// but for codecs that it does name, points at other settings than `settings` (by codec) go.
  ///
  /// Throws `MediaIOError` (unsupported) where `previous` is of another kind.
  package mutating func keep(_ previous: BenchResults, settings: [String: [String]]) throws(MediaIOError) {
    guard previous.kind == kind else {
      throw MediaIOError(.unsupported, at: "results.json", "the folder's report is of kind \(previous.kind.rawValue), not \(kind.rawValue)")
    }
    let own = Set(files.map(\.name))
    // By content: a file may have moved, and its name with it.
    var names: [String: String] = [:]
    for old in previous.files {
      if let same = files.first(where: { $0.sha256 != nil && $0.sha256 == old.sha256 }) {
        names[old.name] = same.name
      } else if old.error == nil, !files.contains(where: { $0.path == old.path || $0.name == old.name }) {
        names[old.name] = old.name
        files.append(old)
      }
    }
    var kept: Set<String> = []
    for old in previous.codecs {
      if let now = codecs.first(where: { $0.name == old.name }) {
        if now.version == old.version, now.settings == old.settings { kept.insert(old.name) }
      } else {
        codecs.append(old)
        kept.insert(old.name)
      }
    }
    let wanted = Set(measures.filter { $0.missing == nil }.map(\.name))
    // A measure that was computed otherwise before is another one.
    let stale = previous.measures.contains { old in measures.contains { $0.name == old.name && $0.version != old.version } }
    for old in previous.points {
      guard let file = names[old.file], kept.contains(old.codec), old.error == nil, !stale else { continue }
      var point = old
      if let settings = settings[old.codec] {
        guard let index = settings.firstIndex(of: old.setting), wanted.isSubset(of: old.measures.keys) else { continue }
        point.point = index
      }
      point.file = file
      put(point)
    }
    references = previous.references
    let (usedFiles, usedCodecs) = (Set(points.map(\.file)), Set(points.map(\.codec)))
    files.removeAll { !own.contains($0.name) && !usedFiles.contains($0.name) }
    codecs.removeAll { settings[$0.name] == nil && !usedCodecs.contains($0.name) }
  }

  /// Adds a point, or puts it in the place of the same one, by order of files, codecs and points.
  package mutating func put(_ point: PointRecord) {
    let key = PointKey(point)
    points.removeAll { PointKey($0) == key }
    let place = order(point)
    let index = points.firstIndex { order($0) > place } ?? points.count
    points.insert(point, at: index)
  }

  private func order(_ point: PointRecord) -> Int {
    let file = files.firstIndex { $0.name == point.file } ?? files.count
    let codec = codecs.firstIndex { $0.name == point.codec } ?? codecs.count
    return (file * (codecs.count + 1) + codec) << 16 + min(point.point, 0xFFFF)
  }

  /// What went wrong, one line each, for people: unreadable files and failed points.
  package var failures: [String] {
    files.compactMap { file in file.error.map { "\(file.path): \($0)" } }
      + points.compactMap { point in point.error.map { "\(point.codec), \(point.setting), \(point.file): \($0)" } }
  }

  /// Codecs and measures that this machine lacks, one line each.
  package var missing: [String] {
    codecs.compactMap { codec in codec.missing.map { "\(codec.name): \($0)" } }
      + measures.compactMap { measure in measure.missing.map { "\(measure.name): \($0)" } }
  }
}
