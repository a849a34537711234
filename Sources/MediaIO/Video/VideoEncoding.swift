/// An encoder of libavcodec's and what it is told.
package struct VideoEncoding: Sendable {
  /// libavcodec's name, such as libx264, libx265, libsvtav1, libvpx-vp9, ffv1, rawvideo.
  package var encoder: String
  /// Nil: 4:2:0, or what suits an encoder without loss; 4:4:4 where a side is odd and the encoder takes only even ones.
  package var sampling: VideoSampling?
  /// libavcodec's and the encoder's own, in their spelling; later ones win.
  package var options: [(name: String, value: String)]
  /// The bytes may depend on it, with most encoders.
  package var threads = 1

  /// `options`: `name=value:name=value`, of which a `:` in a value is `\:`; without one of `crf`, `qp`, `b` and `lossless`, at a quality whose
  /// loss is not seen. Throws `MediaIOError` (unsupported) for anything else.
  package init(_ encoder: String, options text: String = "", sampling: VideoSampling? = nil) throws(MediaIOError) {
    (self.encoder, self.sampling) = (encoder, sampling)
    options = Self.defaults[encoder] ?? []
    var pairs: [(name: String, value: String)] = []
    for item in Self.split(text, at: ":") {
      guard let equals = item.firstIndex(of: "="), equals != item.startIndex else {
        throw MediaIOError(.unsupported, at: encoder, "option \"\(item)\" is not NAME=VALUE")
      }
      pairs.append((String(item[..<equals]), String(item[item.index(after: equals)...])))
    }
    let saysQuality = pairs.contains { ["crf", "qp", "b", "lossless"].contains($0.name) }
    if saysQuality { options.removeAll { $0.name == "crf" } }
    options += pairs
  }

  /// For encoders that print what libav's log level does not hold back, silence too.
  private static let defaults: [String: [(name: String, value: String)]] = [
    "libx264": [("preset", "medium"), ("crf", "16")],
    "libx265": [("preset", "medium"), ("crf", "18"), ("x265-params", "log-level=none")],
    "libvpx-vp9": [("b", "0"), ("deadline", "good"), ("cpu-used", "4"), ("crf", "18")],
    "libsvtav1": [("preset", "8"), ("crf", "23")],
    "ffv1": [("level", "3"), ("slicecrc", "1")],
  ]

  private static func split(_ text: String, at separator: Character) -> [String] {
    var (items, isEscaped) = ([""], false)
    for character in text {
      if isEscaped {
        if character != separator { items[items.count - 1].append("\\") }
        items[items.count - 1].append(character)
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
      } else if character == separator {
        items.append("")
      } else {
        items[items.count - 1].append(character)
      }
    }
    if isEscaped { items[items.count - 1].append("\\") }
    return items.filter { !$0.isEmpty }
  }
}
