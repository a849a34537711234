import Media

// file = "qsgg" version(4) token-count(4) token(4)* section+ ; all little-endian
// section = [stream-count(4)] stream* ; stream = cell-count(4) [cell* v-trans(4) layer-count(4) keys* values*]
// cell = position(4) id-count(4) [extension(8 or 12)] id(4)* ; keys = type(4) row-bytes(8) rows
// values = keys, or where v-trans is 1: type(4) element-bytes(4) width(4) elements, all tokens of a channel together
// (llama.cpp, llama-kv-cache.cpp, state_write). A stream without cells ends at its count.

/// Where everything lies in a llama.cpp sequence state. Nothing in the file says which optional parts it has, so it is
/// parsed in every way until one fits its length.
struct LlamaStateParser {
  struct Rows {
    var type: GGMLType
    /// Elements of all heads.
    var width: Int
    /// Of rows, or of transposed elements.
    var start: Int
    var isTransposed = false

    /// Of one token, where they are not transposed.
    var rowBytes: Int { width / type.blockElements * type.blockBytes }
  }

  struct Section {
    var streams: Int
    var stream: Int
    var cells: Range<Int>
    var cellCount: Int
    var firstPosition: Int
    /// The one sequence id of all cells, where they are all alike.
    var sequence: Int32?
    var valuesAreTransposed: Bool
    var keys: [Rows]
    var values: [Rows]
  }

  /// What one way of parsing takes for granted.
  private struct Form {
    var hasStreams: Bool
    var extensionBytes: Int
  }

  static let versions: ClosedRange<UInt32> = 2...3
  static let maxStreams = 256
  private static let maxSections = 4

  private let bytes: UnsafeRawBufferPointer
  private var position: Int
  private let form: Form

  private init(_ bytes: UnsafeRawBufferPointer, from position: Int, _ form: Form) {
    self.bytes = bytes
    self.position = position
    self.form = form
  }

  /// The sections from `start` to the end. Throws `MediaIOError`: of the ways, the one that got furthest tells.
  static func sections(_ bytes: UnsafeRawBufferPointer, from start: Int) throws(MediaIOError) -> [Section] {
    var furthest = -1
    var failure = MediaIOError(.truncated, at: "llama.cpp state", "no cells")
    for extensionBytes in [0, 12, 8] {
      for hasStreams in [true, false] {
        var parser = LlamaStateParser(bytes, from: start, Form(hasStreams: hasStreams, extensionBytes: extensionBytes))
        do throws(MediaIOError) {
          return try parser.sections()
        } catch {
          if parser.position > furthest { (furthest, failure) = (parser.position, error) }
        }
      }
    }
    throw failure
  }

  /// Whether `bytes` are the cells of `count` tokens, with extensions or without.
  static func areCells(_ bytes: UnsafeRawBufferPointer, count: Int) -> Bool {
    [0, 12, 8].contains { extensionBytes in
      var parser = LlamaStateParser(bytes, from: 0, Form(hasStreams: true, extensionBytes: extensionBytes))
      return (try? parser.cells(count)) != nil && parser.position == bytes.count
    }
  }

  private mutating func sections() throws(MediaIOError) -> [Section] {
    var sections: [Section] = []
    repeat {
      guard sections.count < Self.maxSections else { throw failure(.damaged, "more than \(Self.maxSections) memories") }
      sections.append(try section())
    } while position < bytes.count
    return sections
  }

  private func failure(_ code: MediaIOError.Code, _ reason: String) -> MediaIOError {
    MediaIOError(code, at: "llama.cpp state", "\(reason), at byte \(position)")
  }

  private mutating func integer<T: FixedWidthInteger>(_ type: T.Type, _ what: String) throws(MediaIOError) -> T {
    guard bytes.count - position >= T.bitWidth / 8 else { throw failure(.truncated, "the file ends inside the \(what)") }
    defer { position += T.bitWidth / 8 }
    return bytes.integer(at: position, as: T.self)
  }

  private mutating func skip(_ count: Int, times: Int, _ what: String) throws(MediaIOError) {
    let (product, overflows) = count.multipliedReportingOverflow(by: times)
    guard !overflows, product <= bytes.count - position else {
      throw failure(.truncated, "the file ends inside the \(what)")
    }
    position += product
  }

  private mutating func section() throws(MediaIOError) -> Section {
    var streams = 0
    if form.hasStreams {
      streams = Int(try integer(UInt32.self, "stream count"))
      guard (1...Self.maxStreams).contains(streams) else { throw failure(.damaged, "\(streams) streams") }
    }
    var found: Section?
    for stream in 0..<max(streams, 1) {
      let count = Int(try integer(UInt32.self, "cell count"))
      if count == 0 { continue }
      guard found == nil else {
        throw failure(.unsupported, "cells in two streams; save one sequence at a time (llama_state_seq_save_file)")
      }
      found = try self.stream(cells: count)
      found?.streams = streams
      found?.stream = stream
    }
    guard let found else { throw failure(.unsupported, "no cells; the sequence is empty") }
    return found
  }

  private mutating func cells(_ count: Int) throws(MediaIOError) -> (first: Int32, sequence: Int32?) {
    // A cell has 8 bytes at least, so a count that lies ends soon.
    var first: Int32 = 0
    var sequence: Int32?
    var isPlain = form.extensionBytes == 0
    for i in 0..<count {
      let cell = try integer(Int32.self, "cells")
      let ids = try integer(UInt32.self, "cells")
      guard ids <= Self.maxStreams else { throw failure(.damaged, "a cell of \(ids) sequences") }
      try skip(form.extensionBytes, times: 1, "cells")
      for k in 0..<ids {
        let id = try integer(Int32.self, "cells")
        if i == 0, k == 0 { sequence = id }
        if id != sequence { isPlain = false }
      }
      if ids != 1 { isPlain = false }
      if i == 0 {
        guard cell >= 0 else { throw failure(.damaged, "position \(cell)") }
        first = cell
      } else if Int(cell) != Int(first) + i {
        throw failure(
          .unsupported,
          "cell \(i) holds position \(cell), not \(Int(first) + i): positions must follow one another; evaluate the prompt "
            + "anew in an empty context before saving")
      }
    }
    return (first, isPlain ? sequence : nil)
  }

  private mutating func stream(cells count: Int) throws(MediaIOError) -> Section {
    let start = position
    let cells = try cells(count)
    let end = position
    let transposed = try integer(UInt32.self, "V layout")
    guard transposed <= 1 else { throw failure(.damaged, "a V layout of \(transposed)") }
    let layers = Int(try integer(UInt32.self, "layer count"))
    guard (1...KVArrayShape.maxLayers).contains(layers) else { throw failure(.damaged, "\(layers) layers") }
    var section = Section(
      streams: 0, stream: 0, cells: start..<end, cellCount: count, firstPosition: Int(cells.first),
      sequence: cells.sequence, valuesAreTransposed: transposed == 1, keys: [], values: [])
    for layer in 0..<layers { section.keys.append(try rows(count, "keys of layer \(layer)")) }
    // Models with one latent for keys and values (MLA) have no values at all.
    if position == bytes.count { return section }
    for layer in 0..<layers {
      let what = "values of layer \(layer)"
      section.values.append(transposed == 1 ? try elements(count, what) : try rows(count, what))
    }
    return section
  }

  private mutating func type(_ what: String) throws(MediaIOError) -> GGMLType {
    let number = try integer(Int32.self, what)
    guard let type = GGMLType(rawValue: number) else {
      let known = GGMLType.allCases.map { "\($0)" }.joined(separator: ", ")
      throw failure(
        .unsupported, "the \(what) are of ggml type \(number); \(known) are read, so load the model with one of them "
          + "(--cache-type-k, --cache-type-v)")
    }
    return type
  }

  private mutating func rows(_ count: Int, _ what: String) throws(MediaIOError) -> Rows {
    let type = try type(what)
    let rowBytes = try integer(UInt64.self, what)
    guard rowBytes >= 1, rowBytes <= UInt64(bytes.count), Int(rowBytes) % type.blockBytes == 0 else {
      throw failure(.damaged, "the \(what) have rows of \(rowBytes) bytes")
    }
    let start = position
    try skip(Int(rowBytes), times: count, what)
    return Rows(type: type, width: Int(rowBytes) / type.blockBytes * type.blockElements, start: start)
  }

  private mutating func elements(_ count: Int, _ what: String) throws(MediaIOError) -> Rows {
    let type = try type(what)
    let size = Int(try integer(UInt32.self, what))
    let width = Int(try integer(UInt32.self, what))
    guard type.blockElements == 1, size == type.blockBytes, width >= 1 else {
      throw failure(.damaged, "the \(what) are \(width) transposed channels of \(type), \(size) bytes each")
    }
    let start = position
    try skip(size * width, times: count, what)
    return Rows(type: type, width: width, start: start, isTransposed: true)
  }
}
