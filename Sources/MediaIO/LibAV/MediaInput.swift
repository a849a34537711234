import CLibAV
import Glibc

/// The bytes of a file or a pipe for libavformat: what was taken from its beginning already, then the rest.
final class MediaInput {
  let name: String
  /// Of a regular file.
  let byteCount: Int?
  private let descriptor: Int32
  private let isOwned: Bool
  private let start: [UInt8]
  private var position = 0
  /// Of a pipe, the first bytes that were read, as many as `headSize`.
  private(set) var head: [UInt8] = []
  private let headSize: Int
  /// What the operating system refused.
  private(set) var failure: MediaIOError?

  /// `start`: of standard input ("-") or another pipe, the bytes that were read before. `headSize`: a cover may stand before the sound. Throws
  /// `MediaIOError`.
  init(_ path: String, after start: [UInt8], headSize: Int = 1 << 20) throws(MediaIOError) {
    self.headSize = headSize
    name = path == "-" ? "standard input" : path
    isOwned = path != "-"
    descriptor = isOwned ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO
    guard descriptor >= 0 else { throw .system(name) }
    var status = stat()
    let kind = fstat(descriptor, &status) == 0 ? status.st_mode & S_IFMT : 0
    self.start = start
    byteCount = isOwned && kind == S_IFREG ? Int(status.st_size) : nil
    if kind == S_IFDIR { throw MediaIOError(.system, at: name, "is a directory") }
  }

  deinit { if isOwned, descriptor >= 0 { close(descriptor) } }

  /// How many bytes were written to `memory`, at most `count`; 0 at the end, libav's code of an error.
  func read(into memory: UnsafeMutablePointer<UInt8>, _ count: Int) -> Int32 {
    if byteCount == nil, position < start.count {
      let part = start[position...].prefix(count)
      for (i, byte) in part.enumerated() { memory[i] = byte }
      position += part.count
      head += part
      return Int32(part.count)
    }
    while true {
      let got = byteCount == nil ? Glibc.read(descriptor, memory, count) : pread(descriptor, memory, count, off_t(position))
      if got >= 0 {
        position += got
        if byteCount == nil, head.count < headSize { head += UnsafeBufferPointer(start: memory, count: got) }
        return Int32(got)
      }
      if errno != EINTR {
        failure = .system(name)
        return -errno
      }
    }
  }

  /// libavformat's seeking, which also asks for the size.
  func seek(_ offset: Int, _ whence: Int32) -> Int64 {
    guard let byteCount else { return Int64(-ESPIPE) }
    let target: Int
    switch whence & ~AVSEEK_FORCE {
    case AVSEEK_SIZE: return Int64(byteCount)
    case SEEK_SET: target = offset
    case SEEK_CUR: target = position &+ offset
    case SEEK_END: target = byteCount &+ offset
    default: return Int64(-EINVAL)
    }
    guard target >= 0 else { return Int64(-EINVAL) }
    position = target
    return Int64(target)
  }

  /// How many bytes of a RIFF WAVE file's samples its header promises that are not there; 0 where it makes no promise, as in a
  /// pipe.
  // "RIFF" size(4) "WAVE" chunk*; chunk = type(4) size(4) payload [pad], little-endian
  var missingWaveBytes: Int {
    guard let byteCount else { return 0 }
    func bytes(_ position: Int, _ count: Int) -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: count)
      let got = pread(descriptor, &bytes, count, off_t(position))
      return got == count ? bytes : []
    }
    guard bytes(0, 4) == Array("RIFF".utf8) else { return 0 }
    var position = 12
    for _ in 0..<64 {
      let header = bytes(position, 8)
      if header.isEmpty { return 0 }
      let size = header[4...].reversed().reduce(0) { $0 << 8 | Int($1) }
      if header.starts(with: Array("data".utf8)) {
        // Writers that cannot go back leave the greatest numbers, or 0.
        return size >= 0x7FFF_F000 ? 0 : max(0, position + 8 + size - byteCount)
      }
      position += 8 + size + size % 2
    }
    return 0
  }
}
