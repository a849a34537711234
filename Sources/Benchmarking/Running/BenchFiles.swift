import FoundationEssentials
import Media
import MediaIO
import Synchronization

/// The files that a benchmark measures.
package enum BenchFiles {
  /// Files as given, and of folders those within (not below) whose names end as asked, sorted by name.
  ///
  /// Throws `BenchError` for a folder without any. Files that are not there are kept: they are failures of the run.
  package static func list(_ paths: [String], endings: Set<String>) throws(BenchError) -> [String] {
    var result: [String] = []
    for path in paths {
      var isFolder = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder else {
        result.append(path)
        continue
      }
      let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
      let found = names.filter { name in
        guard let dot = name.lastIndex(of: "."), !name.hasPrefix(".") else { return false }
        return endings.contains(name[dot...].dropFirst().lowercased())
      }.sorted()
      guard !found.isEmpty else {
        throw BenchError("\(path): no files that end in \(endings.sorted().joined(separator: ", "))")
      }
      let folder = path.hasSuffix("/") ? String(path.dropLast()) : path
      result += found.map { "\(folder)/\($0)" }
    }
    return result
  }

  package static let pictureEndings: Set = ["png", "jpg", "jpeg", "webp", "bmp", "tif", "tiff", "qoi", "ppm", "pgm", "pnm"]
  package static let soundEndings: Set = ["wav", "flac", "mp3", "opus", "ogg", "oga", "m4a", "aac", "aiff", "aif"]
  package static let videoEndings: Set = [
    "mp4", "m4v", "mov", "mkv", "webm", "avi", "y4m", "ts", "mpg", "mpeg", "ogv", "264", "h264", "265", "h265", "hevc",
  ]
  package static let cacheEndings: Set = ["safetensors", "npy", "npz", "bin", "ggsq", "ggsn", "state"]

  /// Names for those paths: without folder and ending, with as much of them as makes them differ.
  package static func names(_ paths: [String]) -> [String] {
    func name(_ path: String, _ detail: Int) -> String {
      let parts = path.split(separator: "/")
      let last = parts.last.map(String.init) ?? path
      let stem = last.lastIndex(of: ".").map { $0 == last.startIndex ? last : String(last[..<$0]) } ?? last
      return detail == 0 ? stem : detail == 1 ? last : parts.suffix(detail).joined(separator: "-")
    }
    var result = paths.map { name($0, 0) }
    for detail in 1...4 {
      let counts = Dictionary(result.map { ($0, 1) }, uniquingKeysWith: +)
      if counts.values.allSatisfy({ $0 == 1 }) { return result }
      for i in result.indices where counts[result[i], default: 0] > 1 { result[i] = name(paths[i], detail) }
    }
    // The same file twice, or folders that differ far above.
    var seen: [String: Int] = [:]
    for i in result.indices {
      let count = seen[result[i], default: 0] + 1
      seen[result[i]] = count
      if count > 1 { result[i] += "-\(count)" }
    }
    return result
  }

  /// What a report says of a picture: read whole, so that a damaged one is known now.
  package static func inspectPicture(_ path: String, named name: String) -> FileRecord {
    var record = FileRecord(name: name, path: path)
    do {
      let bytes = try FileIO.read(path)
      record.bytes = bytes.count
      record.sha256 = sha256(bytes)
      let image = try ImageReader.read(bytes).image
      (record.width, record.height) = (image.width, image.height)
    } catch { record.error = "\(error)" }
    return record
  }

  /// A picture as every codec gets it: RGB without alpha and metadata. Grey is repeated in all three.
  package static func readPicture(_ path: String) throws -> Image {
    let image = try ImageReader.read(try FileIO.read(path)).image
    let samples = image.colour == .rgb ? image.samples : image.samples.flatMap { [$0, $0, $0] }
    return try Image(width: image.width, height: image.height, colour: .rgb, samples: samples)
  }
}

/// Pictures by path, kept while items that need them are left.
package final class PictureCache: Sendable {
  private struct State {
    var pictures: [String: Image] = [:]
    /// How often each will still be taken.
    var uses: [String: Int]
  }

  private let state: Mutex<State>

  package init(uses: [String: Int]) { state = Mutex(State(uses: uses)) }

  package func take(_ path: String) throws -> Image {
    let kept = state.withLock { state in
      let left = state.uses[path, default: 1] - 1
      state.uses[path] = left
      defer { if left <= 0 { state.pictures[path] = nil } }
      return state.pictures[path]
    }
    if let kept { return kept }
    // Two threads may read the same; better than to wait for each other.
    let picture = try BenchFiles.readPicture(path)
    state.withLock { if $0.uses[path, default: 0] > 0 { $0.pictures[path] = picture } }
    return picture
  }
}
