import Media

/// The sizes and order of an array of keys or values, for one that is read and one that is written.
///
/// `batch` has gone and `width` has become heads and channels, so that every dimension has one role.
struct KVArrayShape {
  enum Role: Sendable { case kv, layer, head, token, slot, channel }

  /// Outermost first; a role stands at most once. With `slot`, a token is `token * slots + slot`.
  private(set) var loops: [(role: Role, count: Int)] = []

  static let maxLayers = 4096
  static let maxHeads = 1 << 16
  static let maxChannels = 1 << 16

  func count(_ role: Role) -> Int { loops.first { $0.role == role }?.count ?? 1 }
  var layers: Int { count(.layer) }
  var heads: Int { count(.head) }
  var slots: Int { count(.slot) }
  var tokens: Int { count(.token) * slots }
  var channels: Int { count(.channel) }

  /// Of an array in a file, whose sizes are checked here. `place` names it in errors.
  ///
  /// Throws `MediaIOError`: `damaged`, `tooLarge`, `unsupported`.
  init(axes: [KVAxis], shape: [Int], kvHeads: Int?, place: String) throws(MediaIOError) {
    let names = axes.map(\.rawValue).joined(separator: ",")
    guard axes.count == shape.count else {
      throw MediaIOError(.damaged, at: place, "the shape \(shape) has not the axes \(names)")
    }
    guard arrayBytes(shape, elementBytes: 4) != nil, !shape.contains(0) else {
      throw MediaIOError(.damaged, at: place, "the shape \(shape) holds nothing")
    }
    for (axis, size) in zip(axes, shape) {
      switch axis {
      case .batch:
        guard size == 1 else {
          throw MediaIOError(.unsupported, at: place, "a batch of \(size); save one sequence per file")
        }
      case .kv:
        guard size == 2 else {
          throw MediaIOError(.damaged, at: place, "\(size) along the axis kv, which holds keys and values")
        }
        loops.append((.kv, size))
      case .layer: loops.append((.layer, size))
      case .head: loops.append((.head, size))
      case .token, .blocks: loops.append((.token, size))
      case .block: loops.append((.slot, size))
      case .channel: loops.append((.channel, size))
      case .width:
        guard let kvHeads else {
          throw MediaIOError(
            .unsupported, at: place, "heads and channels in one axis of \(size); say how many KV heads there are")
        }
        guard kvHeads >= 1, size % kvHeads == 0 else {
          throw MediaIOError(.damaged, at: place, "\(size) channels do not divide among \(kvHeads) KV heads")
        }
        loops.append((.head, kvHeads))
        loops.append((.channel, size / kvHeads))
      }
    }
    for (size, limit, what) in [
      (layers, Self.maxLayers, "layers"), (heads, Self.maxHeads, "KV heads"), (channels, Self.maxChannels, "channels"),
    ] where size > limit {
      throw MediaIOError(.tooLarge, at: place, "\(size) \(what), of which \(limit) are allowed; are the axes \(names)?")
    }
  }

  /// Of an array to write. `blockTokens` divides `tokens` where there are blocks.
  init(axes: [KVAxis], layers: Int, tensor: KVTensor, blockTokens: Int) {
    for axis in axes {
      switch axis {
      case .batch: break
      case .kv: loops.append((.kv, 2))
      case .layer: loops.append((.layer, layers))
      case .head: loops.append((.head, tensor.heads))
      case .token: loops.append((.token, tensor.tokens))
      case .blocks: loops.append((.token, tensor.tokens / blockTokens))
      case .block: loops.append((.slot, blockTokens))
      case .channel: loops.append((.channel, tensor.channels))
      case .width:
        loops.append((.head, tensor.heads))
        loops.append((.channel, tensor.channels))
      }
    }
  }

  /// The sizes as the file has them.
  static func fileShape(axes: [KVAxis], layers: Int, tensor: KVTensor, blockTokens: Int) -> [Int] {
    axes.map {
      switch $0 {
      case .batch: 1
      case .kv: 2
      case .layer: layers
      case .head: tensor.heads
      case .token: tensor.tokens
      case .blocks: tensor.tokens / blockTokens
      case .block: blockTokens
      case .channel: tensor.channels
      case .width: tensor.heads * tensor.channels
      }
    }
  }

  /// Bytes from one index of `role` to the next. The whole array's bytes are known to be an Int.
  func stride(_ role: Role, _ elementBytes: Int) -> Int {
    guard let at = loops.firstIndex(where: { $0.role == role }) else { return 0 }
    return loops[(at + 1)...].reduce(elementBytes) { $0 * $1.count }
  }

  /// One layer's keys (`kv` 0) or values (1), viewed where its rows are whole and aligned, copied where not.
  ///
  /// `array` has this shape and elements of `element`. Throws `MediaIOError`: `outOfMemory`.
  func tensor(
    _ array: KVNamedTensor, element: KVElement, kv: Int, layer: Int
  ) throws(MediaIOError) -> KVTensor {
    let size = element.bytes
    let start = array.range.lowerBound + kv * stride(.kv, size) + layer * stride(.layer, size)
    let (token, slot, channel) = (stride(.token, size), stride(.slot, size), stride(.channel, size))
    let isUniform = slots == 1 || token == slot * slots
    if isUniform, channels == 1 || channel == size,
      let view = KVTensor(
        heads: heads, tokens: tokens, channels: channels, element: element, storage: array.storage, offset: start,
        headStride: stride(.head, size), tokenStride: slots == 1 ? token : slot)
    {
      return view
    }
    guard let copy = KVTensor(zeroedHeads: heads, tokens: tokens, channels: channels, element: element, isScratch: true) else {
      throw MediaIOError(.outOfMemory, at: "array \(array.name.debugDescription)", "no memory to reorder it")
    }
    let source = UnsafeRawBufferPointer(array.storage.bytes)
    let headStride = stride(.head, size)
    for head in 0..<heads {
      for t in 0..<tokens {
        let from = start + head * headStride + t / slots * token + t % slots * slot
        copy.withMutableRow(head: head, token: t) { row in
          for c in 0..<channels {
            let at = from + c * channel
            UnsafeMutableRawBufferPointer(rebasing: row[(c * size)..<(c * size + size)])
              .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[at..<(at + size)]))
          }
        }
      }
    }
    withExtendedLifetime(array.storage) {}
    return copy
  }

  /// Writes the array; `tensor(kv, layer)` gives the parts.
  func write(
    to sink: inout KVByteSink, element: KVElement, _ tensor: (_ kv: Int, _ layer: Int) -> KVTensor
  ) throws(MediaIOError) {
    guard !loops.contains(where: { $0.count == 0 }) else { return }
    var outer = loops
    let rowsAreWhole = outer.last?.role == .channel
    if rowsAreWhole { outer.removeLast() }
    let planesAreWhole = rowsAreWhole && slots == 1 && outer.last?.role == .token
    if planesAreWhole { outer.removeLast() }
    var index = [Int](repeating: 0, count: outer.count)
    func place(_ role: Role) -> Int? { outer.firstIndex { $0.role == role } }
    let (kv, layer, head) = (place(.kv), place(.layer), place(.head))
    let (token, slot, channel) = (place(.token), place(.slot), place(.channel))
    func at(_ place: Int?) -> Int { place.map { index[$0] } ?? 0 }
    while true {
      let part = tensor(at(kv), at(layer))
      if planesAreWhole {
        try Self.writePlane(part, head: at(head), to: &sink)
      } else {
        let row = UnsafeRawBufferPointer(part.row(head: at(head), token: at(token) * slots + at(slot)))
        let start = at(channel) * element.bytes
        try sink.write(rowsAreWhole ? row : UnsafeRawBufferPointer(rebasing: row[start..<(start + element.bytes)]))
      }
      withExtendedLifetime(part) {}
      var place = outer.count - 1
      while place >= 0 {
        index[place] += 1
        if index[place] < outer[place].count { break }
        index[place] = 0
        place -= 1
      }
      if place < 0 { return }
    }
  }

  /// All tokens of a head.
  private static func writePlane(_ part: KVTensor, head: Int, to sink: inout KVByteSink) throws(MediaIOError) {
    guard part.tokenStride == part.rowBytes else {
      for token in 0..<part.tokens { try sink.write(UnsafeRawBufferPointer(part.row(head: head, token: token))) }
      return
    }
    let start = part.offset + head * part.headStride
    let plane = UnsafeRawBufferPointer(part.storage.bytes)[start..<(start + part.tokens * part.rowBytes)]
    try sink.write(UnsafeRawBufferPointer(rebasing: plane))
  }
}
