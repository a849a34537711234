// The container under libFuzzer: hostile bytes may be refused but never trap, and whatever is accepted is written and
// read to the same again. Compiled together with Sources/Bitstream.

private let fuzzLimits = ContainerLimits(
  maxFileBytes: 1 << 20, maxChunkBytes: 1 << 18, maxChunks: 256, maxTracks: 8, maxMetadataBytes: 1 << 16,
  maxPixels: 1 << 20, maxMemory: 1 << 24)

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzContainer(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  // As it is: magic, versions, checksums.
  _ = try? Container(reading: input, limits: fuzzLimits)
  examineMagic(input)
  // Behind a good header and without checksums, so that mutations reach the deeper code.
  let file = Magic.bytes + [1, 0] + input
  exerciseReader(file, navigation: .scan)
  exerciseReader(file, navigation: .index)
  exerciseBits(input)
  if let configuration = try? ImageConfiguration(parsing: input[...], limits: fuzzLimits) {
    demand((try? configuration.serialised()) == input, "a configuration that was read is written alike")
  }
  guard let container = try? Container(reading: file[...], limits: fuzzLimits, checksums: .ignored) else { return 0 }
  do {
    let written = try container.serialised()
    demand(try Container(reading: written) == container, "a file goes there and back")
    for bit in [0, written.count * 4, written.count * 8 - 1] {
      var damaged = written
      damaged[bit / 8] ^= 1 << UInt8(bit & 7)
      demand((try? Container(reading: damaged)) == nil, "a flipped bit is noticed")
    }
  } catch {
    fatalError("what was read cannot be written: \(error)")
  }
  return 0
}

private func exerciseReader(_ file: [UInt8], navigation: ContainerReader<MemorySource>.Navigation) {
  guard
    let reader = try? ContainerReader(
      MemorySource(file), limits: fuzzLimits, checksums: .ignored, navigation: navigation)
  else { return }
  for unit in reader.units {
    let payload = try? reader.payload(unit)
    demand(navigation == .index || payload != nil, "a scanned unit can be loaded")
  }
  _ = reader.randomAccessUnit(track: 0, atOrBefore: .max)
  do {
    let report = try reader.report()
    _ = report.text
    _ = report.json
  } catch {
    fatalError("what was read cannot be shown: \(error)")
  }
  if navigation == .scan {
    demand(reader.sections.reduce(0) { $0 + $1.byteCount } == file.count, "the sections add up to the file")
  }
}

private func examineMagic(_ input: [UInt8]) {
  let error: BitstreamError?
  do {
    _ = try FileHeader.read(input.prefix(16))
    error = nil
  } catch let caught {
    error = caught
  }
  demand(error != nil || input.starts(with: Magic.bytes + [1]), "only the magic is taken for the magic")
  _ = error?.description
}

/// Reads numbers whose widths and orders the input chooses, and writes those that were read.
private func exerciseBits(_ input: [UInt8]) {
  guard let first = input.first else { return }
  let order = Int(first & 31)
  let bits = input.dropFirst()
  var reader = BitReader(bits)
  var writer = BitWriter()
  while true {
    let start = reader.position
    if reader.position & 64 == 0 {
      guard let value = try? reader.readExpGolomb(order: order) else {
        demand(reader.position == start, "a failed read leaves the cursor")
        break
      }
      writer.writeExpGolomb(value, order: order)
    } else {
      guard let value = try? reader.readSignedExpGolomb(order: order) else {
        demand(reader.position == start, "a failed read leaves the cursor")
        break
      }
      writer.writeSignedExpGolomb(value, order: order)
    }
  }
  let whole = reader.position / 8
  let written = writer.finish()
  demand(written.prefix(whole).elementsEqual(bits.prefix(whole)), "codes that were read are written alike")
}

private func demand(_ condition: @autoclosure () throws -> Bool, _ rule: String) {
  do {
    guard try condition() else { fatalError("not so: \(rule)") }
  } catch {
    fatalError("not so: \(rule): \(error)")
  }
}
