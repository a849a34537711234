import Foundation

/// One Swift file of the repository, without comments and string literals where that matters.
struct SourceFile {
  /// From the repository's root.
  let path: String
  /// The folder under `Sources` or `Tests`.
  let target: String
  let text: String

  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// All files with one of the endings in a folder of the repository, sorted by path.
  static func all(in folder: String, endings: Set<String> = ["swift"]) throws -> [SourceFile] {
    let base = root.appendingPathComponent(folder)
    let names = try FileManager.default.subpathsOfDirectory(atPath: base.path).sorted()
    return try names.compactMap { name in
      guard endings.contains((name as NSString).pathExtension), let target = name.split(separator: "/").first else {
        return nil
      }
      let text = try String(contentsOf: base.appendingPathComponent(name), encoding: .utf8)
      return SourceFile(path: "\(folder)/\(name)", target: String(target), text: text)
    }
  }

  /// Modules that the file imports, submodules and single declarations counted as their module.
  var imports: Set<String> {
    let pattern = #/^[ \t]*(?:@[\w]+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)/#
      .anchorsMatchLineEndings()
    return Set(text.matches(of: pattern).map { String($0.1) })
  }

  /// Headers that a C or C++ file includes.
  var includes: Set<String> {
    Set(text.matches(of: #/^\s*#\s*include\s*[<"]([^>"]+)[>"]/#.anchorsMatchLineEndings()).map { String($0.1) })
  }

  /// The text without comments.
  var code: String {
    text.replacing(#/\/\*.*?\*\//#.dotMatchesNewlines(), with: " ").replacing(#/\/\/[^\n]*/#, with: "")
  }

  var words: Set<Substring> { Set(code.matches(of: #/[A-Za-z_]\w*/#).map(\.0)) }

  /// Names of the types that the file declares outside of other types.
  var declaredTypes: Set<Substring> {
    let pattern = #/^[ ]?(?:@\w+\s+)*(?:(?:public|package|internal|final|indirect)\s+)*(?:struct|class|enum|actor|protocol)\s+(\w+)/#
      .anchorsMatchLineEndings()
    return Set(code.matches(of: pattern).map(\.1))
  }
}

/// A target as Package.swift declares it.
struct DeclaredTarget {
  enum Kind: String {
    case library = "target"
    case executable = "executableTarget"
    case test = "testTarget"
    case system = "systemLibrary"
  }

  let kind: Kind
  let name: String
  /// Names of targets and products.
  let dependencies: [String]
  /// From the repository's root.
  let path: String

  /// In the order of Package.swift.
  static func all() throws -> [DeclaredTarget] {
    let url = SourceFile.root.appendingPathComponent("Package.swift")
    let manifest = SourceFile(
      path: "Package.swift", target: "", text: try String(contentsOf: url, encoding: .utf8))
    // Comments hold no declarations; the URL of a package is no target.
    let text = manifest.text.replacing(#/^\s*\/\/.*$|[ ]{2}\/\/.*$/#.anchorsMatchLineEndings(), with: "")
    return text.matches(of: #/\.(target|executableTarget|testTarget|systemLibrary)\(/#).compactMap { match in
      guard let kind = Kind(rawValue: String(match.1)) else { return nil }
      let body = balanced(text[match.range.upperBound...], open: "(", close: ")")
      guard let name = body.firstMatch(of: #/name:\s*"([^"]+)"/#)?.1 else { return nil }
      var dependencies: [String] = []
      if let start = body.firstMatch(of: #/dependencies:\s*\[/#)?.range.upperBound {
        // A product's package is named beside it, and is no dependency of its own.
        let list = balanced(body[start...], open: "[", close: "]").replacing(#/,\s*package:\s*"[^"]*"/#, with: "")
        dependencies = list.matches(of: #/"([^"]+)"/#).map { String($0.1) }
      }
      let folder = body.firstMatch(of: #/path:\s*"([^"]+)"/#).map { String($0.1) }
      return DeclaredTarget(
        kind: kind, name: String(name), dependencies: dependencies,
        path: folder ?? (kind == .test ? "Tests/" : "Sources/") + name)
    }
  }

  /// What stands before the `close` that matches an `open` just before `text`.
  private static func balanced(_ text: Substring, open: Character, close: Character) -> Substring {
    var depth = 1
    for index in text.indices {
      if text[index] == open { depth += 1 }
      if text[index] == close { depth -= 1 }
      if depth == 0 { return text[..<index] }
    }
    return text
  }
}
