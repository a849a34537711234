import CLibAV
import Glibc

/// An opened input of libavformat.
final class Demuxer {
  let library: LibAVFormat
  let input: MediaInput
  private var opened: UnsafeMutablePointer<AVFormatContext>?
  private var io: UnsafeMutablePointer<AVIOContext>?

  /// `media`: what is looked for, such as "sound", for the error. `options`: libavformat's. `codecOptions`: of decoders that look into the
  /// streams for what their headers leave open. `limits`: of pictures whose size the headers say.
  ///
  /// Throws `MediaIOError`: `unknownFormat` for what it does not recognise, `empty`, `system`.
  init(
    _ input: MediaInput, for media: String = "sound", options: [(name: String, value: String)] = [],
    codecOptions: [(name: String, value: String)] = [], limits: ImageLimits? = nil
  ) throws(MediaIOError) {
    library = try LibAVFormat.load()
    self.input = input
    let size: Int32 = 1 << 16
    let buffer = library.av.allocate(Int(size))
    io = library.allocateIO(
      buffer?.assumingMemoryBound(to: UInt8.self), size, 0, Unmanaged.passUnretained(input).toOpaque(),
      { input, memory, count in
        guard let input, let memory else { return -EINVAL }
        let got = Unmanaged<MediaInput>.fromOpaque(input).takeUnretainedValue().read(into: memory, Int(count))
        return got == 0 ? LibAVFormat.end : got
      }, nil,
      input.byteCount == nil
        ? nil
        : { input, offset, whence in
          guard let input else { return Int64(-EINVAL) }
          return Unmanaged<MediaInput>.fromOpaque(input).takeUnretainedValue().seek(Int(offset), whence)
        })
    opened = library.allocateContext()
    guard buffer != nil, io != nil, let opened else { throw MediaIOError(.outOfMemory, at: input.name, "no memory") }
    opened.pointee.pb = io
    // A file that names others (playlists, manifests) must not make us open those.
    opened.pointee.io_open = { _, _, _, _, _ in -EPERM }
    var extras: OpaquePointer?
    defer { library.freeDictionary(&extras) }
    for (name, value) in options { _ = library.setDictionaryEntry(&extras, name, value, 0) }
    // The name's ending helps where the bytes leave it open. Frees the context where it fails.
    var status = library.openInput(&self.opened, input.name, nil, &extras)
    if status >= 0 {
      if let limits { try check(limits) }
      status = findStreamInfo(codecOptions)
      if let failure = input.failure { throw failure }
      // What it did not find out, the first decoded frame will say.
      return
    }
    if let failure = input.failure { throw failure }
    if input.byteCount == 0 { throw MediaIOError(.empty, at: input.name, "no bytes") }
    throw MediaIOError(.unknownFormat, at: input.name, "not in a format of \(media) that libavformat knows (\(library.av.reason(status)))")
  }

  deinit {
    library.closeInput(&opened)
    // libavformat may have put a buffer of another size in the first one's place.
    if let io { library.free(io.pointee.buffer) }
    library.freeIO(&io)
  }

  private func check(_ limits: ImageLimits) throws(MediaIOError) {
    for stream in streams where stream.pointee.codecpar.pointee.codec_type == AVMEDIA_TYPE_VIDEO && !stream.isAttachedPicture {
      let (width, height) = (stream.pointee.codecpar.pointee.width, stream.pointee.codecpar.pointee.height)
      if width > 0, height > 0 { try limits.check(width: Int(width), height: Int(height), named: container) }
    }
  }

  private func findStreamInfo(_ codecOptions: [(name: String, value: String)]) -> Int32 {
    if codecOptions.isEmpty { return library.findStreamInfo(context, nil) }
    // One dictionary for each stream that is known by now, each its own.
    var all = [OpaquePointer?](repeating: nil, count: Int(context.pointee.nb_streams))
    for i in all.indices { for (name, value) in codecOptions { _ = library.setDictionaryEntry(&all[i], name, value, 0) } }
    defer { for i in all.indices { library.freeDictionary(&all[i]) } }
    return all.withUnsafeMutableBufferPointer { library.findStreamInfo(context, $0.baseAddress) }
  }

  var context: UnsafeMutablePointer<AVFormatContext> { opened! }

  /// libavformat's name of the format, the first where it has several.
  var container: String { String(String(cString: context.pointee.iformat.pointee.name).prefix { $0 != "," }) }

  var streams: [UnsafeMutablePointer<AVStream>] {
    (0..<Int(context.pointee.nb_streams)).compactMap { context.pointee.streams[$0] }
  }
}
