import CZlib
import Media

/// Reads and writes .npz: a ZIP archive of .npy arrays, one per name. Members are read stored or deflated, and written
/// stored, so that they can be mapped.
///
/// Text metadata, which NumPy has no place for, is the uint8 array `__metadata__`, the JSON that safetensors has under
/// that name; its key `bfloat16` lists the arrays whose uint16 are bfloat16's bits.
enum NumPyArchive {
  private static let metadataName = "__metadata__"
  private static let bfloat16Key = "bfloat16"

  static func recognises(_ prefix: UnsafeRawBufferPointer) -> Bool {
    prefix.prefix(4).elementsEqual([0x50, 0x4B, 3, 4])
  }

  /// Throws `MediaIOError`: `truncated`, `damaged`, `tooLarge` where members inflate beyond `maxBytes`, `unsupported`,
  /// `outOfMemory`.
  static func read(_ storage: KVStorage, maxBytes: Int) throws(MediaIOError) -> (
    arrays: [KVNamedTensor], metadata: [(key: String, value: String)]
  ) {
    let members = try ZIPDirectory(UnsafeRawBufferPointer(storage.bytes)).members
    var arrays: [KVNamedTensor] = []
    var metadata: [(key: String, value: String)] = []
    var names = Set<String>()
    var left = maxBytes
    for member in members where member.name.hasSuffix(".npy") {
      let name = String(member.name.dropLast(4))
      guard names.insert(name).inserted else {
        throw MediaIOError(.damaged, at: "npz member \(name.debugDescription)", "stands twice")
      }
      let data: (storage: KVStorage, range: Range<Int>)
      if member.isDeflated {
        guard member.size <= left else {
          throw MediaIOError(.tooLarge, at: "npz member \(name.debugDescription)", "\(member.size) bytes inflated")
        }
        left -= member.size
        data = (try inflated(member, storage), 0..<member.size)
      } else {
        data = (storage, member.data)
      }
      try checkSum(member, UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(data.storage.bytes)[data.range]))
      let array = try NumPyArray.read(data.storage, range: data.range, name: name)
      if name == metadataName, array.dtype == "U8" {
        let text = UnsafeRawBufferPointer(array.storage.bytes)[array.range]
        var parser = StrictJSON(UnsafeRawBufferPointer(rebasing: text), location: "npz metadata")
        metadata = try parser.stringPairs()
        try parser.end()
      } else {
        arrays.append(array)
      }
    }
    withExtendedLifetime(storage) {}
    if let list = metadata.first(where: { $0.key == bfloat16Key })?.value {
      let named = Set(list.split(separator: ",").map(String.init))
      arrays = arrays.map {
        guard $0.dtype == "U16", named.contains($0.name) else { return $0 }
        return KVNamedTensor(name: $0.name, dtype: "BF16", shape: $0.shape, storage: $0.storage, range: $0.range)
      }
      metadata.removeAll { $0.key == bfloat16Key }
    }
    return (arrays, metadata)
  }

  private static func inflated(_ member: ZIPDirectory.Member, _ storage: KVStorage) throws(MediaIOError) -> KVStorage {
    let place = "npz member \(member.name.debugDescription)"
    // Deflate gives at most 1032 bytes for one (RFC 1951: 258 bytes for two bits).
    guard member.size / 1032 <= member.data.count else {
      throw MediaIOError(.damaged, at: place, "\(member.size) bytes declared of \(member.data.count) deflated")
    }
    guard let target = KVStorage(scratch: member.size) else {
      throw MediaIOError(.outOfMemory, at: place, "no memory for \(member.size) bytes")
    }
    var stream = z_stream()
    guard inflateInit2_(&stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw MediaIOError(.outOfMemory, at: place, "no memory to inflate it")
    }
    defer { inflateEnd(&stream) }
    guard let source = storage.bytes.baseAddress, let base = target.bytes.baseAddress else {
      throw MediaIOError(.damaged, at: place, "empty")
    }
    // zlib counts in 32 bits, so long members go through in pieces.
    var (taken, given) = (0, 0)
    var status = Z_OK
    while status == Z_OK {
      let (input, room) = (min(member.data.count - taken, 1 << 30), min(member.size - given, 1 << 30))
      stream.next_in = (source + member.data.lowerBound + taken).assumingMemoryBound(to: UInt8.self)
      stream.avail_in = UInt32(input)
      stream.next_out = (base + given).assumingMemoryBound(to: UInt8.self)
      stream.avail_out = UInt32(room)
      status = inflate(&stream, Z_NO_FLUSH)
      let moved = (input - Int(stream.avail_in), room - Int(stream.avail_out))
      taken += moved.0
      given += moved.1
      if moved == (0, 0), status == Z_OK { status = Z_BUF_ERROR }
    }
    withExtendedLifetime(storage) {}
    guard status == Z_STREAM_END, given == member.size, taken == member.data.count else {
      let code: MediaIOError.Code = status == Z_BUF_ERROR && given < member.size ? .truncated : .damaged
      throw MediaIOError(code, at: place, "\(given) bytes inflated of \(member.size)")
    }
    return target
  }

  private static func checkSum(_ member: ZIPDirectory.Member, _ bytes: UnsafeRawBufferPointer) throws(MediaIOError) {
    guard CRC32.of(bytes) == member.checkSum else {
      throw MediaIOError(.damaged, at: "npz member \(member.name.debugDescription)", "the checksum differs")
    }
  }

  /// Throws `MediaIOError`: what the sink throws, `unsupported` for names and types that NumPy has not.
  static func write(
    _ arrays: [KVOutgoingArray], metadata: [(key: String, value: String)], to sink: inout KVByteSink
  ) throws(MediaIOError) {
    let bfloat16 = arrays.filter { $0.dtype == "BF16" }.map(\.name).joined(separator: ",")
    var pairs = metadata.filter { $0.key != bfloat16Key }
    if !bfloat16.isEmpty { pairs.append((bfloat16Key, bfloat16)) }
    let text = Array(StrictJSON.object(pairs).utf8)
    let note = KVOutgoingArray(KVNamedTensor(name: metadataName, dtype: "U8", shape: [text.count], bytes: text))
    var writer = ZIPWriter()
    for array in arrays + [note] {
      let place = "npz member \(array.name.debugDescription)"
      let header = try NumPyArray.header(dtype: array.dtype, shape: array.shape, place: place)
      // The checksum stands before the data, so the array is gone through twice.
      var sum = KVByteSink(checkSumOnly: true)
      try sum.write(header)
      try array.write(to: &sum)
      try writer.begin(array.name + ".npy", size: sum.count, checkSum: sum.finishedCheckSum(), to: &sink)
      try sink.write(header)
      try array.write(to: &sink)
    }
    try writer.finish(to: &sink)
  }
}

enum CRC32 {
  static func of(_ bytes: UnsafeRawBufferPointer, after sum: UInt32 = 0) -> UInt32 {
    UInt32(truncatingIfNeeded: crc32_z(UInt(sum), bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count))
  }
}
