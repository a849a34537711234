import Media

/// An array on its way into a file.
struct KVOutgoingArray {
  /// Writes all of it.
  typealias Body = (inout KVByteSink) throws(MediaIOError) -> Void
  /// Puts what some layers hold of a cache's tokens where it belongs, in bytes from the array's first.
  typealias PartBody = (_ layers: [KVLayer], _ put: KVPlacing) throws(MediaIOError) -> Void

  var name: String
  /// As `KVNamedTensor.dtype`.
  var dtype: String
  var shape: [Int]
  var byteCount: Int
  /// Writes `byteCount` bytes; may be called more than once.
  private let body: Body
  /// Nil for arrays beside the cache.
  let part: PartBody?

  init(name: String, dtype: String, shape: [Int], byteCount: Int, part: PartBody? = nil, _ body: @escaping Body) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.byteCount = byteCount
    self.part = part
    self.body = body
  }

  init(_ tensor: KVNamedTensor) {
    self.init(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, byteCount: tensor.byteCount) {
      sink throws(MediaIOError) in
      try sink.write(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(tensor.storage.bytes)[tensor.range]))
      withExtendedLifetime(tensor) {}
    }
  }

  /// Of an array whose bytes come otherwise.
  init(_ shape: KVNamedShape) {
    self.init(name: shape.name, dtype: shape.dtype, shape: shape.shape, byteCount: shape.byteCount) { _ in }
  }

  func write(to sink: inout KVByteSink) throws(MediaIOError) { try body(&sink) }
}

/// Puts bytes at a place.
typealias KVPlacing = (UnsafeRawBufferPointer, Int) throws(MediaIOError) -> Void

extension KVArrayShape {
  /// Puts tokens of one layer's keys (`kv` 0) or values (1) where they belong in the array, the first of `part` being the token
  /// `first`: in the array's order, so that what lies together is put one after the other.
  func place(_ part: KVTensor, kv: Int, layer: Int, first: Int, _ put: KVPlacing) throws(MediaIOError) {
    let size = part.element.bytes
    let base = kv * stride(.kv, size) + layer * stride(.layer, size)
    let (block, slot, slots) = (stride(.token, size), stride(.slot, size), slots)
    func place(_ token: Int) -> Int { slots == 1 ? token * block : token / slots * block + token % slots * slot }
    let (head, channel) = (stride(.head, size), stride(.channel, size))
    let rowsAreWhole = channels == 1 || channel == size
    if rowsAreWhole, slots == 1, block == part.rowBytes, block == part.tokenStride {
      for h in 0..<part.heads where part.tokens > 0 {
        let start = part.offset + h * part.headStride
        let plane = UnsafeRawBufferPointer(part.storage.bytes)[start..<(start + part.tokens * part.rowBytes)]
        try put(UnsafeRawBufferPointer(rebasing: plane), base + h * head + first * block)
      }
      return withExtendedLifetime(part) {}
    }
    // Outermost first, as the array has them.
    let loops = [
      (count: part.heads, stride: head, role: 0), (part.tokens, slots == 1 ? block : slot, 1),
      (rowsAreWhole ? 1 : part.channels, rowsAreWhole ? 0 : channel, 2),
    ].sorted { $0.stride > $1.stride }
    var index = [0, 0, 0]
    for i in 0..<loops[0].count {
      index[loops[0].role] = i
      for j in 0..<loops[1].count {
        index[loops[1].role] = j
        for k in 0..<loops[2].count {
          index[loops[2].role] = k
          let row = UnsafeRawBufferPointer(part.row(head: index[0], token: index[1]))
          let from = index[2] * size
          try put(
            rowsAreWhole ? row : UnsafeRawBufferPointer(rebasing: row[from..<(from + size)]),
            base + index[0] * head + place(first + index[1]) + index[2] * channel)
        }
      }
    }
    withExtendedLifetime(part) {}
  }
}
