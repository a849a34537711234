import Bitstream
import MediaIO

/// An `.ncb` file to read: parts of a file on disk, or all that a pipe brings.
struct InputSource: ByteSource {
  private let file: FileSource?
  private let memory: MemorySource

  /// Throws `MediaIOError`.
  init(_ path: String) throws(MediaIOError) {
    // What cannot be opened so is for FileIO to complain about.
    file = path == "-" ? nil : try? FileSource(path: path)
    memory = MemorySource(file == nil ? try FileIO.read(path) : [])
  }

  /// Of bytes that were read already.
  init(_ bytes: [UInt8]) { (file, memory) = (nil, MemorySource(bytes)) }

  var byteCount: Int { file?.byteCount ?? memory.byteCount }

  func read(_ range: Range<Int>) throws(BitstreamError) -> ArraySlice<UInt8> {
    if let file { try file.read(range) } else { memory.read(range) }
  }

  /// All of it, for pictures. Throws `MediaIOError` (tooLarge), `BitstreamError`.
  var bytes: [UInt8] {
    get throws {
      guard byteCount <= 1 << 31 else { throw MediaIOError(.tooLarge, at: "file", "\(byteCount) bytes, of which \(1 << 31) are allowed") }
      return Array(try read(0..<byteCount))
    }
  }
}

/// An output that grows as it is made, and appears whole with `commit()` or not at all.
final class OutputSink: ByteSink {
  private var file: AtomicFile?
  private(set) var byteCount = 0
  /// What went wrong with writing, as the operating system says it.
  private(set) var failure: MediaIOError?

  init(_ file: consuming AtomicFile) { self.file = consume file }

  func write(_ bytes: ArraySlice<UInt8>) throws(BitstreamError) {
    do throws(MediaIOError) {
      try file?.write(bytes)
    } catch {
      failure = error
      throw BitstreamError(.inputOutput, at: byteCount, in: "output", error.reason)
    }
    byteCount += bytes.count
  }

  /// Throws `MediaIOError`.
  func commit() throws(MediaIOError) {
    if let file = file.take() { try file.commit() }
  }
}
