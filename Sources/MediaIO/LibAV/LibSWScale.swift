import CLibAV

/// libswscale, loaded when the first video needs it.
struct LibSWScale: Sendable {
  let av: LibAV
  let allocate: @Sendable @convention(c) () -> OpaquePointer?
  let start: @Sendable @convention(c) (OpaquePointer?, OpaquePointer?, OpaquePointer?) -> Int32
  let free: @Sendable @convention(c) (OpaquePointer?) -> Void
  let takes: @Sendable @convention(c) (AVPixelFormat) -> Int32
  let gives: @Sendable @convention(c) (AVPixelFormat) -> Int32
  let coefficients: @Sendable @convention(c) (Int32) -> UnsafePointer<Int32>?
  let setColours: @Sendable @convention(c) (
    OpaquePointer?, UnsafePointer<Int32>?, Int32, UnsafePointer<Int32>?, Int32, Int32, Int32, Int32
  ) -> Int32
  let convert: @Sendable @convention(c) (
    OpaquePointer?, UnsafePointer<UnsafePointer<UInt8>?>?, UnsafePointer<Int32>?, Int32, Int32,
    UnsafePointer<UnsafeMutablePointer<UInt8>?>?, UnsafePointer<Int32>?
  ) -> Int32

  private static let loaded = Result { () throws(MediaIOError) in try LibSWScale() }

  static func load() throws(MediaIOError) -> LibSWScale { try loaded.get() }

  private init() throws(MediaIOError) {
    av = try LibAV.load()
    let library = try SharedLibrary(
      "libswscale.so.\(LIBSWSCALE_VERSION_MAJOR)", purpose: "video (Debian: apt install libswscale-dev)")
    allocate = try library["sws_alloc_context"]
    start = try library["sws_init_context"]
    free = try library["sws_freeContext"]
    takes = try library["sws_isSupportedInput"]
    gives = try library["sws_isSupportedOutput"]
    coefficients = try library["sws_getCoefficients"]
    setColours = try library["sws_setColorspaceDetails"]
    convert = try library["sws_scale"]
  }
}
