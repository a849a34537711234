import Bitstream
import CKernels
import Media

/// The rows of one block of one layer, as floats: what chains code, from and to where the cache keeps it.
///
/// Positions count from the tensors' first token.
struct KVBlockRows {
  let parts: [KVBlockPlan.Part]
  let width: Int
  let keys: KVTensor
  let values: KVTensor?
  /// Nil where keys stay as they are.
  let turns: KVTurns?

  private func tensor(_ part: KVBlockPlan.Part) -> KVTensor { part.isKeys ? keys : values! }

  /// Bytes of a token.
  var tokenBytes: Int { parts.reduce(0) { $0 + $1.channels.count * tensor($1).element.bytes } }

  /// `row`: [width]; angles: of the token's position.
  func load(token: Int, into row: UnsafeMutablePointer<Float>, _ angles: KVAngles?) {
    let kernels = kvKernels()
    for part in parts {
      let tensor = tensor(part), to = row + part.place
      tensor.withRow(head: part.head, token: token) {
        kernels.to_float(
          $0.baseAddress! + part.channels.lowerBound * tensor.element.bytes, tensor.element.kernel, to, part.channels.count)
      }
      if part.isKeys, let turns, let angles {
        nc_kv_turn(to, turns.turns.count, turns.halves ? 1 : 0, angles.cosines, angles.negativeSines)
      }
    }
  }

  /// The inverse. `row` is spoilt.
  func store(token: Int, from row: UnsafeMutablePointer<Float>, _ angles: KVAngles?) {
    let kernels = kvKernels()
    for part in parts {
      let tensor = tensor(part), from = row + part.place
      if part.isKeys, let turns, let angles {
        nc_kv_turn(from, turns.turns.count, turns.halves ? 1 : 0, angles.cosines, angles.sines)
      }
      let to = tensor.row(head: part.head, token: token)
      kernels.from_float(
        from, to.baseAddress! + part.channels.lowerBound * tensor.element.bytes, tensor.element.kernel, part.channels.count)
    }
  }

  /// A token's elements as they are, in the block's order.
  func bytes(token: Int) -> [UInt8] {
    parts.flatMap { part in
      let size = tensor(part).element.bytes
      return tensor(part).withRow(head: part.head, token: token) {
        Array($0[part.channels.lowerBound * size..<part.channels.upperBound * size])
      }
    }
  }

  /// The inverse; `bytes` has `tokenBytes`.
  func store(token: Int, bytes: ArraySlice<UInt8>) {
    var bytes = bytes
    for part in parts {
      let size = tensor(part).element.bytes
      let to = tensor(part).row(head: part.head, token: token)
      for (i, byte) in bytes.prefix(part.channels.count * size).enumerated() { to[part.channels.lowerBound * size + i] = byte }
      bytes = bytes.dropFirst(part.channels.count * size)
    }
  }

  /// Where an element of the block is in a row of its tensor.
  func element(channel: Int) -> (tensor: KVTensor, head: Int, channel: Int) {
    let part = parts.last { $0.place <= channel }!
    return (tensor(part), part.head, part.channels.lowerBound + channel - part.place)
  }
}

/// The angles of a position, ready for kernels.
struct KVAngles {
  let cosines: [Float]
  let sines: [Float]
  let negativeSines: [Float]

  init(_ turns: KVTurns, at position: Int) {
    (cosines, sines) = turns.angles(at: position)
    negativeSines = sines.map { -$0 }
  }

  /// Of each of `positions`; none without turns.
  static func all(_ turns: KVTurns?, _ positions: Range<Int>) -> [KVAngles?] {
    guard let turns else { return [KVAngles?](repeating: nil, count: positions.count) }
    return positions.map { KVAngles(turns, at: $0) }
  }
}

extension KVConfiguration {
  /// RoPE as it is undone in layers of `shape`; nil where it is not.
  func turns(in shape: KVLayerGroup) -> KVTurns? {
    guard keysAreRotated, rope != .none, !turns.isEmpty, Int(shape.keyChannels) == 2 * turns.count,
      KVBlockPlan.hasWholeHeads(shape)
    else { return nil }
    return KVTurns(turns: turns.map(\.turn), halves: rope == .halves)
  }
}
