import Media

/// Sound's tokens as one .npy array: [channel, level, frame], or [level, frame] of one channel; read as any integers, written as uint16.
package enum TokenArray {
  private static let place = "tokens"
  /// Whether a file's first bytes are those of an .npy.
  package static func recognises(_ head: [UInt8]) -> Bool { head.withUnsafeBytes { NumPyArray.recognises($0) } }

  /// Throws `MediaIOError`.
  package static func read(_ bytes: [UInt8], framesPerSecond: Int) throws(MediaIOError) -> AudioTokens {
    guard let storage = KVStorage(copying: bytes) else {
      throw MediaIOError(.outOfMemory, at: place, "no memory for \(bytes.count) bytes")
    }
    let tensor = try NumPyArray.read(storage, range: 0..<bytes.count, name: "")
    guard (2...3).contains(tensor.shape.count), tensor.shape.dropLast().allSatisfy({ (1...255).contains($0) }) else {
      throw MediaIOError(.unsupported, at: place, "an array of \(tensor.shape), of which [channels, levels, frames] are wanted")
    }
    guard let values = tensor.integers else {
      throw MediaIOError(.unsupported, at: place, "elements of \(tensor.dtype.debugDescription), not integers")
    }
    let shape = tensor.shape.count == 2 ? [1] + tensor.shape : tensor.shape
    var indices: [[[UInt16]]] = []
    for channel in 0..<shape[0] {
      var levels: [[UInt16]] = []
      for level in 0..<shape[1] {
        let first = (channel * shape[1] + level) * shape[2]
        var frames: [UInt16] = []
        frames.reserveCapacity(shape[2])
        for (frame, value) in values[first..<first + shape[2]].enumerated() {
          guard let index = UInt16(exactly: value) else {
            throw MediaIOError(.damaged, at: place, "\(value) of channel \(channel), level \(level), frame \(frame) is no token")
          }
          frames.append(index)
        }
        levels.append(frames)
      }
      indices.append(levels)
    }
    do {
      return try AudioTokens(framesPerSecond: framesPerSecond, indices: indices)
    } catch { throw MediaIOError(.damaged, at: place, error.reason) }
  }

  /// The bytes of a file with tokens [channel][level][frame], as many in each. Throws `MediaIOError`.
  package static func bytes(_ indices: [[[UInt16]]]) throws(MediaIOError) -> [UInt8] {
    let shape = [indices.count, indices[0].count, indices[0][0].count]
    var bytes = try NumPyArray.header(dtype: "U16", shape: shape, place: place)
    bytes.reserveCapacity(bytes.count + 2 * shape.reduce(1, *))
    for level in indices.joined() { for index in level { bytes += [UInt8(truncatingIfNeeded: index), UInt8(index >> 8)] } }
    return bytes
  }
}
