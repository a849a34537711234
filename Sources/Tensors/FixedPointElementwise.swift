import CKernels

/// Per-channel scaling in fixed point; bitstream-spec 6.5.
package struct FixedPointScale: Sendable {
  let multipliers: [Int16]
  package let shift: Int

  /// - Parameters:
  ///   - multipliers: [channel]
  ///   - shift: 1...30 bits, one for the layer
  /// - Throws: `TensorError` (channelCount, shift)
  package init(multipliers: [Int16], shift: Int, name: String = "scale") throws(TensorError) {
    guard (1...Shape.maximumChannels).contains(multipliers.count) else {
      throw TensorError(.channelCount, in: name, "\(multipliers.count) channels")
    }
    guard (1...30).contains(shift) else { throw TensorError(.shift, in: name, "shift \(shift), not 1...30") }
    (self.multipliers, self.shift) = (multipliers, shift)
  }

  /// `x` is [H, W, C]; `y` becomes the same shape and may be `x`.
  package func apply(_ x: Tensor<Int16>, into y: Tensor<Int16>, threads: Int, kernels: Kernels = .current) {
    let channels = multipliers.count
    precondition(x.shape.channels == channels, "\(x.shape) into \(channels) channels")
    if y !== x { y.reshape(to: x.shape) }
    let bands = Bands.positions(x.shape.positions)
    parallelFor(bands.number, threads: threads) { band in
      let range = bands.range(band)
      let offset = range.lowerBound * channels
      kernels.table.pointee.scale_i16(
        x.pointer + offset, multipliers, Int32(shift), y.pointer + offset, range.count, channels)
    }
  }
}

extension Tensor where Element == Int16 {
  /// `self = sat16(self + other)`, elementwise.
  package func add(_ other: Tensor<Int16>, kernels: Kernels = .current) {
    precondition(shape == other.shape, "\(shape) and \(other.shape)")
    kernels.table.pointee.add_i16(pointer, other.pointer, pointer, shape.count)
  }

  /// `self = max(self, self >> 2)`, elementwise.
  package func applyLeaky(kernels: Kernels = .current) {
    kernels.table.pointee.leaky_i16(pointer, pointer, shape.count)
  }

  /// Pixel shuffle by 8 fused with `clamp((v + 2^(shift-1)) >> shift, 0, 255)` (no rounding term at shift 0) and with
  /// cropping to `height` x `width`. `self` is [ceil(height/8), ceil(width/8), 64 * channels]; `bytes` receives rows of
  /// `width * channels` bytes, `stride` bytes apart.
  package func shuffle8(
    intoBytes bytes: UnsafeMutableBufferPointer<UInt8>, stride: Int, height: Int, width: Int, channels: Int,
    shift: Int, threads: Int, kernels: Kernels = .current
  ) {
    precondition(
      shape.height == (height + 7) / 8 && shape.width == (width + 7) / 8 && shape.channels == 64 * channels,
      "\(shape) for \(height)x\(width)x\(channels)")
    precondition((0...15).contains(shift), "shift")
    guard height > 0, width > 0 else { return }
    precondition(
      stride >= width * channels && bytes.count >= (height - 1) * stride + width * channels, "too few bytes")
    let bands = Bands(count: height, size: 8)
    parallelFor(bands.number, threads: threads) { band in
      let range = bands.range(band)
      nc_shuffle8_u8(
        kernels.table, pointer, shape.width, channels, Int32(shift), bytes.baseAddress!, stride, width,
        range.lowerBound, range.upperBound)
    }
  }
}

extension Tensor {
  /// [H, W, C] to [H/k, W/k, k*k*C]; bitstream-spec 6.4. H and W must be multiples of k. Inverse of `shuffle`.
  package func unshuffle(by k: Int, into y: Tensor<Element>, threads: Int) {
    precondition(y !== self && k >= 1 && shape.height % k == 0 && shape.width % k == 0, "\(shape) unshuffled by \(k)")
    let (rows, columns, channels) = (shape.height / k, shape.width / k, shape.channels)
    y.reshape(to: Shape(rows, columns, k * k * channels))
    let line = columns * k * k * channels
    parallelFor(rows, threads: threads) { row in
      nc_unshuffle(
        pointer + row * line, y.pointer + row * line, MemoryLayout<Element>.stride, 1, columns, channels, k)
    }
  }

  /// [H, W, k*k*C] to [H*k, W*k, C]; bitstream-spec 6.4. Inverse of `unshuffle`.
  package func shuffle(by k: Int, into y: Tensor<Element>, threads: Int) {
    precondition(y !== self && k >= 1 && shape.channels % (k * k) == 0, "\(shape) shuffled by \(k)")
    let channels = shape.channels / (k * k)
    y.reshape(to: Shape(shape.height * k, shape.width * k, channels))
    let line = shape.width * shape.channels
    parallelFor(shape.height, threads: threads) { row in
      nc_shuffle(
        pointer + row * line, y.pointer + row * line, MemoryLayout<Element>.stride, 1, shape.width, channels, k)
    }
  }
}
