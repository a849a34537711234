import Bitstream
import Networks
import Testing

/// A weights file with one tensor, made by hand.
private func file(
  name: String = "t", type: UInt8 = 0, shape: [UInt32] = [2, 2], data: [UInt8] = [1, 0, 255, 255, 0, 128, 3, 0],
  count: UInt8 = 1, magic: String = "NCWT", version: UInt8 = 1, extra: [UInt8] = []
) -> [UInt8] {
  var bytes = Array(magic.utf8) + [version, 1, 7, 0, count, 0]
  bytes += [UInt8(name.utf8.count)] + Array(name.utf8) + [type, UInt8(shape.count)]
  for dimension in shape { for k in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: dimension >> UInt32(8 * k))) } }
  bytes += data + extra
  let crc = Checksum.crc32(bytes)
  for k in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: crc >> UInt32(8 * k))) }
  return bytes
}

@Suite struct WeightsFileTests {
  @Test func readsWhatIsThere() throws {
    let weights = try WeightsFile(parsing: file())
    #expect(weights.modelID == 7 && weights.codec == 1)
    #expect(try weights.int16("t", 2, nil) == [1, -1, -32768, 3])
    #expect(try weights.shape("t") == [2, 2])
    // 1, -2, the smallest subnormal, 0.
    let halves = try WeightsFile(parsing: file(type: 3, data: [0, 0x3C, 0, 0xC0, 1, 0, 0, 0]))
    #expect(try halves.float("t", 2, 2) == [1, -2, 0x1p-24, 0])
  }

  @Test func wrongQuestionsAreNamed() throws {
    let weights = try WeightsFile(parsing: file())
    #expect(throws: WeightsError(.missing, "", "")) { try weights.int16("u", 2, 2) }
    #expect(throws: WeightsError(.wrongShape, "", "")) { try weights.int16("t", 4) }
    #expect(throws: WeightsError(.wrongShape, "", "")) { try weights.int16("t", 2, 3) }
    #expect(throws: WeightsError(.wrongShape, "", "")) { try weights.uint8("t", 2, 2) }
  }

  @Test func damageIsRefused() {
    let good = file()
    for length in 0..<good.count { #expect(throws: WeightsError.self) { try WeightsFile(parsing: Array(good[..<length])) } }
    for bit in 0..<good.count * 8 {
      var damaged = good
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: WeightsError.self, "bit \(bit)") { try WeightsFile(parsing: damaged) }
    }
  }

  @Test(arguments: [
    file(magic: "NCWX"), file(version: 2), file(type: 4), file(shape: []), file(shape: [1, 1, 1, 1, 4]),
    file(shape: [0, 4]), file(shape: [2, 3]), file(shape: [.max, .max, .max, .max]), file(count: 2), file(count: 0),
    file(extra: [0]),
  ])
  func wellSummedNonsenseIsRefused(_ bytes: [UInt8]) {
    #expect(throws: WeightsError.self) { try WeightsFile(parsing: bytes) }
  }

  @Test func theSameNameTwiceIsRefused() {
    let tensor: [UInt8] = [1, 0x74, 2, 1, 1, 0, 0, 0, 9]
    #expect(throws: WeightsError(.damaged, "", "")) {
      try WeightsFile(parsing: file(type: 2, shape: [1], data: [5], count: 2, extra: tensor))
    }
  }
}
