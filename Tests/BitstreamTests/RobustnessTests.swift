import Bitstream
import Testing

@Suite struct RobustnessTests {
  private func code(_ file: [UInt8], limits: ContainerLimits = ContainerLimits()) -> BitstreamError.Code? {
    failure { _ = try Container(reading: file, limits: limits) }?.code
  }

  private let end: (Character, [UInt8]) = ("E", [])
  private let track: (Character, [UInt8]) = ("T", Sample.imageTrack)
  private let payload: (Character, [UInt8]) = ("P", [1, 2, 3])

  @Test func everyTruncationIsAnError() throws {
    for file in [try Sample.film().serialised(), try Sample.image(payload: 300).serialised()] {
      for count in 0..<file.count {
        let error = failure { _ = try Container(reading: file[..<count]) }
        if count == 6 || count == 7 {
          #expect(error?.code == .badMagic(.cutAtControlZ))
        } else {
          #expect(error?.code == .truncated, "\(count) bytes")
        }
        for navigation in [ContainerReader<MemorySource>.Navigation.scan, .index] {
          #expect(failure {
            _ = try ContainerReader(MemorySource(file[..<count]), checksums: .onDemand, navigation: navigation)
          } != nil)
        }
      }
    }
  }

  @Test func everyBitFlipIsAnError() throws {
    for file in [try Sample.film().serialised(), try Sample.image(payload: 300).serialised()] {
      for bit in 0..<file.count * 8 {
        var damaged = file
        damaged[bit / 8] ^= 1 << UInt8(bit & 7)
        let error = failure { _ = try Container(reading: damaged) }
        #expect(error != nil, "bit \(bit)")
        switch (bit / 8, error?.code) {
        case (0..<8, .badMagic), (8, .unsupportedMajor), (9, .badChecksum): break
        case (10..., .badChecksum), (10..., .truncated), (10..., .malformed): break
        default: Issue.record("bit \(bit): \(String(describing: error))")
        }
      }
    }
  }

  @Test func everyByteChangeIsAnError() throws {
    let file = try Sample.image(payload: 10).serialised()
    for position in file.indices {
      for value in UInt8.min...UInt8.max where value != file[position] {
        var damaged = file
        damaged[position] = value
        #expect(code(damaged) != nil)
      }
    }
  }

  @Test func chunksThatAreRemovedRepeatedOrSwappedAreNoticed() throws {
    let file = try Sample.film().serialised()
    let chunks = try ContainerReader(MemorySource(file)).chunks.map { Array(file[$0.range]) }
    let header = Array(file[..<FileHeader.byteCount])
    #expect(code(header + chunks.joined()) == nil)
    for position in chunks.indices {
      var removed = chunks
      removed.remove(at: position)
      #expect(code(header + removed.joined()) != nil)
      var repeated = chunks
      repeated.insert(chunks[position], at: position)
      #expect(code(header + repeated.joined()) != nil)
      if position > 0 {
        var swapped = chunks
        swapped.swapAt(position, position - 1)
        #expect(code(header + swapped.joined()) != nil)
      }
    }
  }

  @Test func versions() throws {
    let chunks = [track, payload, end]
    #expect(code(forged(chunks)) == nil)
    #expect(code(forged(chunks, header: Magic.bytes + [1, 200])) == nil)
    #expect(code(forged(chunks, header: Magic.bytes + [2, 0])) == .unsupportedMajor)
    #expect(code(forged(chunks, header: Magic.bytes + [0, 9])) == .unsupportedMajor)
    let error = failure { _ = try Container(reading: forged(chunks, header: Magic.bytes + [2, 5])) }
    #expect(
      error?.description
        == "the file is of an unsupported version (file header > major version, byte 8): the file is of version 2.5, "
        + "which is newer than version 1, the one that is supported. Use a newer version of nccodec.")
    #expect(try ContainerReader(MemorySource(forged(chunks, header: Magic.bytes + [1, 200]))).header.minor == 200)
  }

  @Test func orderAndNumberOfChunks() {
    let index: (Character, [UInt8]) = ("i", [0])
    let gamma: (Character, [UInt8]) = ("g", [100])
    #expect(code(forged([track, gamma, payload, payload, ("z", []), end])) == nil)
    #expect(code(forged([])) == .truncated)
    #expect(code(forged([end])) == .misplacedChunk)
    #expect(code(forged([payload, end])) == .misplacedChunk)
    #expect(code(forged([("z", []), track, payload, end])) == .misplacedChunk)
    #expect(code(forged([track, end])) == .missing)
    #expect(code(forged([track, payload])) == .truncated)
    #expect(code(forged([track, payload, track, payload, end])) == .misplacedChunk)
    #expect(code(forged([track, gamma, track, payload, end])) == .misplacedChunk)
    #expect(code(forged([track, payload, gamma, end])) == .misplacedChunk)
    #expect(code(forged([track, gamma, gamma, payload, end])) == .duplicate)
    let levels: (Character, [UInt8]) = ("l", [1, 0, 101])
    #expect(code(forged([track, levels, payload, end])) == nil)
    #expect(code(forged([track, levels, levels, payload, end])) == .duplicate)
    #expect(code(forged([track, payload, levels, end])) == .misplacedChunk)
    for bad: [UInt8] in [[], [0], [1, 1, 50], [1, 0, 102], [2, 0, 50, 0, 50], [2, 0, 50], [1, 0, 50, 0], [65] + [UInt8](repeating: 0, count: 130)] {
      #expect(code(forged([track, ("l", bad), payload, end])) != nil, "\(bad)")
    }
    #expect(code(forged([track, ("t", [1, 65]), ("t", [1, 66]), payload, end])) == nil)
    #expect(code(forged([track, ("t", [1, 65]), ("t", [1, 65, 66]), payload, end])) == .duplicate)
    #expect(code(forged([track, payload, index, index, end])) == .duplicate)
    #expect(code(forged([track, payload, index, payload, end])) == .misplacedChunk)
    #expect(code(forged([track, payload, index, end])) == .malformed)
    #expect(code(forged([track, payload, index, ("E", [36, 0, 0, 0, 0, 0, 0, 0])])) == .malformed)
    #expect(code(forged([track, payload, index, ("E", [32, 0, 0, 0, 0, 0, 0, 0])])) == nil)
    #expect(code(forged([track, payload, ("E", [32, 0, 0, 0, 0, 0, 0, 0])])) == .malformed)
    #expect(code(forged([track, payload, ("E", [1])])) == .malformed)
    #expect(code(forged([track, payload, end, end])) == .trailingData)
    #expect(code(forged([track, payload, end]) + [0]) == .trailingData)
    #expect(code(forged([track, track, ("P", [0]), ("P", [1]), end])) == nil)
    #expect(code(forged([track, track, ("P", [0]), ("P", [2]), end])) == .malformed)
    #expect(code(forged([track, track, ("P", [0]), ("P", []), end])) == .malformed)
    #expect(code(forged([track, track, ("P", [0]), end])) == .missing)
  }

  @Test func unknownCriticalChunksAreNamed() {
    let error = failure { _ = try Container(reading: forged([track, ("Q", [1, 2]), payload, end])) }
    #expect(error?.code == .unknownCriticalChunk)
    #expect(error?.offset == 23)
    #expect(error?.description.contains("'Q'") == true)
    // Without a trustworthy checksum nothing is said about the type.
    var damaged = forged([track, ("Q", [1, 2]), payload, end])
    damaged[25] ^= 1
    #expect(code(damaged) == .badChecksum)
    #expect(code(forged([track, ("@", []), payload, end])) == .malformed)
    #expect(code(forged([track, ("[", []), payload, end])) == .malformed)
  }

  @Test func fieldsOfChunksAreChecked() {
    func trackCode(_ bytes: [UInt8]) -> BitstreamError.Code? { code(forged([("T", bytes), payload, end])) }
    #expect(trackCode([0x05, 1, 0]) == .malformed)  // no such modality
    #expect(trackCode([0x20, 1, 0]) == .malformed)  // reserved bit
    #expect(trackCode([0x10, 1, 0, 1, 1]) == .malformed)  // a timed image
    #expect(trackCode([0x01, 1, 0]) == .malformed)  // a video without time base
    #expect(trackCode([0x00, 0, 0]) == .malformed)  // codec 0
    #expect(trackCode([0x00, 1]) == .malformed)  // ends early
    #expect(trackCode([]) == .malformed)
    #expect(trackCode([0x00, 0x80, 0x80, 0x80, 0x80, 0x10, 0]) == .malformed)  // codec 2^32
    #expect(code(forged([("T", [0x11, 1, 0, 1, 1]), ("P", [1, 0]), end])) == nil)
    #expect(code(forged([("T", [0x11, 1, 0, 1, 1]), ("P", [0, 0]), end])) == .malformed)
    #expect(code(forged([("T", [0x11, 1, 0, 1, 1]), ("P", [3, 0]), end])) == .malformed)
    #expect(code(forged([("T", [0x11, 1, 0, 1, 1]), ("P", [1]), end])) == .malformed)
    #expect(code(forged([("T", [0x11, 1, 0, 1, 1]), end])) == nil)
    #expect(code(forged([("T", [0x11, 1, 0, 0, 1]), end])) == .malformed)
    let broken: [(Character, [UInt8])] = [
      ("g", [0]), ("g", []), ("g", [1, 1]), ("c", []), ("x", []), ("t", [0]), ("t", [2, 65]), ("t", [1, 0xFF]),
    ]
    for chunk in broken {
      #expect(code(forged([track, chunk, payload, end])) == .malformed, "\(chunk)")
    }
    #expect(code(forged([track, ("t", [0xFF, 0x7F]), payload, end])) == .limitExceeded)
  }

  @Test(arguments: [UInt64(1) << 63, UInt64.max, UInt64(Int.max), 1 << 32, 5])
  func hostileLengths(length: UInt64) {
    var file = forged([track])
    file.append(UInt8(ascii: "P"))
    Varint.append(length, to: &file)
    file += [0, 0, 0, 0]
    #expect(code(file) == .truncated)
    for checksums in [ContainerReader<MemorySource>.Checksums.onDemand, .ignored] {
      #expect(failure { _ = try ContainerReader(MemorySource(file), checksums: checksums) }?.code == .truncated)
    }
  }

  @Test func overlongLengthsAreMalformed() {
    let header: [UInt8] = Magic.bytes + [1, 0, 0x54]
    let overlong: [UInt8] = [0x87, 0x00] + Sample.imageTrack + [0, 0, 0, 0]
    #expect(code(header + overlong) == .malformed)
    #expect(code(header + [UInt8](repeating: 0xFF, count: 20)) == .malformed)
  }

  @Test func limits() throws {
    let film = try Sample.film().serialised()
    func filmCode(_ change: (inout ContainerLimits) -> Void) -> BitstreamError.Code? {
      var limits = ContainerLimits()
      change(&limits)
      return code(film, limits: limits)
    }
    #expect(filmCode { $0.maxFileBytes = film.count } == nil)
    #expect(filmCode { $0.maxFileBytes = film.count - 1 } == .limitExceeded)
    #expect(filmCode { $0.maxTracks = 1 } == .limitExceeded)
    #expect(filmCode { $0.maxTracks = 2 } == nil)
    #expect(filmCode { $0.maxChunks = 14 } == nil)
    #expect(filmCode { $0.maxChunks = 13 } == .limitExceeded)
    #expect(filmCode { $0.maxMetadataBytes = 20 } == .limitExceeded)
    #expect(filmCode { $0.maxChunkBytes = 25 } == .limitExceeded)
  }

  @Test func manyTracks() {
    let tracks = [(Character, [UInt8])](repeating: track, count: 65)
    #expect(code(forged(tracks)) == .limitExceeded)
  }

  @Test func textModeDamage() throws {
    // A payload with CR LF, lone LF, and lone CR in it.
    let file = forged([track, ("P", [0x0D, 0x0A, 0x41, 0x0A, 0x42, 0x0D, 0x43]), end])
    func damage(_ change: ([UInt8]) -> [UInt8]) -> BitstreamError.Code? { code(change(file)) }
    func replacing(_ old: [UInt8], _ new: [UInt8]) -> ([UInt8]) -> [UInt8] { { $0.replacing(old, with: new) } }
    let converted = BitstreamError.Code.badMagic(.lineEndingsConverted)
    #expect(damage(replacing([0x0D, 0x0A], [0x0A])) == converted)
    #expect(damage(replacing([0x0A], [0x0D, 0x0A])) == converted)
    #expect(damage(replacing([0x0D], [0x0A])) == converted)
    #expect(damage(replacing([0x0A], [0x0D])) == converted)
    #expect(damage { $0.replacing([0x0D, 0x0A], with: [0x0D]).replacing([0x0A], with: [0x0D]) } == converted)
    #expect(damage { $0.replacing([0x0D, 0x0A], with: [0x0A]).replacing([0x0A], with: [0x0D, 0x0A]) } == converted)
    #expect(damage { $0.map { $0 & 0x7F } } == .badMagic(.highBitStripped))
    let latin: ([UInt8]) -> [UInt8] = { bytes in
      var text = ""
      for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(byte)) }
      return Array(text.utf8)
    }
    #expect(damage(latin) == .badMagic(.reencodedAsText))
    #expect(damage { Array(String(decoding: $0, as: UTF8.self).utf8) } == .badMagic(.reencodedAsText))
    #expect(damage { [0xEF, 0xBB, 0xBF] + $0 } == .badMagic(.reencodedAsText))
    #expect(damage { Array($0[..<6]) } == .badMagic(.cutAtControlZ))
    #expect(damage { _ in [] } == .truncated)
    let error = failure { _ = try Container(reading: file.replacing([0x0D, 0x0A], with: [0x0A])) }
    #expect(
      error?.description
        == "not a readable .ncb file (magic, byte 0): line endings were converted, as if the file were text. Get the "
        + "file again with a transfer that treats it as binary.")
  }

  @Test func otherFormatsAreNamed() {
    let png: [UInt8] = [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]
    let error = failure { _ = try Container(reading: png) }
    #expect(error?.code == .badMagic(.notNCB))
    #expect(error?.reason == "the file looks like a PNG picture")
    #expect(code(Array("hello, world, hello".utf8)) == .badMagic(.notNCB))
    #expect(code([0]) == .badMagic(.notNCB))
  }

  @Test func errorsAreEqualByCode() {
    let one = BitstreamError(.malformed, at: 1, in: "a", "b")
    #expect(one == BitstreamError(.malformed, at: nil, in: "", "c"))
    #expect(one != BitstreamError(.truncated, at: 1, in: "a", "b"))
    let damage = MagicDamage.allCases.map { BitstreamError(.badMagic($0), at: 0, in: "", "") }
    #expect(damage[0] != damage[1] && damage[1] == damage[1])
  }

  /// Random changes with the CRCs made right again: whatever still parses is written and parsed to the same again.
  @Test func mutatedFilesNeverTrap() throws {
    var generator = SeededGenerator(state: 7)
    var parsed = 0
    for _ in 0..<3000 {
      var file = try Sample.random(&generator).serialised()
      for _ in 0...Int(generator.next() % 4) {
        let position = Int.random(in: FileHeader.byteCount..<file.count, using: &generator)
        file[position] = generator.next() & 1 == 0 ? UInt8(truncatingIfNeeded: generator.next()) : file[position] &+ 1
      }
      guard let container = try? Container(reading: file[...], checksums: .ignored) else { continue }
      parsed += 1
      #expect(try Container(reading: try container.serialised()) == container)
    }
    #expect(parsed > 300)
  }
}
