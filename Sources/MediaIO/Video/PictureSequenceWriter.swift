import Glibc
import Media

/// Writes numbered PNG pictures, from 1 on; those of this run are removed again unless it `isFinished`. (A signal leaves them, each
/// whole.)
final class PictureSequenceWriter {
  var isFinished = false
  private(set) var byteCount = 0
  private let names: NumberedNames
  private let overwrite: Bool
  private var written = 0

  init(_ names: NumberedNames, overwrite: Bool) { (self.names, self.overwrite) = (names, overwrite) }

  deinit {
    if isFinished || written == 0 { return }
    for number in 1...written { unlink(names[number]) }
  }

  /// Each picture appears whole or not at all. Throws `MediaIOError`.
  func append(_ frame: VideoFrame) throws {
    let bytes = try PNGWriter.write(frame.image, options: .fast)
    try FileIO.write(bytes, to: names[written + 1], overwrite: overwrite)
    written += 1
    byteCount += bytes.count
  }
}
