import Tensors

/// y = gain * (x - mean) / sqrt(variance + 1e-6) + bias, mean and variance over the channels of each pixel (LayerNorm of ConvNeXt).
package final class ChannelNorm: Operation {
  package let x: Variable
  package let y: Variable
  /// [1, channels]
  package let gain: Parameter
  /// [1, channels]
  package let bias: Parameter
  private let bands: RowBands
  private let sums: PartialSums

  /// - Parameter y: shaped as x; not x itself.
  package init(_ x: Variable, into y: Variable, gain: Parameter, bias: Parameter) {
    precondition(y.hasShape(of: x) && y.value != x.value, "a norm keeps the shape, and its input")
    precondition(gain.count == x.channels && bias.count == x.channels, "one gain and bias a channel")
    self.x = x
    self.y = y
    self.gain = gain
    self.bias = bias
    bands = RowBands(channels: 1, height: x.height, width: x.width * x.channels, elements: 65536)
    sums = PartialSums(bands: bands.number, width: 2 * x.channels)
  }

  package var targets: [Variable] { x.gradient == nil ? [] : [x] }
  package var parameters: [Parameter] { [gain, bias] }

  package func forward(_ pass: Pass) {
    bands.forEach(threads: pass.threads) { _, _, rows in
      pass.kernels.pointee.channel_norm(
        gain.value, bias.value, x.value, y.value, x.planeStride, x.pitch, x.channels, x.width, rows.lowerBound, rows.upperBound)
    }
  }

  package func backward(_ pass: Pass) {
    let adds = x.gradient != nil && pass.accumulates(0)
    sums.clear()
    bands.forEach(threads: pass.threads) { i, _, rows in
      pass.kernels.pointee.channel_norm_back(
        gain.value, x.value, x.gradient, y.gradient!, x.planeStride, x.pitch, x.channels, x.width, rows.lowerBound, rows.upperBound,
        sums[i], sums[i] + x.channels, adds)
    }
    sums.add(to: gain)
    sums.add(to: bias, from: x.channels)
  }
}

/// y = a + factor * b, a factor for each channel (the layer scale of ConvNeXt).
package final class ScaledSum: Operation {
  package let a: Variable
  package let b: Variable
  package let y: Variable
  /// [1, channels]
  package let factors: Parameter
  private let bands: RowBands
  private let sums: PartialSums

  /// All of one shape; a and b have gradients.
  package init(_ a: Variable, _ b: Variable, into y: Variable, factors: Parameter) {
    precondition(a.hasShape(of: b) && y.hasShape(of: a) && factors.count == a.channels, "summands have one shape")
    self.a = a
    self.b = b
    self.y = y
    self.factors = factors
    bands = RowBands(a, elements: 32768)
    sums = PartialSums(bands: bands.number, width: 1)
  }

  package var targets: [Variable] { [a, b] }
  package var parameters: [Parameter] { [factors] }

  package func forward(_ pass: Pass) {
    bands.forEach(threads: pass.threads) { _, c, rows in
      let at = a.offset(channel: c, row: rows.lowerBound)
      pass.kernels.pointee.scaled_sum(factors.value[c], a.value + at, b.value + at, y.value + at, a.pitch, a.width, rows.count)
    }
  }

  package func backward(_ pass: Pass) {
    let (addsToA, addsToB) = (pass.accumulates(0), pass.accumulates(1))
    sums.clear()
    bands.forEach(threads: pass.threads) { i, c, rows in
      let at = a.offset(channel: c, row: rows.lowerBound)
      let gy = y.gradient! + at
      sums[i][0] = pass.kernels.pointee.scaled_sum_back(
        factors.value[c], b.value + at, gy, b.gradient! + at, a.pitch, a.width, rows.count, addsToB)
      pass.kernels.pointee.pass_on(gy, a.gradient! + at, a.pitch, a.width, rows.count, addsToA)
    }
    for i in 0..<bands.number { factors.gradient[bands.band(i).channel] += Float(sums[i][0]) }
  }
}
