// Profiles of KV caches, and caches coded with them, under libFuzzer, behind good checksums: any bytes either give a profile, with
// which a cache of the declared shape decodes or is refused, or are refused. The first byte says what the rest is: changes to a
// good profile, a profile's first bytes, a payload, changes to a good payload.

private let cache: KVCache = {
  let tensor = KVTensor(heads: 2, tokens: 80, channels: 8, element: .float16)
  for row in 0..<160 {
    tensor.withMutableRow(head: row / 80, token: row % 80) { bytes in
      for c in 0..<8 {
        let value = Float16((row * 37 + c * 11) % 23 - 9) / 8 + Float16(c * row % 5)
        bytes.storeBytes(of: value.bitPattern, toByteOffset: 2 * c, as: UInt16.self)
      }
    }
  }
  return KVCache(layers: [KVLayer](repeating: KVLayer(keys: tensor, values: tensor), count: 3), rope: .halves)
}()

private let profileBytes: [UInt8] = {
  var options = KVCalibration.Options()
  (options.stateSize, options.threads) = (16, 1)
  return try! KVCalibration.profile(of: [cache], options: options)
}()

private let good: (profile: KVProfile, file: Container) = {
  let profile = try! KVProfile(reading: profileBytes)
  var options = KVCacheEncoder.Options()
  (options.effort, options.profile, options.chunkTokens, options.threads) = (9, profile, 33, 1)
  return (profile, try! Container(reading: KVCacheEncoder(options: options).encode(cache).bytes))
}()

/// Pairs of place and change.
private func changed(_ bytes: [UInt8], by rest: ArraySlice<UInt8>) -> [UInt8] {
  var bytes = bytes
  var rest = rest
  while rest.count >= 3, !bytes.isEmpty {
    let triple = Array(rest.prefix(3))
    bytes[(Int(triple[0]) << 8 | Int(triple[1])) % bytes.count] ^= triple[2]
    rest = rest.dropFirst(3)
  }
  return bytes
}

private func sealed(_ bytes: [UInt8]) -> [UInt8] {
  let crc = Checksum.crc32(bytes[...])
  return bytes + [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: crc >> UInt32($0)) }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzKVProfile(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard let kind = input.first else { return 0 }
  let rest = input.dropFirst()
  var (profile, file) = (good.profile, good.file)
  switch kind & 3 {
  case 0, 1:
    let body = Array(profileBytes.dropLast(4))
    // The head, where shapes are, or all of it.
    let bytes = kind & 3 == 0 ? changed(body, by: rest) : Array(rest) + body.dropFirst(min(rest.count, body.count))
    guard let other = try? KVProfile(reading: sealed(bytes)) else { return 0 }
    profile = other
    var configuration = try! KVConfiguration(parsing: file.tracks[0].configuration)
    configuration.profile = profile.hash[...]
    file.tracks[0].configuration = try! configuration.serialised()[...]
  case 2: file.payloads[Int(kind >> 2) % file.payloads.count].data = rest
  default:
    let number = Int(kind >> 2) % file.payloads.count
    file.payloads[number].data = changed(Array(file.payloads[number].data), by: rest)[...]
  }
  guard let bytes = try? file.serialised() else { return 0 }
  var options = KVCacheDecoder.Options()
  (options.threads, options.maxMemory, options.profile) = (1, 64 << 20, profile)
  if let decoded = try? KVCacheDecoder(options: options).decode(bytes) {
    precondition(decoded.layers.count == 3 && decoded.byteCount <= 64 << 20, "the declared shape")
  }
  return 0
}
