import Bitstream
import Coding
import Media

extension KVOthers {
  /// The tensors of a file that appending a cache changes, with their tracks; those of tracks that the file lacks are new.
  ///
  /// A tensor that the cache has under the same name is, along the one dimension in which the two differ,
  /// - a longer one that begins as the file's does: it takes its place;
  /// - one that the file's begins with, or holds where the cache begins: the file's stays;
  /// - as long as the cache where the file's is as long as the file: it is put behind the file's.
  /// Anything else is refused, as are other types: the two would be of different texts.
  ///
  /// - Parameters:
  ///   - file: the positions of the file.
  ///   - cache: those of the cache; it begins where the file ends, or earlier.
  /// Throws `CodecError`, `BitstreamError`.
  static func grown(
    _ reader: ContainerReader<some ByteSource>, with others: [KVNamedTensor], file: Range<Int>, cache: Range<Int>
  ) throws -> [(track: Int, tensor: KVNamedTensor)] {
    let tracks = reader.tracks.indices.filter {
      reader.tracks[$0].modality == .data && reader.tracks[$0].codec == CodecID.tensor
    }
    // As many bytes as the file can prove, in parts; nothing is taken before.
    let held = zip(tracks, try read(reader, maxMemory: 1 << 36))
    var changes: [(track: Int, tensor: KVNamedTensor)] = []
    var isNew = reader.tracks.count
    for new in others {
      guard let (track, old) = held.first(where: { $0.1.name == new.name }) else {
        changes.append((isNew, new))
        isNew += 1
        continue
      }
      guard old.dtype == new.dtype, old.shape.count == new.shape.count, let a = TensorBytes(old), let b = TensorBytes(new),
        a.elementBytes == b.elementBytes || a.isEmpty || b.isEmpty
      else {
        throw CodecError(
          .unsupported, "the tensor \(new.name) is \(new.dtype) \(new.shape), and the file's \(old.dtype) \(old.shape), so it cannot be appended")
      }
      switch change(a, b, file: file, cache: cache) {
      case .unchanged: break
      case .replaced: changes.append((track, new))
      case .joined(let axis): changes.append((track, a.joined(with: b, along: axis)))
      case nil:
        throw CodecError(
          .unsupported, "the tensor \(new.name), \(new.shape), does not go on with the file's, \(old.shape): the caches are of different texts, or it belongs left out")
      }
    }
    return changes
  }

  private enum Change {
    case unchanged, replaced
    case joined(axis: Int)
  }

  /// Nil where they do not go together.
  private static func change(_ a: TensorBytes, _ b: TensorBytes, file: Range<Int>, cache: Range<Int>) -> Change? {
    let (x, y) = (a.tensor.shape, b.tensor.shape)
    let differing = x.indices.filter { x[$0] != y[$0] }
    guard differing.count <= 1 else { return nil }
    if differing.isEmpty, a.tensor.bytes == b.tensor.bytes { return .unchanged }
    let isPart = cache.lowerBound == file.upperBound
    // A part as long as the file has the dimension that is as long as both.
    let candidates = differing.isEmpty ? x.indices.filter { x[$0] == file.count } : differing
    guard let axis = candidates.first, candidates.count == 1 else { return nil }
    if y[axis] > x[axis], b.slice(along: axis, 0..<x[axis]) == a.tensor.bytes { return .replaced }
    if y[axis] < x[axis], a.slice(along: axis, 0..<y[axis]) == b.tensor.bytes { return .unchanged }
    let there = cache.lowerBound - file.lowerBound
    if y[axis] == cache.count, there >= 0, there + cache.count <= x[axis],
      a.slice(along: axis, there..<there + cache.count) == b.tensor.bytes
    {
      return .unchanged
    }
    return isPart && x[axis] == file.count && y[axis] == cache.count ? .joined(axis: axis) : nil
  }
}

/// A tensor's bytes, whose shape tells how they lie.
private struct TensorBytes {
  let tensor: KVNamedTensor
  let elementBytes: Int
  var isEmpty: Bool { tensor.byteCount == 0 }

  /// Nil where the bytes are not as many as the shape says.
  init?(_ tensor: KVNamedTensor) {
    var count = 1
    for size in tensor.shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      guard !overflow, size >= 0 else { return nil }
      count = product
    }
    guard count == 0 ? tensor.byteCount == 0 : tensor.byteCount >= count && tensor.byteCount % count == 0 else { return nil }
    self.tensor = tensor
    elementBytes = count == 0 ? 1 : tensor.byteCount / count
  }

  /// Bytes of one step along an axis, and how many runs along it there are.
  private func lie(along axis: Int) -> (step: Int, runs: Int) {
    (
      tensor.shape[(axis + 1)...].reduce(elementBytes, *), isEmpty ? 0 : tensor.shape[..<axis].reduce(1, *)
    )
  }

  func slice(along axis: Int, _ range: Range<Int>) -> [UInt8] {
    guard !isEmpty else { return [] }
    let (step, runs) = lie(along: axis)
    let length = tensor.shape[axis] * step
    var bytes: [UInt8] = []
    tensor.withUnsafeBytes { all in
      for run in 0..<runs {
        bytes += all[run * length + range.lowerBound * step..<run * length + range.upperBound * step]
      }
    }
    return bytes
  }

  /// Both, one behind the other along an axis, in which alone their shapes differ.
  func joined(with other: TensorBytes, along axis: Int) -> KVNamedTensor {
    var shape = tensor.shape
    shape[axis] += other.tensor.shape[axis]
    guard !isEmpty else { return KVNamedTensor(name: tensor.name, dtype: tensor.dtype, shape: shape, bytes: other.tensor.bytes) }
    let (step, runs) = lie(along: axis)
    let (mine, theirs) = (tensor.shape[axis] * step, other.tensor.shape[axis] * step)
    var bytes: [UInt8] = []
    tensor.withUnsafeBytes { a in
      other.tensor.withUnsafeBytes { b in
        for run in 0..<runs {
          bytes += a[run * mine..<(run + 1) * mine]
          bytes += b[run * theirs..<(run + 1) * theirs]
        }
      }
    }
    return KVNamedTensor(name: tensor.name, dtype: tensor.dtype, shape: shape, bytes: bytes)
  }
}
