import CLibAV
import Glibc

/// The bytes of a file or a pipe for libavformat: what was taken from its beginning already, then the rest.
final class AudioInput {
  let name: String
  /// Of a regular file.
  let byteCount: Int?
  private let descriptor: Int32
  private let isOwned: Bool
  private let start: [UInt8]
  private var position = 0
  /// What the operating system refused.
  private(set) var failure: MediaIOError?

  /// `start`: of standard input ("-") or another pipe, the bytes that were read before. Throws `MediaIOError`.
  init(_ path: String, after start: [UInt8]) throws(MediaIOError) {
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
      return Int32(part.count)
    }
    while true {
      let got = byteCount == nil ? Glibc.read(descriptor, memory, count) : pread(descriptor, memory, count, off_t(position))
      if got >= 0 {
        position += got
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
    case SEEK_CUR: target = position + offset
    case SEEK_END: target = byteCount + offset
    default: return Int64(-EINVAL)
    }
    guard target >= 0 else { return Int64(-EINVAL) }
    position = target
    return Int64(target)
  }
}

/// An opened input of libavformat.
final class AudioDemuxer {
  let library: LibAVFormat
  let input: AudioInput
  private var opened: UnsafeMutablePointer<AVFormatContext>?
  private var io: UnsafeMutablePointer<AVIOContext>?

  /// Throws `MediaIOError`: `unknownFormat` for what libavformat does not recognise, `empty`, `system`.
  init(_ input: AudioInput) throws(MediaIOError) {
    library = try LibAVFormat.load()
    self.input = input
    let size: Int32 = 1 << 16
    let buffer = library.av.allocate(Int(size))
    io = library.allocateIO(
      buffer?.assumingMemoryBound(to: UInt8.self), size, 0, Unmanaged.passUnretained(input).toOpaque(),
      { input, memory, count in
        guard let input, let memory else { return -EINVAL }
        let got = Unmanaged<AudioInput>.fromOpaque(input).takeUnretainedValue().read(into: memory, Int(count))
        return got == 0 ? LibAVFormat.end : got
      }, nil,
      input.byteCount == nil
        ? nil
        : { input, offset, whence in
          guard let input else { return Int64(-EINVAL) }
          return Unmanaged<AudioInput>.fromOpaque(input).takeUnretainedValue().seek(Int(offset), whence)
        })
    opened = library.allocateContext()
    guard buffer != nil, io != nil, let opened else { throw MediaIOError(.outOfMemory, at: input.name, "no memory") }
    opened.pointee.pb = io
    // A file that names others (playlists, manifests) must not make us open those.
    opened.pointee.io_open = { _, _, _, _, _ in -EPERM }
    // The name's ending helps where the bytes leave it open. Frees the context where it fails.
    let status = library.openInput(&self.opened, input.name, nil, nil)
    guard status < 0 else { return }
    if let failure = input.failure { throw failure }
    if input.byteCount == 0 { throw MediaIOError(.empty, at: input.name, "no bytes") }
    throw MediaIOError(.unknownFormat, at: input.name, "not in a format of sound that libavformat knows (\(library.av.reason(status)))")
  }

  deinit {
    library.closeInput(&opened)
    // libavformat may have put a buffer of another size in the first one's place.
    if let io { library.free(io.pointee.buffer) }
    library.freeIO(&io)
  }

  var context: UnsafeMutablePointer<AVFormatContext> { opened! }

  var streams: [UnsafeMutablePointer<AVStream>] {
    (0..<Int(context.pointee.nb_streams)).compactMap { context.pointee.streams[$0] }
  }
}
