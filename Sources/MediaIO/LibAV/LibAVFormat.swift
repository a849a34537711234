import CLibAV

/// libavformat, and what sound and video need of libavcodec and libavutil beside `LibAV`; loaded when the first of them needs it.
struct LibAVFormat: Sendable {
  typealias Transfer = @convention(c) (UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt8>?, Int32) -> Int32
  typealias Seek = @convention(c) (UnsafeMutableRawPointer?, Int64, Int32) -> Int64
  typealias Context = UnsafeMutablePointer<AVFormatContext>

  let av: LibAV
  let allocateIO: @Sendable @convention(c) (
    UnsafeMutablePointer<UInt8>?, Int32, Int32, UnsafeMutableRawPointer?, Transfer?, Transfer?, Seek?
  ) -> UnsafeMutablePointer<AVIOContext>?
  let freeIO: @Sendable @convention(c) (UnsafeMutablePointer<UnsafeMutablePointer<AVIOContext>?>?) -> Void
  let flushIO: @Sendable @convention(c) (UnsafeMutablePointer<AVIOContext>?) -> Void
  let free: @Sendable @convention(c) (UnsafeMutableRawPointer?) -> Void

  let allocateContext: @Sendable @convention(c) () -> Context?
  let freeContext: @Sendable @convention(c) (Context?) -> Void
  let openInput: @Sendable @convention(c) (
    UnsafeMutablePointer<Context?>?, UnsafePointer<CChar>?, UnsafePointer<AVInputFormat>?, UnsafeMutablePointer<OpaquePointer?>?
  ) -> Int32
  let closeInput: @Sendable @convention(c) (UnsafeMutablePointer<Context?>?) -> Void
  let findStreamInfo: @Sendable @convention(c) (Context?, UnsafeMutablePointer<OpaquePointer?>?) -> Int32
  let findBestStream: @Sendable @convention(c) (
    Context?, AVMediaType, Int32, Int32, UnsafeMutablePointer<UnsafePointer<AVCodec>?>?, Int32
  ) -> Int32
  let readFrame: @Sendable @convention(c) (Context?, UnsafeMutablePointer<AVPacket>?) -> Int32
  let contextFromParameters: @Sendable @convention(c) (
    UnsafeMutablePointer<AVCodecContext>?, UnsafePointer<AVCodecParameters>?
  ) -> Int32
  let allocateParameters: @Sendable @convention(c) () -> UnsafeMutablePointer<AVCodecParameters>?
  let freeParameters: @Sendable @convention(c) (UnsafeMutablePointer<UnsafeMutablePointer<AVCodecParameters>?>?) -> Void
  let sideData: @Sendable @convention(c) (
    UnsafePointer<AVPacket>?, AVPacketSideDataType, UnsafeMutablePointer<Int>?
  ) -> UnsafeMutablePointer<UInt8>?
  let codecName: @Sendable @convention(c) (AVCodecID) -> UnsafePointer<CChar>?
  let codecNamed: @Sendable @convention(c) (UnsafePointer<CChar>?) -> UnsafePointer<AVCodecDescriptor>?
  let seekFile: @Sendable @convention(c) (Context?, Int32, Int64, Int64, Int64, Int32) -> Int32
  let guessFrameRate: @Sendable @convention(c) (
    Context?, UnsafeMutablePointer<AVStream>?, UnsafeMutablePointer<AVFrame>?
  ) -> AVRational
  let guessAspectRatio: @Sendable @convention(c) (
    Context?, UnsafeMutablePointer<AVStream>?, UnsafeMutablePointer<AVFrame>?
  ) -> AVRational
  let streamSideData: @Sendable @convention(c) (
    UnsafePointer<AVStream>?, AVPacketSideDataType, UnsafeMutablePointer<Int>?
  ) -> UnsafeMutablePointer<UInt8>?
  let flushBuffers: @Sendable @convention(c) (UnsafeMutablePointer<AVCodecContext>?) -> Void

  let allocateOutput: @Sendable @convention(c) (
    UnsafeMutablePointer<Context?>?, UnsafePointer<AVOutputFormat>?, UnsafePointer<CChar>?, UnsafePointer<CChar>?
  ) -> Int32
  let newStream: @Sendable @convention(c) (Context?, UnsafePointer<AVCodec>?) -> UnsafeMutablePointer<AVStream>?
  let parametersFromContext: @Sendable @convention(c) (
    UnsafeMutablePointer<AVCodecParameters>?, UnsafePointer<AVCodecContext>?
  ) -> Int32
  let writeHeader: @Sendable @convention(c) (Context?, UnsafeMutablePointer<OpaquePointer?>?) -> Int32
  let writeFrame: @Sendable @convention(c) (Context?, UnsafeMutablePointer<AVPacket>?) -> Int32
  let writeInterleaved: @Sendable @convention(c) (Context?, UnsafeMutablePointer<AVPacket>?) -> Int32
  let writeTrailer: @Sendable @convention(c) (Context?) -> Int32
  let queryCodec: @Sendable @convention(c) (UnsafePointer<AVOutputFormat>?, AVCodecID, Int32) -> Int32
  let newStreamSideData: @Sendable @convention(c) (
    UnsafeMutablePointer<AVStream>?, AVPacketSideDataType, Int
  ) -> UnsafeMutablePointer<UInt8>?
  let newPacketSideData: @Sendable @convention(c) (
    UnsafeMutablePointer<AVPacket>?, AVPacketSideDataType, Int
  ) -> UnsafeMutablePointer<UInt8>?
  let zeroed: @Sendable @convention(c) (Int) -> UnsafeMutableRawPointer?
  let rescale: @Sendable @convention(c) (UnsafeMutablePointer<AVPacket>?, AVRational, AVRational) -> Void

  let dictionaryEntry: @Sendable @convention(c) (
    OpaquePointer?, UnsafePointer<CChar>?, UnsafePointer<AVDictionaryEntry>?, Int32
  ) -> UnsafeMutablePointer<AVDictionaryEntry>?
  let setDictionaryEntry: @Sendable @convention(c) (
    UnsafeMutablePointer<OpaquePointer?>?, UnsafePointer<CChar>?, UnsafePointer<CChar>?, Int32
  ) -> Int32
  let freeDictionary: @Sendable @convention(c) (UnsafeMutablePointer<OpaquePointer?>?) -> Void
  let layoutFromMask: @Sendable @convention(c) (UnsafeMutablePointer<AVChannelLayout>?, UInt64) -> Int32
  let layoutByDefault: @Sendable @convention(c) (UnsafeMutablePointer<AVChannelLayout>?, Int32) -> Void
  let describeLayout: @Sendable @convention(c) (UnsafePointer<AVChannelLayout>?, UnsafeMutablePointer<CChar>?, Int) -> Int32

  private static let loaded = Result { () throws(MediaIOError) in try LibAVFormat() }

  /// Throws `MediaIOError` (unsupported) where the libraries are not installed.
  static func load() throws(MediaIOError) -> LibAVFormat { try loaded.get() }

  private init() throws(MediaIOError) {
    av = try LibAV.load()
    let purpose = "sound and video (Debian: apt install libavformat-dev)"
    let format = try SharedLibrary("libavformat.so.\(LIBAVFORMAT_VERSION_MAJOR)", purpose: purpose)
    let codec = try SharedLibrary("libavcodec.so.\(LIBAVCODEC_VERSION_MAJOR)", purpose: purpose)
    let util = try SharedLibrary("libavutil.so.\(LIBAVUTIL_VERSION_MAJOR)", purpose: purpose)
    allocateIO = try format["avio_alloc_context"]
    freeIO = try format["avio_context_free"]
    flushIO = try format["avio_flush"]
    free = try util["av_free"]
    allocateContext = try format["avformat_alloc_context"]
    freeContext = try format["avformat_free_context"]
    openInput = try format["avformat_open_input"]
    closeInput = try format["avformat_close_input"]
    findStreamInfo = try format["avformat_find_stream_info"]
    findBestStream = try format["av_find_best_stream"]
    readFrame = try format["av_read_frame"]
    contextFromParameters = try codec["avcodec_parameters_to_context"]
    allocateParameters = try codec["avcodec_parameters_alloc"]
    freeParameters = try codec["avcodec_parameters_free"]
    sideData = try codec["av_packet_get_side_data"]
    codecName = try codec["avcodec_get_name"]
    codecNamed = try codec["avcodec_descriptor_get_by_name"]
    seekFile = try format["avformat_seek_file"]
    guessFrameRate = try format["av_guess_frame_rate"]
    guessAspectRatio = try format["av_guess_sample_aspect_ratio"]
    streamSideData = try format["av_stream_get_side_data"]
    flushBuffers = try codec["avcodec_flush_buffers"]
    allocateOutput = try format["avformat_alloc_output_context2"]
    newStream = try format["avformat_new_stream"]
    parametersFromContext = try codec["avcodec_parameters_from_context"]
    writeHeader = try format["avformat_write_header"]
    writeFrame = try format["av_write_frame"]
    writeInterleaved = try format["av_interleaved_write_frame"]
    writeTrailer = try format["av_write_trailer"]
    queryCodec = try format["avformat_query_codec"]
    newStreamSideData = try format["av_stream_new_side_data"]
    newPacketSideData = try codec["av_packet_new_side_data"]
    zeroed = try util["av_mallocz"]
    rescale = try codec["av_packet_rescale_ts"]
    dictionaryEntry = try util["av_dict_get"]
    setDictionaryEntry = try util["av_dict_set"]
    freeDictionary = try util["av_dict_free"]
    layoutFromMask = try util["av_channel_layout_from_mask"]
    layoutByDefault = try util["av_channel_layout_default"]
    describeLayout = try util["av_channel_layout_describe"]
  }

  /// "EOF ": there is no more.
  static let end: Int32 = -0x2046_4F45
  /// AV_NOPTS_VALUE: a time that is not known.
  static let noTime = Int64.min

  /// Of a codec, such as "opus".
  func name(of codec: AVCodecID) -> String { codecName(codec).map { String(cString: $0) } ?? "\(codec.rawValue)" }

  /// Such as "5.1(side)" or "12 channels".
  func name(of layout: AVChannelLayout) -> String {
    var layout = layout
    var text = [CChar](repeating: 0, count: 128)
    guard describeLayout(&layout, &text, text.count) > 0 else { return "\(layout.nb_channels) channels" }
    return text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
  }

  /// Keys and values of an `AVDictionary`, in order.
  func entries(of dictionary: OpaquePointer?) -> [(key: String, value: String)] {
    var result: [(String, String)] = []
    var entry: UnsafeMutablePointer<AVDictionaryEntry>?
    // 2: AV_DICT_IGNORE_SUFFIX, by which "" is the beginning of every key.
    while let next = dictionaryEntry(dictionary, "", entry, 2) {
      result.append((String(cString: next.pointee.key), String(cString: next.pointee.value)))
      entry = next
    }
    return result
  }
}
