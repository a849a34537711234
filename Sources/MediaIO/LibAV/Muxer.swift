import CLibAV
import Glibc

/// An opened output of libavformat, whose bytes go to an `AtomicFile`.
final class Muxer {
  let library: LibAVFormat
  private var opened: UnsafeMutablePointer<AVFormatContext>?
  private var io: UnsafeMutablePointer<AVIOContext>?
  private let sink: MuxerSink

  /// Throws `MediaIOError`.
  init(_ file: consuming AtomicFile, named name: String, container: String) throws(MediaIOError) {
    library = try LibAVFormat.load()
    let takesPlaces = file.takesPlaces
    sink = MuxerSink(file)
    let size: Int32 = 1 << 16
    let buffer = library.av.allocate(Int(size))
    io = library.allocateIO(
      buffer?.assumingMemoryBound(to: UInt8.self), size, 1, Unmanaged.passUnretained(sink).toOpaque(), nil,
      { sink, memory, count in
        guard let sink, let memory else { return -EINVAL }
        return Unmanaged<MuxerSink>.fromOpaque(sink).takeUnretainedValue().write(UnsafeBufferPointer(start: memory, count: Int(count)))
      },
      takesPlaces
        ? { sink, offset, whence in
          guard let sink else { return Int64(-EINVAL) }
          return Unmanaged<MuxerSink>.fromOpaque(sink).takeUnretainedValue().seek(Int(offset), whence)
        } : nil)
    let status = library.allocateOutput(&opened, nil, container, nil)
    guard buffer != nil, io != nil else { throw MediaIOError(.outOfMemory, at: name, "no memory") }
    guard status >= 0, let opened else {
      throw MediaIOError(.unsupported, at: name, "this libavformat does not write \(container)")
    }
    opened.pointee.pb = io
    // The same bytes on every run: no version, no random serial numbers.
    opened.pointee.flags |= AVFMT_FLAG_BITEXACT
  }

  deinit {
    library.freeContext(opened)
    if let io { library.free(io.pointee.buffer) }
    library.freeIO(&io)
  }

  var context: UnsafeMutablePointer<AVFormatContext> { opened! }
  var byteCount: Int { sink.end }
  var failure: MediaIOError? { sink.failure }

  /// After the trailer. Throws `MediaIOError`.
  func commit() throws(MediaIOError) {
    library.flushIO(io)
    if let failure { throw failure }
    try sink.commit()
  }
}

/// Where libavformat's bytes go.
private final class MuxerSink {
  private var file: AtomicFile?
  private let takesPlaces: Bool
  private var position = 0
  private(set) var end = 0
  /// What the operating system refused; nothing is written after that.
  private(set) var failure: MediaIOError?

  init(_ file: consuming AtomicFile) {
    takesPlaces = file.takesPlaces
    self.file = consume file
  }

  func write(_ bytes: UnsafeBufferPointer<UInt8>) -> Int32 {
    if failure != nil { return -EIO }
    do throws(MediaIOError) {
      if takesPlaces {
        try file?.write(Array(bytes), at: position)
      } else {
        try file?.write(Array(bytes))
      }
    } catch {
      failure = error
      return -EIO
    }
    position += bytes.count
    end = max(end, position)
    return Int32(bytes.count)
  }

  func seek(_ offset: Int, _ whence: Int32) -> Int64 {
    let target: Int
    switch whence & ~AVSEEK_FORCE {
    case AVSEEK_SIZE: return Int64(end)
    case SEEK_SET: target = offset
    case SEEK_CUR: target = position + offset
    case SEEK_END: target = end + offset
    default: return Int64(-EINVAL)
    }
    guard target >= 0 else { return Int64(-EINVAL) }
    position = target
    return Int64(target)
  }

  func commit() throws(MediaIOError) { if let file = file.take() { try file.commit() } }
}
