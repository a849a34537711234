// Weights files under libFuzzer: as they are, and behind a good magic and checksum, so that the tensors' grammar and the
// checks of a convolution's weights are reached.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWeights(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  _ = try? WeightsFile(parsing: input)
  var file = Array("NCWT".utf8) + input
  let crc = Checksum.crc32(file)
  for k in 0..<4 { file.append(UInt8(truncatingIfNeeded: crc >> UInt32(8 * k))) }
  guard let weights = try? WeightsFile(parsing: file) else { return 0 }
  for name in ["a", "b.0.a"] {
    _ = try? weights.shape(name)
    _ = try? weights.int32(name, nil, nil)
    _ = try? weights.uint8(name, nil)
    _ = try? weights.float(name, nil, nil)
    _ = try? weights.pointwise(name, in: nil, out: nil)
    _ = try? weights.depthwise(name, channels: 1)
    _ = try? weights.floatPointwise(name, in: nil, out: nil)
  }
  _ = try? weights.fixedPointBlocks("b", channels: 1)
  return 0
}
