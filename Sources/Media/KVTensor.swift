/// What one number of a cache is stored as.
public enum KVElement: UInt8, Sendable, Hashable, CaseIterable {
  case float16 = 1
  case bfloat16 = 2
  case float32 = 3

  public var bytes: Int { self == .float32 ? 4 : 2 }
}

/// One layer's keys or values, `[head, token, channel]`.
///
/// Strides let a file's own order stand: `[token, head, channel]` and llama.cpp's rows are viewed, not copied. Copies of
/// the struct share storage; rows are written only by whoever allocated them, before the tensor is handed on.
public struct KVTensor: Sendable {
  /// All at least 1, but for `tokens`, which may be 0.
  public let heads: Int
  public let tokens: Int
  public let channels: Int
  public let element: KVElement

  package let storage: KVStorage
  /// The byte of `[0, 0, 0]` in `storage`. A multiple of `element.bytes` in memory, as are the strides.
  package let offset: Int
  /// Bytes from one head to the next. Every row lies inside `storage`.
  package let headStride: Int
  /// Bytes from one token to the next. A row's channels are adjacent.
  package let tokenStride: Int

  public var elementCount: Int { heads * tokens * channels }
  /// Without what lies between rows.
  public var byteCount: Int { elementCount * element.bytes }
  /// Bytes of one row.
  package var rowBytes: Int { channels * element.bytes }

  /// Allocates zeros, dense. The sizes are the caller's; `KVStorage` is where hostile ones are met.
  public init(heads: Int, tokens: Int, channels: Int, element: KVElement) {
    guard let made = KVTensor(zeroedHeads: heads, tokens: tokens, channels: channels, element: element) else {
      preconditionFailure("no memory for a tensor of \(heads)x\(tokens)x\(channels)")
    }
    self = made
  }

  /// Allocates zeros, dense. `isScratch`: as `KVStorage.init(scratch:)`. Nil when the sizes overflow or there is no memory.
  package init?(zeroedHeads heads: Int, tokens: Int, channels: Int, element: KVElement, isScratch: Bool = false) {
    guard heads >= 1, tokens >= 0, channels >= 1 else { return nil }
    let (row, a) = channels.multipliedReportingOverflow(by: element.bytes)
    let (plane, b) = row.multipliedReportingOverflow(by: tokens)
    let (all, c) = plane.multipliedReportingOverflow(by: heads)
    guard !a, !b, !c, let storage = isScratch ? KVStorage(scratch: all) : KVStorage(zeroed: all) else { return nil }
    self.init(
      heads: heads, tokens: tokens, channels: channels, element: element, storage: storage, offset: 0,
      headStride: plane, tokenStride: row)
  }

  /// Views rows of `storage`. Nil when one of them is outside or not aligned to its element.
  package init?(
    heads: Int, tokens: Int, channels: Int, element: KVElement, storage: KVStorage, offset: Int, headStride: Int,
    tokenStride: Int
  ) {
    guard heads >= 1, tokens >= 0, channels >= 1, offset >= 0, headStride >= 0, tokenStride >= 0 else { return nil }
    let size = element.bytes
    let start = UInt(bitPattern: storage.bytes.baseAddress)
    guard (start &+ UInt(offset)) % UInt(size) == 0, headStride % size == 0, tokenStride % size == 0 else { return nil }
    let (row, a) = channels.multipliedReportingOverflow(by: size)
    let (lastHead, b) = headStride.multipliedReportingOverflow(by: heads - 1)
    let (lastToken, c) = tokenStride.multipliedReportingOverflow(by: max(tokens - 1, 0))
    let (last, d) = lastHead.addingReportingOverflow(lastToken)
    let (rowEnd, e) = last.addingReportingOverflow(row)
    let (end, f) = rowEnd.addingReportingOverflow(offset)
    guard !a, !b, !c, !d, !e, !f, tokens == 0 || end <= storage.bytes.count else { return nil }
    self.heads = heads
    self.tokens = tokens
    self.channels = channels
    self.element = element
    self.storage = storage
    self.offset = offset
    self.headStride = headStride
    self.tokenStride = tokenStride
  }

  /// Calls `body` with the `channels` elements of a row, little-endian; the buffer must not escape.
  package func withRow<R>(
    head: Int, token: Int, _ body: (UnsafeRawBufferPointer) throws -> R
  ) rethrows -> R {
    try withExtendedLifetime(storage) { try body(UnsafeRawBufferPointer(row(head: head, token: token))) }
  }

  /// As `withRow`, to write to. For storage that was allocated.
  package func withMutableRow<R>(
    head: Int, token: Int, _ body: (UnsafeMutableRawBufferPointer) throws -> R
  ) rethrows -> R {
    precondition(storage.isWritable, "a mapped file's rows are only read")
    return try withExtendedLifetime(storage) { try body(row(head: head, token: token)) }
  }

  /// A row's bytes, which live as long as `storage`.
  package func row(head: Int, token: Int) -> UnsafeMutableRawBufferPointer {
    precondition(head >= 0 && head < heads && token >= 0 && token < tokens, "a row of the tensor")
    let start = offset + head * headStride + token * tokenStride
    return UnsafeMutableRawBufferPointer(rebasing: storage.bytes[start..<(start + rowBytes)])
  }

  /// A view of some tokens.
  package func tokens(in range: Range<Int>) -> KVTensor {
    precondition(range.lowerBound >= 0 && range.upperBound <= tokens, "tokens of the tensor")
    let start = range.isEmpty ? offset : offset + range.lowerBound * tokenStride
    return KVTensor(
      heads: heads, tokens: range.count, channels: channels, element: element, storage: storage, offset: start,
      headStride: headStride, tokenStride: tokenStride)!  // a part of what was checked
  }

  /// Whether shape, element and every bit are the same; NaNs compare by their bits.
  package func hasSameBits(as other: KVTensor) -> Bool {
    guard heads == other.heads, tokens == other.tokens, channels == other.channels, element == other.element else {
      return false
    }
    for head in 0..<heads {
      for token in 0..<tokens {
        let isSame = withRow(head: head, token: token) { a in
          other.withRow(head: head, token: token) { b in a.elementsEqual(b) }
        }
        if !isSame { return false }
      }
    }
    return true
  }
}
