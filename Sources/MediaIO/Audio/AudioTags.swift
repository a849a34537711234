import CLibAV
import Media

/// What files say about their sound, between libav's dictionaries and `AudioTag`s.
enum AudioTags {
  /// What only concerns the container that the sound came in.
  private static let ofContainers: Set = [
    "encoder", "encoded_by_tool", "major_brand", "minor_version", "compatible_brands", "handler_name", "vendor_id", "duration", "itunsmpb",
  ]
  /// Of one tag, in bytes, and of all.
  static let maximumValue = 1 << 16
  static let maximumSum = 1 << 20

  /// The file's, then the stream's, as Ogg has them; the first one of a key counts. Keys are lower case, as libav's own are.
  static func read(
    _ file: OpaquePointer?, _ stream: OpaquePointer?, _ library: LibAVFormat, _ notices: inout [String]
  ) -> [AudioTag] {
    var (keys, tags, sum, dropped) = (Set<String>(), [AudioTag](), 0, 0)
    let own = library.entries(of: stream).filter { $0.key.lowercased() != "language" || $0.value != "und" }
    for (name, value) in library.entries(of: file) + own {
      let key = name.lowercased()
      if key.isEmpty || value.isEmpty || ofContainers.contains(key) || keys.contains(key) { continue }
      let size = key.utf8.count + value.utf8.count
      guard key.utf8.count <= 255, size <= maximumValue, sum + size <= maximumSum else {
        dropped += 1
        continue
      }
      keys.insert(key)
      sum += size
      tags.append(AudioTag(key: key, value: value))
    }
    if dropped > 0 { notices.append("\(dropped) tags that are too long were left out") }
    return tags
  }
}
