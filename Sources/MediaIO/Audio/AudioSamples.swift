import CLibAV
import Media

/// Between a frame's samples and planes of floats, full scale -1...1.
enum AudioSamples {
  /// `[channel][frame]` of a decoded frame. Integers of n bits are divided by 2^(n - 1).
  ///
  /// Nil for a sample format that is not known here.
  static func floats(of frame: UnsafePointer<AVFrame>, channels: Int) -> [[Float]]? {
    let count = Int(frame.pointee.nb_samples)
    guard let data = frame.pointee.extended_data else { return nil }

    func planes<T>(_ isPlanar: Bool, _ type: T.Type, _ convert: (T) -> Float) -> [[Float]]? {
      var result: [[Float]] = []
      for channel in 0..<channels {
        guard let bytes = data[isPlanar ? channel : 0] else { return count == 0 ? [[Float]](repeating: [], count: channels) : nil }
        let (first, step) = isPlanar ? (0, 1) : (channel, channels)
        bytes.withMemoryRebound(to: type, capacity: max(1, count * step)) { samples in
          result.append([Float](unsafeUninitializedCapacity: count) { plane, filled in
            for i in 0..<count { plane[i] = convert(samples[first + i * step]) }
            filled = count
          })
        }
      }
      return result
    }

    switch AVSampleFormat(rawValue: frame.pointee.format) {
    case AV_SAMPLE_FMT_U8: return planes(false, UInt8.self) { Float(Int($0) - 128) / 128 }
    case AV_SAMPLE_FMT_U8P: return planes(true, UInt8.self) { Float(Int($0) - 128) / 128 }
    case AV_SAMPLE_FMT_S16: return planes(false, Int16.self) { Float($0) / 32_768 }
    case AV_SAMPLE_FMT_S16P: return planes(true, Int16.self) { Float($0) / 32_768 }
    case AV_SAMPLE_FMT_S32: return planes(false, Int32.self) { Float($0) / 0x1p31 }
    case AV_SAMPLE_FMT_S32P: return planes(true, Int32.self) { Float($0) / 0x1p31 }
    case AV_SAMPLE_FMT_S64: return planes(false, Int64.self) { Float($0) / 0x1p63 }
    case AV_SAMPLE_FMT_S64P: return planes(true, Int64.self) { Float($0) / 0x1p63 }
    case AV_SAMPLE_FMT_FLT: return planes(false, Float.self) { $0 }
    case AV_SAMPLE_FMT_FLTP: return planes(true, Float.self) { $0 }
    case AV_SAMPLE_FMT_DBL: return planes(false, Double.self) { Float($0) }
    case AV_SAMPLE_FMT_DBLP: return planes(true, Double.self) { Float($0) }
    default: return nil
    }
  }

  /// Fills a frame with `samples` `[channel][frame]`, its inverse. Integers are rounded to nearest; what lies beyond full scale
  /// becomes its end. Returns how many samples that were, or nil for a sample format that is not known here.
  ///
  /// `bits`: how many of a 32-bit integer's upper bits count.
  static func fill(
    _ frame: UnsafeMutablePointer<AVFrame>, with samples: [[Float]], range: Range<Int>, bits: Int
  ) -> Int? {
    let channels = samples.count
    guard let data = frame.pointee.extended_data else { return nil }
    var clipped = 0

    func write<T>(_ isPlanar: Bool, _ type: T.Type, _ convert: (Float) -> T) -> Int? {
      for channel in 0..<channels {
        guard let bytes = data[isPlanar ? channel : 0] else { return nil }
        let (first, step) = isPlanar ? (0, 1) : (channel, channels)
        bytes.withMemoryRebound(to: type, capacity: max(1, range.count * step)) { out in
          samples[channel].withUnsafeBufferPointer { plane in
            for (i, at) in range.enumerated() { out[first + i * step] = convert(plane[at]) }
          }
        }
      }
      return clipped
    }
    func integer(_ value: Float, _ scale: Double) -> Int {
      let scaled = (Double(value) * scale).rounded()
      if scaled >= scale {
        // Full scale itself is one step too high, which nobody hears.
        if value > 1 { clipped += 1 }
        return Int(scale) - 1
      }
      if scaled < -scale {
        clipped += 1
        return Int(-scale)
      }
      return Int(scaled)
    }

    let (scale, shift) = (Double(1 << (bits - 1)), 32 - bits)
    switch AVSampleFormat(rawValue: frame.pointee.format) {
    case AV_SAMPLE_FMT_S16: return write(false, Int16.self) { Int16(integer($0, 32_768)) }
    case AV_SAMPLE_FMT_S16P: return write(true, Int16.self) { Int16(integer($0, 32_768)) }
    case AV_SAMPLE_FMT_S32: return write(false, Int32.self) { Int32(integer($0, scale) << shift) }
    case AV_SAMPLE_FMT_S32P: return write(true, Int32.self) { Int32(integer($0, scale) << shift) }
    case AV_SAMPLE_FMT_FLT: return write(false, Float.self) { $0 }
    case AV_SAMPLE_FMT_FLTP: return write(true, Float.self) { $0 }
    default: return nil
    }
  }
}
