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

  static func read(_ reader: ContainerReader<some ByteSource>, maxMemory: Int) throws -> [KVNamedTensor] {
    var tensors: [KVNamedTensor] = []
    for (number, track) in reader.tracks.enumerated() where track.modality == .data && track.codec == CodecID.tensor {
      let configuration = try TensorConfiguration(parsing: track.configuration)
      guard configuration.byteCount <= UInt64(maxMemory) else {
        throw CodecError(.limitExceeded, "the tensor \(configuration.name) takes \(configuration.byteCount) bytes, more than allowed. Raise maxMemory.")
      }
      let size = Int(configuration.elementBytes)
      var left = Int(configuration.byteCount)
      guard left % size == 0 else { throw CodecError.damagedKV("the tensor \(configuration.name) is no whole number of elements") }
      let part = partBytes / size * size
      var bytes: [UInt8] = []
      for unit in reader.units where unit.track == UInt32(number) {
        let count = min(left, part)
        var fields = KVFields(try reader.payload(unit).data)
        if count > 0 { bytes += try planes(elementBytes: size, bytes: count).read(&fields) }
        guard fields.rest().isEmpty else { throw CodecError.damagedKV("bytes follow a part of the tensor \(configuration.name)") }
        left -= count
      }
      guard left == 0 else { throw CodecError.damagedKV("\(left) bytes of the tensor \(configuration.name) are missing") }
      tensors.append(
        KVNamedTensor(
          name: configuration.name, dtype: configuration.type, shape: configuration.shape.map { Int($0.count) }, bytes: bytes))
    }
    return tensors
  }
}
