import Bitstream
import Foundation
import Testing

/// Counts what is read.
private final class CountingSource: ByteSource, @unchecked Sendable {
  private let bytes: [UInt8]
  private let lock = NSLock()
  private var count = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }
  var byteCount: Int { bytes.count }
  var bytesRead: Int { lock.withLock { count } }

  func read(_ range: Range<Int>) -> ArraySlice<UInt8> {
    lock.withLock { count += range.count }
    return bytes[range]
  }
}

@Suite struct ReaderTests {
  private func longFilm(units: Int, unitBytes: Int) throws -> [UInt8] {
    var film = try Sample.film()
    film.payloads = []
    for unit in 0..<units {
      let data = [UInt8](repeating: UInt8(unit & 0xFF), count: unitBytes)
      let isRandomAccess = unit < 2 || unit % 5 == 0
      film.payloads.append(
        Payload(track: UInt32(unit & 1), isRandomAccess: isRandomAccess, start: UInt64(unit * 10), data: data[...]))
    }
    return try film.serialised()
  }

  @Test func openingOnDemandReadsHeadersOnly() throws {
    let file = try longFilm(units: 100, unitBytes: 10_000)
    let scanned = CountingSource(file)
    let reader = try ContainerReader(scanned, checksums: .onDemand)
    #expect(reader.units.count == 100)
    #expect(scanned.bytesRead < 6_000)
    let indexed = CountingSource(file)
    let quick = try ContainerReader(indexed, checksums: .onDemand, navigation: .index)
    #expect(indexed.bytesRead < 2_000)
    #expect(quick.units == reader.units.filter(\.isRandomAccess))
    #expect(quick.tracks == reader.tracks && quick.metadata == reader.metadata && quick.hasIndex)
    for unit in quick.units { #expect(try quick.payload(unit) == reader.payload(unit)) }
    let unit = try #require(quick.randomAccessUnit(track: 0, atOrBefore: 399))
    #expect(unit.start == 300)
    #expect(try quick.payload(unit).data == [UInt8](repeating: 30, count: 10_000)[...])
    #expect(quick.randomAccessUnit(track: 1, atOrBefore: 9) == nil)
    #expect(quick.randomAccessUnit(track: 1, atOrBefore: .max)?.start == 950)
  }

  @Test func filesWithoutIndexAreScanned() throws {
    let file = try Sample.image(payload: 50).serialised()
    let reader = try ContainerReader(MemorySource(file), navigation: .index)
    #expect(reader.units.count == 1 && !reader.hasIndex)
    #expect(try reader.payload(reader.units[0]).data.count == 50)
  }

  @Test func damageIsFoundWhenItIsLoaded() throws {
    var file = try longFilm(units: 10, unitBytes: 100)
    let clean = try ContainerReader(MemorySource(file))
    try clean.verify()
    file[clean.units[4].chunk.lowerBound + 50] ^= 1
    #expect(failure { _ = try ContainerReader(MemorySource(file)) }?.code == .badChecksum)
    for navigation in [ContainerReader<MemorySource>.Navigation.scan, .index] {
      let reader = try ContainerReader(MemorySource(file), checksums: .onDemand, navigation: navigation)
      for unit in reader.units where unit != clean.units[4] { _ = try reader.payload(unit) }
    }
    let reader = try ContainerReader(MemorySource(file), checksums: .onDemand)
    #expect(failure { _ = try reader.payload(reader.units[4]) }?.code == .badChecksum)
    #expect(failure { try reader.verify() }?.offset == clean.units[4].chunk.lowerBound)
    #expect(try reader.contents(of: reader.chunks[0]).count > 0)
    // Opening by the index does not see the payloads, so that loading checks them even if all were to be checked.
    let quick = try ContainerReader(MemorySource(file), navigation: .index)
    let damagedIsRandomAccess = quick.units.contains(clean.units[4])
    #expect(!damagedIsRandomAccess)
    var other = try longFilm(units: 10, unitBytes: 100)
    other[clean.units[5].chunk.lowerBound + 50] ^= 1
    let late = try ContainerReader(MemorySource(other), navigation: .index)
    #expect(failure { _ = try late.payload(clean.units[5]) }?.code == .badChecksum)
  }

  @Test func anIndexThatLiesIsMalformed() throws {
    let film = try Sample.film()
    let good = try ContainerReader(MemorySource(film.serialised()))
    func code(_ change: (UnitRecord) -> UnitRecord?, navigation: ContainerReader<MemorySource>.Navigation) throws
      -> BitstreamError.Code?
    {
      var index = RandomAccessIndex()
      for unit in good.units where unit.isRandomAccess {
        if let entry = change(unit) { index.append(entry) }
      }
      let original = try film.serialised()
      let chunk = good.chunks.first { $0.type == .index }!
      // All chunks before the index stay; index and end are made anew.
      var file = Array(original[..<chunk.range.lowerBound])
      var crc: UInt32 = 0
      for byte in file.suffix(4).reversed() { crc = crc << 8 | UInt32(byte) }
      let offset = try EndMarker(indexOffset: UInt64(chunk.range.lowerBound)).serialised()
      let chunks: [(type: String, payload: [UInt8])] = [("i", try index.serialised()), ("E", offset)]
      for (type, payload) in chunks {
        let bytes: [UInt8] = Array(type.utf8) + [UInt8(payload.count)] + payload
        crc = Checksum.crc32(bytes, seed: crc)
        file += bytes + littleEndian(crc)
      }
      return failure {
        let reader = try ContainerReader(MemorySource(file), navigation: navigation)
        for unit in reader.units { _ = try reader.payload(unit) }
      }?.code
    }
    let second = good.units[1]
    func changed(_ unit: UnitRecord, by shift: Int = 0, track: UInt32? = nil, start: UInt64? = nil) -> UnitRecord {
      let first = unit.chunk.lowerBound + shift
      return UnitRecord(
        chunk: first..<unit.chunk.upperBound, track: track ?? unit.track, isRandomAccess: true,
        start: start ?? unit.start)
    }
    for navigation in [ContainerReader<MemorySource>.Navigation.scan, .index] {
      #expect(try code({ $0 }, navigation: navigation) == nil)
      // Not every unit needs an entry.
      #expect(try code({ $0 == second ? nil : $0 }, navigation: navigation) == nil)
      #expect(try code({ $0 == second ? changed($0, by: 1) : $0 }, navigation: navigation) == .malformed)
      #expect(try code({ $0 == second ? changed($0, track: 0) : $0 }, navigation: navigation) == .malformed)
      #expect(try code({ $0 == second ? changed($0, track: 2) : $0 }, navigation: navigation) == .malformed)
      #expect(try code({ $0 == second ? changed($0, start: 1) : $0 }, navigation: navigation) == .malformed)
    }
  }

  @Test func hostileIndexEntries() {
    for entry in [[0, 5, 0, 0], [200, 0x7F, 0, 0], [10, 5, 1, 0]] as [[UInt8]] {
      var payload: [UInt8] = [1]
      for number in entry { Varint.append(UInt64(number), to: &payload) }
      let index = try! RandomAccessIndex.parse(payload[...], into: RandomAccessIndex(), named: "index")
      #expect(failure { _ = try index.units(before: 100, trackCount: 1) }?.code == .malformed)
    }
    var payload: [UInt8] = [2]
    for number in [10, UInt64.max - 5, 0, 0, UInt64.max, UInt64.max, 0, 0] { Varint.append(number, to: &payload) }
    let index = try! RandomAccessIndex.parse(payload[...], into: RandomAccessIndex(), named: "index")
    #expect(failure { _ = try index.units(before: .max, trackCount: 1) }?.code == .malformed)
  }

  @Test func filesOnDisk() throws {
    let path = NSTemporaryDirectory() + "ncb-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: path) }
    let film = try Sample.film()
    _ = FileManager.default.createFile(atPath: path, contents: nil)
    let handle = try #require(FileHandle(forWritingAtPath: path))
    var writer = try ContainerWriter(DescriptorSink(handle.fileDescriptor))
    for track in film.tracks { try writer.append(track) }
    for metadatum in film.metadata { try writer.append(metadatum) }
    for payload in film.payloads { try writer.append(payload) }
    _ = try writer.finish(hasIndex: true)
    try handle.close()
    let source = try FileSource(path: path)
    #expect(try Array(source.read(0..<source.byteCount)) == film.serialised())
    let reader = try ContainerReader(source, checksums: .onDemand, navigation: .index)
    #expect(try reader.payload(reader.units[2]) == film.payloads[3])
    // The file becomes shorter under the reader's eyes.
    truncate(path, 40)
    #expect(failure { _ = try reader.payload(reader.units[2]) }?.code == .truncated)
    #expect(failure { _ = try FileSource(path: path + "-none") }?.code == .inputOutput)
    #expect(failure { _ = try FileSource(path: "/") }?.code == .inputOutput)
    var closed = DescriptorSink(-1)
    #expect(failure { try closed.write([1]) }?.code == .inputOutput)
  }
}
