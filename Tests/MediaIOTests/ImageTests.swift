import Media
import Testing

struct ImageTests {
  @Test func sizesAndCounts() throws {
    #expect(try Image(width: 2, height: 3, colour: .rgb, samples: .init(repeating: 1, count: 18)).pixelCount == 6)
    #expect(throws: ImageError(.size)) { try Image(width: 0, height: 1, colour: .grey, samples: []) }
    #expect(throws: ImageError(.size)) { try Image(width: 1, height: -1, colour: .grey, samples: []) }
    #expect(throws: ImageError(.size)) {
      try Image(width: 65_536, height: 1, colour: .grey, samples: .init(repeating: 0, count: 65_536))
    }
    #expect(throws: Never.self) {
      try Image(width: 1, height: 65_535, colour: .grey, samples: .init(repeating: 0, count: 65_535))
    }
    #expect(throws: ImageError(.sampleCount)) { try Image(width: 2, height: 2, colour: .grey, samples: [1, 2, 3]) }
    #expect(throws: ImageError(.sampleCount)) {
      try Image(width: 1, height: 1, colour: .grey, samples: [1], alpha: [1, 2])
    }
    var image = try Image(width: 1, height: 1, colour: .grey, samples: [1])
    #expect(throws: ImageError(.sampleCount)) { try image.setAlpha([]) }
  }

  @Test func copiesAreApart() throws {
    let first = try Image(width: 2, height: 1, colour: .grey, samples: [1, 2], alpha: [3, 4])
    var second = first
    second.withUnsafeMutableSamples { samples, alpha in
      samples[0] = 9
      alpha![1] = 8
    }
    #expect(first.samples == [1, 2] && first.alpha == [3, 4])
    #expect(second.samples == [9, 2] && second.alpha == [3, 8])
  }

  @Test func writingInPlaceDoesNotCopy() throws {
    var image = try Image(width: 2, height: 1, colour: .grey, samples: [1, 2], alpha: [3, 4])
    let before = image.withUnsafeMutableSamples { [$0.baseAddress!, $1!.baseAddress!] }
    let after = image.withUnsafeMutableSamples { [$0.baseAddress!, $1!.baseAddress!] }
    #expect(before == after)
  }

  @Test(arguments: 1...8)
  func orientationRoundTrip(value: UInt8) {
    #expect(EXIF.orientation(in: EXIF.minimal(orientation: value)) == value)
    #expect(ImageMetadata(exif: EXIF.minimal(orientation: value)).orientation == value)
  }

  @Test func orientationOfDamagedEXIF() {
    #expect(ImageMetadata().orientation == 1)
    let good = EXIF.minimal(orientation: 5)
    for count in 0..<22 { #expect(EXIF.orientation(in: Array(good[..<count])) == nil) }
    var wild = good
    wild[19] = 9
    #expect(EXIF.orientation(in: wild) == nil)
    wild.replaceSubrange(4..<8, with: [0xFF, 0xFF, 0xFF, 0xFF])
    #expect(EXIF.orientation(in: wild) == nil)
    // Little-endian, after another entry.
    let little: [UInt8] = [
      0x49, 0x49, 42, 0, 8, 0, 0, 0, 2, 0, 0x0F, 0x01, 2, 0, 4, 0, 0, 0, 65, 66, 67, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, 4, 0, 0,
      0, 0, 0, 0, 0,
    ]
    #expect(EXIF.orientation(in: little) == 4)
  }
}

extension ImageError {
  /// Equal by code, so this compares.
  init(_ code: Code) { self.init(code, at: "", "") }
}
