import Media

/// What a picture loses when its samples are averaged over 2x2 pixels, and those averages over 2x2 again: what its finest latent
/// grids are for.
package struct OverfitDetail {
  /// By level, of the square of samples 0...1: the mean variance within 2x2 blocks. Infinite for pictures without a whole block.
  package let variances: [Double]

  package init(_ image: Image) {
    variances = image.withUnsafeSamples { samples in
      (0..<2).map { level in
        // Sums over `part` x `part` pixels are this level's samples, times `part` squared.
        let part = 1 << level, rows = image.height / (2 * part), columns = image.width / (2 * part), channels = image.channels
        func sum(_ y: Int, _ x: Int, _ c: Int) -> Int {
          var sum = 0
          for dy in 0..<part {
            for dx in 0..<part { sum += Int(samples[((y * part + dy) * image.width + x * part + dx) * channels + c]) }
          }
          return sum
        }
        var total = 0
        for y in 0..<rows {
          for x in 0..<columns {
            for c in 0..<channels {
              let four = [sum(2 * y, 2 * x, c), sum(2 * y, 2 * x + 1, c), sum(2 * y + 1, 2 * x, c), sum(2 * y + 1, 2 * x + 1, c)]
              let mean = four[0] + four[1] + four[2] + four[3]
              total += 4 * (four[0] * four[0] + four[1] * four[1] + four[2] * four[2] + four[3] * four[3]) - mean * mean
            }
          }
        }
        let count = rows * columns * channels
        return count == 0 ? .infinity : Double(total) / (16 * Double(count) * Double(part * part * part * part) * 255 * 255)
      }
    }
  }
}
