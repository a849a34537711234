import CLibAV
import Glibc
import Media

extension CopiedTrack {
  /// What libav must know of the track, whose codec it knows as `codec`; false without memory.
  func fill(_ parameters: UnsafeMutablePointer<AVCodecParameters>, _ codec: AVCodecID, _ library: LibAVFormat) -> Bool {
    parameters.pointee.codec_type = AVMEDIA_TYPE_AUDIO
    parameters.pointee.codec_id = codec
    parameters.pointee.sample_rate = Int32(sampleRate)
    if layout.mask == 0 || library.layoutFromMask(&parameters.pointee.ch_layout, layout.mask) < 0 {
      (parameters.pointee.ch_layout.order, parameters.pointee.ch_layout.nb_channels) = (AV_CHANNEL_ORDER_UNSPEC, Int32(layout.count))
    }
    parameters.pointee.bit_rate = Int64(bitRate)
    func small(_ number: Int) -> Int32 { Int32(clamping: number) }
    parameters.pointee.bits_per_coded_sample = small(bitsPerCodedSample)
    parameters.pointee.bits_per_raw_sample = small(bitsPerRawSample)
    parameters.pointee.block_align = small(blockAlign)
    parameters.pointee.frame_size = small(frameSize)
    parameters.pointee.profile = small(profile - 1)
    if profile == 0 { parameters.pointee.profile = FF_PROFILE_UNKNOWN }
    parameters.pointee.initial_padding = small(initialPadding)
    parameters.pointee.seek_preroll = small(seekPreroll)
    if !extradata.isEmpty {
      // libav's readers of bits may look that far beyond.
      guard let memory = library.zeroed(extradata.count + Int(AV_INPUT_BUFFER_PADDING_SIZE)) else { return false }
      extradata.withUnsafeBytes { memory.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
      parameters.pointee.extradata = memory.assumingMemoryBound(to: UInt8.self)
      parameters.pointee.extradata_size = Int32(extradata.count)
    }
    return true
  }
}

extension CopiedPacket {
  /// Puts the packet into an empty one of libav's, in the track's ticks and without what is skipped, until `clearPacket`; gives libav's status.
  func fill(_ space: UnsafeMutablePointer<AVPacket>, _ library: LibAVFormat) -> Int32 {
    guard data.count < Int(Int32.max) - 64 else { return -EINVAL }
    let status = library.av.newPacket(space, Int32(data.count))
    guard status >= 0 else { return status }
    data.withUnsafeBytes { from in
      if let start = from.baseAddress { UnsafeMutableRawPointer(space.pointee.data).copyMemory(from: start, byteCount: from.count) }
    }
    (space.pointee.pts, space.pointee.dts, space.pointee.duration) = (time, decodingTime, duration)
    if isKey { space.pointee.flags |= AV_PKT_FLAG_KEY }
    return status
  }
}
