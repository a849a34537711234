import CLibAV
import Media

/// Changes the sample rate of sound, piece by piece, through libswresample. Sample 0 stays at time 0.
///
/// n frames become `frames(n, from:to:)`, or as many as `finish(frames:)` says.
package final class AudioResampler {
  /// Of what `convert` and `finish` give.
  package let format: AudioFormat
  private let source: AudioFormat
  private let library: LibSWResample
  private var context: OpaquePointer?
  private var taken = 0
  private var given = 0

  /// libswresample's limit.
  private static let maximumChannels = 64

  /// ceil(n * to / from): as long as the sound, or less than a sample longer.
  package static func frames(_ n: Int, from: Int, to: Int) -> Int {
    let (high, low) = n.multipliedFullWidth(by: to)
    let (quotient, remainder) = from.dividingFullWidth((high, low))
    return quotient + (remainder > 0 ? 1 : 0)
  }

  /// Throws `MediaIOError` (unsupported): for more than 64 channels, and where libswresample is not installed.
  package init(_ source: AudioFormat, to sampleRate: Int) throws {
    let channels = source.layout.count
    guard channels <= Self.maximumChannels else {
      throw MediaIOError(.unsupported, at: "resampling", "\(channels) channels, of which \(Self.maximumChannels) are possible")
    }
    self.source = source
    format = try AudioFormat(sampleRate: sampleRate, layout: source.layout)
    library = try LibSWResample.load()
    // Which loudspeaker a channel is for does not matter here.
    var layout = AVChannelLayout()
    (layout.order, layout.nb_channels) = (AV_CHANNEL_ORDER_UNSPEC, Int32(channels))
    var from = layout
    var status = library.setUp(
      &context, &layout, AV_SAMPLE_FMT_FLTP, Int32(sampleRate), &from, AV_SAMPLE_FMT_FLTP, Int32(source.sampleRate), 0, nil)
    guard status >= 0, let context else { throw failure(status) }
    // Longer than its default of 32, and so steeper below the lower of both Nyquist frequencies.
    for (name, value) in [("filter_size", "64"), ("cutoff", "0.975")] {
      status = library.av.setOption(UnsafeMutableRawPointer(context), name, value, 0)
      guard status >= 0 else { throw failure(status) }
    }
    status = library.start(context)
    guard status >= 0 else { throw failure(status) }
  }

  deinit { library.free(&context) }

  /// What is known so far of the sound at the new rate; it lags a little. Throws `MediaIOError`.
  package func convert(_ buffer: AudioBuffer) throws -> AudioBuffer {
    precondition(buffer.format == source, "of the format that this was made for")
    taken += buffer.frames
    return try run(buffer.samples, frames: buffer.frames, limit: .max)
  }

  /// The rest, so that `frames` have come in all; nil: as long as what went in. Nothing can be converted after it.
  package func finish(frames: Int? = nil) throws -> AudioBuffer {
    let wanted = frames ?? Self.frames(taken, from: source.sampleRate, to: format.sampleRate)
    var rest = try run(nil, frames: 0, limit: max(0, wanted - given)).samples
    // The filter's tail ends up to a few samples early; the sound is faded out by then.
    let missing = wanted - given
    if missing > 0 {
      for channel in rest.indices { rest[channel] += [Float](repeating: 0, count: missing) }
      given = wanted
    }
    return try AudioBuffer(format: format, samples: rest)
  }

  /// Nil for samples: drains the filter.
  private func run(_ samples: [[Float]]?, frames: Int, limit: Int) throws -> AudioBuffer {
    let channels = format.layout.count
    let room = Self.frames(frames + 256, from: source.sampleRate, to: format.sampleRate) + 256
    var out = [[Float]](repeating: [], count: channels)
    var input: [UnsafeMutablePointer<Float>] = []
    defer { for plane in input { plane.deallocate() } }
    for plane in samples ?? [] {
      let copy = UnsafeMutablePointer<Float>.allocate(capacity: max(1, plane.count))
      plane.withUnsafeBufferPointer { if let from = $0.baseAddress { copy.initialize(from: from, count: $0.count) } }
      input.append(copy)
    }
    let output = (0..<channels).map { _ in UnsafeMutablePointer<Float>.allocate(capacity: room) }
    defer { for plane in output { plane.deallocate() } }
    while true {
      var to = output.map { Optional(UnsafeMutableRawPointer($0).assumingMemoryBound(to: UInt8.self)) }
      var from = input.map { Optional(UnsafePointer(UnsafeMutableRawPointer($0).assumingMemoryBound(to: UInt8.self))) }
      // Without input it drains the filter, which belongs to the end alone.
      let got =
        samples == nil
        ? library.convert(context, &to, Int32(room), nil, 0) : library.convert(context, &to, Int32(room), &from, Int32(frames))
      guard got >= 0 else { throw failure(got) }
      let count = min(Int(got), limit - out[0].count)
      for channel in 0..<channels { out[channel] += UnsafeBufferPointer(start: output[channel], count: count) }
      if samples != nil || got == 0 || out[0].count == limit { break }
    }
    given += out[0].count
    return try AudioBuffer(format: format, samples: out)
  }

  private func failure(_ status: Int32) -> MediaIOError {
    MediaIOError(.unsupported, at: "resampling", "\(source.sampleRate) to \(format.sampleRate) Hz: \(library.av.reason(status))")
  }
}

/// libswresample, loaded when a sample rate has to change.
struct LibSWResample: Sendable {
  let av: LibAV
  let setUp: @Sendable @convention(c) (
    UnsafeMutablePointer<OpaquePointer?>?, UnsafeMutablePointer<AVChannelLayout>?, AVSampleFormat, Int32,
    UnsafeMutablePointer<AVChannelLayout>?, AVSampleFormat, Int32, Int32, UnsafeMutableRawPointer?
  ) -> Int32
  let start: @Sendable @convention(c) (OpaquePointer?) -> Int32
  let free: @Sendable @convention(c) (UnsafeMutablePointer<OpaquePointer?>?) -> Void
  let convert: @Sendable @convention(c) (
    OpaquePointer?, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?, Int32, UnsafeMutablePointer<UnsafePointer<UInt8>?>?, Int32
  ) -> Int32

  private static let loaded = Result { () throws(MediaIOError) in try LibSWResample() }

  static func load() throws(MediaIOError) -> LibSWResample { try loaded.get() }

  private init() throws(MediaIOError) {
    av = try LibAV.load()
    let library = try SharedLibrary(
      "libswresample.so.\(LIBSWRESAMPLE_VERSION_MAJOR)", purpose: "other sample rates (Debian: apt install libswresample-dev)")
    setUp = try library["swr_alloc_set_opts2"]
    start = try library["swr_init"]
    free = try library["swr_free"]
    convert = try library["swr_convert"]
  }
}
