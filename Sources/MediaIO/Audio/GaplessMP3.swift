/// How many samples an MP3 file holds, by the header that encoders put in its first frame.
///
/// libavformat uses that header too, but cuts the padding at the end only of files, not of pipes.
// The frame's header is ISO/IEC 11172-3, 2.4.1.3; behind its side information lies
// ("Xing" | "Info") flags(4) [frames(4)] [bytes(4)] [table(100)] [quality(4)] encoder(9) settings(12) delay-and-padding(3),
// big-endian, delay and padding 12 bits each.
enum GaplessMP3 {
  /// Of each channel; nil where there is no such header. `bytes`: how the file begins.
  static func samples(_ bytes: [UInt8]) -> Int? {
    func integer(_ at: Int, _ count: Int) -> Int? {
      at >= 0 && at + count <= bytes.count ? bytes[at..<(at + count)].reduce(0) { $0 << 8 | Int($1) } : nil
    }
    var at = 0
    if bytes.starts(with: Array("ID3".utf8)), bytes.count >= 10 {
      // Seven bits a byte; a footer is as long as the header.
      at = 10 + bytes[6..<10].reduce(0) { $0 << 7 | Int($1 & 0x7F) } + (bytes[5] & 0x10 != 0 ? 10 : 0)
    }
    guard let header = integer(at, 4), header >> 21 == 0x7FF, header >> 17 & 3 == 1 else { return nil }
    let isFirstVersion = header >> 19 & 3 == 3
    let isMono = header >> 6 & 3 == 3
    at += 4 + (isFirstVersion ? (isMono ? 17 : 32) : (isMono ? 9 : 17))
    guard let name = integer(at, 4), name == 0x5869_6E67 || name == 0x496E_666F, let flags = integer(at + 4, 4), flags & 1 != 0,
      let frames = integer(at + 8, 4)
    else { return nil }
    at += 12 + (flags & 2 != 0 ? 4 : 0) + (flags & 4 != 0 ? 100 : 0) + (flags & 8 != 0 ? 4 : 0)
    guard let both = integer(at + 21, 3), both > 0 else { return nil }
    let samples = frames * (isFirstVersion ? 1152 : 576) - (both >> 12) - (both & 0xFFF)
    return samples > 0 ? samples : nil
  }
}
