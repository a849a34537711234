/// The little that we read and write of EXIF's TIFF structure:
///
///     header  = ("II" 42 | "MM" 42) offset-of-IFD(4)
///     IFD     = count(2) entry{count} next(4)
///     entry   = tag(2) type(2) count(4) value-or-offset(4)
///
/// (TIFF 6.0, section 2; orientation is its tag 274, a SHORT.)
public enum EXIF {
  static let orientationTag = 274

  /// The orientation, 1...8, or nil where the bytes have none or are damaged. The inverse of `minimal(orientation:)`.
  public static func orientation(in bytes: [UInt8]) -> UInt8? {
    guard let tiff = TIFFStructure(bytes), let entry = tiff.firstDirectory?.first(where: { $0.tag == orientationTag }),
      entry.type == .short, entry.count == 1, let value = tiff.integer(entry)
    else { return nil }
    return (1...8).contains(value) ? UInt8(value) : nil
  }

  /// The smallest EXIF that says nothing but an orientation, 1...8. The inverse of `orientation(in:)`.
  public static func minimal(orientation: UInt8) -> [UInt8] {
    precondition((1...8).contains(orientation))
    return [
      0x4D, 0x4D, 0, 42, 0, 0, 0, 8,  // big-endian, directory at 8
      0, 1,  // one entry
      0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0,
      0, 0, 0, 0,  // no next directory
    ]
  }
}
