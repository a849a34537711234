import CLibAV
import Glibc

/// libavcodec and libavutil, loaded when the first picture needs them. `StillCodec` uses the encoding half.
///
/// Linked, they would be loaded with every start of the program, and more than a hundred libraries with them: about 40
/// ms, more than decoding a picture takes. Pictures in PNG do without. Structures are those of the headers that this was
/// compiled with, so exactly their major versions are loaded.
struct LibAV: Sendable {
  let findDecoder: @Sendable @convention(c) (AVCodecID) -> UnsafePointer<AVCodec>?
  let allocateContext: @Sendable @convention(c) (UnsafePointer<AVCodec>?) -> UnsafeMutablePointer<AVCodecContext>?
  let freeContext: @Sendable @convention(c) (UnsafeMutablePointer<UnsafeMutablePointer<AVCodecContext>?>?) -> Void
  private let openCodec: @Sendable @convention(c) (
    UnsafeMutablePointer<AVCodecContext>?, UnsafePointer<AVCodec>?, UnsafeMutablePointer<OpaquePointer?>?
  ) -> Int32
  let sendPacket: @Sendable @convention(c) (UnsafeMutablePointer<AVCodecContext>?, UnsafePointer<AVPacket>?) -> Int32
  let receiveFrame: @Sendable @convention(c) (
    UnsafeMutablePointer<AVCodecContext>?, UnsafeMutablePointer<AVFrame>?
  ) -> Int32
  let allocatePacket: @Sendable @convention(c) () -> UnsafeMutablePointer<AVPacket>?
  let newPacket: @Sendable @convention(c) (UnsafeMutablePointer<AVPacket>?, Int32) -> Int32
  let freePacket: @Sendable @convention(c) (UnsafeMutablePointer<UnsafeMutablePointer<AVPacket>?>?) -> Void
  let allocateFrame: @Sendable @convention(c) () -> UnsafeMutablePointer<AVFrame>?
  let freeFrame: @Sendable @convention(c) (UnsafeMutablePointer<UnsafeMutablePointer<AVFrame>?>?) -> Void
  let pixelFormat: @Sendable @convention(c) (AVPixelFormat) -> UnsafePointer<AVPixFmtDescriptor>?
  let readLine: @Sendable @convention(c) (
    UnsafeMutableRawPointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?, UnsafePointer<Int32>?,
    UnsafePointer<AVPixFmtDescriptor>?, Int32, Int32, Int32, Int32, Int32, Int32
  ) -> Void
  let errorText: @Sendable @convention(c) (Int32, UnsafeMutablePointer<CChar>?, Int) -> Int32

  let findEncoderByName: @Sendable @convention(c) (UnsafePointer<CChar>?) -> UnsafePointer<AVCodec>?
  let findDecoderByName: @Sendable @convention(c) (UnsafePointer<CChar>?) -> UnsafePointer<AVCodec>?
  let setOption: @Sendable @convention(c) (
    UnsafeMutableRawPointer?, UnsafePointer<CChar>?, UnsafePointer<CChar>?, Int32
  ) -> Int32
  let sendFrame: @Sendable @convention(c) (UnsafeMutablePointer<AVCodecContext>?, UnsafePointer<AVFrame>?) -> Int32
  let receivePacket: @Sendable @convention(c) (
    UnsafeMutablePointer<AVCodecContext>?, UnsafeMutablePointer<AVPacket>?
  ) -> Int32
  let newFrameBuffer: @Sendable @convention(c) (UnsafeMutablePointer<AVFrame>?, Int32) -> Int32
  let clearPacket: @Sendable @convention(c) (UnsafeMutablePointer<AVPacket>?) -> Void
  /// Memory that libav frees.
  let allocate: @Sendable @convention(c) (Int) -> UnsafeMutableRawPointer?
  let codecVersion: @Sendable @convention(c) () -> UInt32
  private let codec: SharedLibrary

  private static let loaded = Result { () throws(MediaIOError) in try LibAV() }

  /// Throws `MediaIOError` (unsupported) where the libraries are not installed.
  static func load() throws(MediaIOError) -> LibAV { try loaded.get() }

  private init() throws(MediaIOError) {
    let purpose = "sound, video, and pictures other than PNG (Debian: apt install libavcodec-dev)"
    let util = try SharedLibrary("libavutil.so.\(LIBAVUTIL_VERSION_MAJOR)", purpose: purpose)
    let codec = try SharedLibrary("libavcodec.so.\(LIBAVCODEC_VERSION_MAJOR)", purpose: purpose)
    findDecoder = try codec["avcodec_find_decoder"]
    allocateContext = try codec["avcodec_alloc_context3"]
    freeContext = try codec["avcodec_free_context"]
    openCodec = try codec["avcodec_open2"]
    sendPacket = try codec["avcodec_send_packet"]
    receiveFrame = try codec["avcodec_receive_frame"]
    allocatePacket = try codec["av_packet_alloc"]
    newPacket = try codec["av_new_packet"]
    freePacket = try codec["av_packet_free"]
    allocateFrame = try util["av_frame_alloc"]
    freeFrame = try util["av_frame_free"]
    pixelFormat = try util["av_pix_fmt_desc_get"]
    readLine = try util["av_read_image_line2"]
    errorText = try util["av_strerror"]
    findEncoderByName = try codec["avcodec_find_encoder_by_name"]
    findDecoderByName = try codec["avcodec_find_decoder_by_name"]
    setOption = try util["av_opt_set"]
    sendFrame = try codec["avcodec_send_frame"]
    receivePacket = try codec["avcodec_receive_packet"]
    newFrameBuffer = try util["av_frame_get_buffer"]
    clearPacket = try codec["av_packet_unref"]
    allocate = try util["av_malloc"]
    codecVersion = try codec["avcodec_version"]
    self.codec = codec
    // It prints to stderr by default; errors travel as values here.
    let setLogLevel: @convention(c) (Int32) -> Void = try util["av_log_set_level"]
    setLogLevel(AV_LOG_QUIET)
  }

  /// avcodec_open2, after which the thread is scheduled as before: SVT-AV1 makes a real-time one of it where it may, as root, for good, and of those that
  /// it starts later; such threads keep all others from running.
  func open(_ context: UnsafeMutablePointer<AVCodecContext>?, _ codec: UnsafePointer<AVCodec>?, _ options: UnsafeMutablePointer<OpaquePointer?>?) -> Int32 {
    var (policy, parameters) = (Int32(0), sched_param())
    let isKnown = pthread_getschedparam(pthread_self(), &policy, &parameters) == 0
    defer { if isKnown { pthread_setschedparam(pthread_self(), policy, &parameters) } }
    return openCodec(context, codec, options)
  }

  /// Such as "59.37.100".
  var codecVersionText: String { Self.text(codecVersion()) }

  static func text(_ version: UInt32) -> String { "\(version >> 16).\(version >> 8 & 255).\(version & 255)" }

  /// libav's words for an error of its own or of the system.
  func reason(_ code: Int32) -> String {
    var text = [CChar](repeating: 0, count: 128)
    _ = errorText(code, &text, text.count)
    return text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "\(code)" }
  }

  /// A function of libavcodec or of a library that it is linked with; nil where there is none of that name.
  func function<Function>(_ name: String, as type: Function.Type) -> Function? { try? codec[name] }
}
