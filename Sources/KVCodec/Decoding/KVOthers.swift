import Bitstream
import Coding
import Media

/// The tensors that a file carries along: tracks of codec 4, each with payloads of at most 2^22 bytes of it as KVPlanes of
/// one column.
// bitstream-spec 10.6
enum KVOthers {
  static let partBytes = 1 << 22

  static func planes(elementBytes: Int, bytes: Int) -> KVPlanes {
    KVPlanes(elementBytes: elementBytes, rows: bytes / elementBytes, columns: 1, movesSign: false)
  }

  /// Those of a file, in its order. Throws `CodecError`: malformed where payloads are missing; `BitstreamError`.
  static func all(_ reader: ContainerReader<some ByteSource>) throws -> [KVOther] {
    try reader.tracks.enumerated().compactMap { number, track in
      guard track.modality == .data, track.codec == CodecID.tensor else { return nil }
      return try KVOther(track: UInt32(number), TensorConfiguration(parsing: track.configuration), reader)
    }
  }

  static func read(_ reader: ContainerReader<some ByteSource>, maxMemory: Int) throws -> [KVNamedTensor] {
    try all(reader).map { other in
      let shape = other.shape
      guard shape.byteCount <= maxMemory else {
        throw CodecError(.limitExceeded, "the tensor \(shape.name) takes \(shape.byteCount) bytes, more than allowed. Raise maxMemory.")
      }
      var bytes: [UInt8] = []
      try other.read(reader) { part, _ in bytes += part }
      return KVNamedTensor(name: shape.name, dtype: shape.dtype, shape: shape.shape, bytes: bytes)
    }
  }
}

/// One of the tensors that a file carries along.
struct KVOther {
  let shape: KVNamedShape
  private let track: UInt32
  private let elementBytes: Int

  /// Throws `CodecError` (malformed) where the file has too few payloads for so many bytes.
  init(track: UInt32, _ configuration: TensorConfiguration, _ reader: ContainerReader<some ByteSource>) throws {
    self.track = track
    elementBytes = Int(configuration.elementBytes)
    let units = UInt64(reader.units.count { $0.track == track })
    guard configuration.byteCount <= units * UInt64(KVOthers.partBytes) else {
      throw CodecError.damagedKV("\(units) payloads are too few for the tensor \(configuration.name)")
    }
    guard configuration.byteCount % UInt64(elementBytes) == 0 else {
      throw CodecError.damagedKV("the tensor \(configuration.name) is no whole number of elements")
    }
    shape = KVNamedShape(
      name: configuration.name, dtype: configuration.type, shape: configuration.shape.map { Int($0.count) },
      byteCount: Int(configuration.byteCount))
  }

  /// `body` gets all bytes, part by part, and where each part begins. Throws what it throws, `CodecError`, `BitstreamError`.
  func read(_ reader: ContainerReader<some ByteSource>, _ body: ([UInt8], Int) throws -> Void) throws {
    var done = 0
    let part = KVOthers.partBytes / elementBytes * elementBytes
    for unit in reader.units where unit.track == track {
      let count = min(shape.byteCount - done, part)
      var fields = KVFields(try reader.payload(unit).data)
      if count > 0 { try body(KVOthers.planes(elementBytes: elementBytes, bytes: count).read(&fields), done) }
      guard fields.rest().isEmpty else { throw CodecError.damagedKV("bytes follow a part of the tensor \(shape.name)") }
      done += count
    }
    guard done == shape.byteCount else {
      throw CodecError.damagedKV("\(shape.byteCount - done) bytes of the tensor \(shape.name) are missing")
    }
  }
}
