extension FieldRow.Value {
  /// The value for people. Control characters of texts are escaped, so that a file cannot drive a terminal.
  package var plain: String {
    switch self {
    case .number(let number): "\(number)"
    case .flag(let flag): flag ? "yes" : "no"
    case .symbol(let label, _): label
    case .text(let text): JSONText.escaped(text)
    case .bytes(let count, let prefix):
      count == 0
        ? "0 bytes"
        : "\(count) byte\(count == 1 ? "" : "s"): " + JSONText.hex(prefix) + (count > prefix.count ? "..." : "")
    case .group: ""
    case .list(let count): "\(count) item\(count == 1 ? "" : "s")"
    }
  }
}

extension FieldPrinter {
  /// One line a row, indented by two spaces a level.
  package var text: String {
    rows.map { row in
      let unit = row.unit.map { " \($0)" } ?? ""
      let value = row.value.plain
      let label = row.index == nil ? row.name : "[\(row.name)]"
      return String(repeating: "  ", count: row.depth) + label + (value.isEmpty ? "" : ": \(value)\(unit)")
    }.joined(separator: "\n")
  }

  /// An object with the names of the rows in camel case as keys; lists are arrays, byte strings are objects of `count`
  /// and `hex` (of at most their first 16 bytes).
  package var json: String {
    var position = 0
    return JSONText.container(rows[...], &position, depth: 0, isList: false)
  }
}

enum JSONText {
  /// The rows from `position` on that are at least `depth` deep.
  fileprivate static func container(
    _ rows: ArraySlice<FieldRow>, _ position: inout Int, depth: Int, isList: Bool
  ) -> String {
    var members: [String] = []
    while position < rows.count, rows[position].depth >= depth {
      let row = rows[position]
      position += 1
      let value =
        switch row.value {
        case .number(let number): "\(number)"
        case .flag(let flag): "\(flag)"
        case .symbol(let label, _): quoted(label)
        case .text(let text): quoted(text)
        case .bytes(let count, let prefix): "{\"count\":\(count),\"hex\":\"\(hex(prefix))\"}"
        case .group: container(rows, &position, depth: depth + 1, isList: false)
        case .list: container(rows, &position, depth: depth + 1, isList: true)
        }
      members.append(isList ? value : "\(quoted(camelCase(row.name))):\(value)")
    }
    let inside = members.joined(separator: ",")
    return isList ? "[\(inside)]" : "{\(inside)}"
  }

  static func quoted(_ text: String) -> String { "\"\(escaped(text))\"" }

  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\r": result += "\\r"
      case "\t": result += "\\t"
      // C0, DEL and C1 controls, line separators, and the marks that turn the writing direction.
      case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{200E}"..."\u{200F}", "\u{2028}"..."\u{202E}",
        "\u{2066}"..."\u{2069}":
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private static func camelCase(_ name: String) -> String {
    let words = name.split(separator: " ")
    return words.dropFirst().reduce(String(words.first ?? "")) { $0 + $1.prefix(1).uppercased() + $1.dropFirst() }
  }
}
