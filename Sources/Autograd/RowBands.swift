import Tensors

/// The planes of a variable cut into bands of whole rows: what operators hand to threads. It depends on shapes alone, so
/// sums over bands, taken in their order, do not depend on the number of threads.
package struct RowBands: Sendable {
  package let channels: Int
  package let height: Int
  /// Rows in a band; the last of a plane may have fewer.
  package let rows: Int
  private let perPlane: Int

  /// Bands of about `elements` elements, each in one plane; at least `minimumRows` rows where a band's first rows cost
  /// extra.
  package init(channels: Int, height: Int, width: Int, elements: Int = 16384, minimumRows: Int = 1) {
    self.channels = channels
    self.height = height
    let wanted = max(minimumRows, elements / max(width, 1), 1)
    // Equal shares instead of a small rest.
    perPlane = max(1, (height + wanted / 2) / wanted)
    rows = (height + perPlane - 1) / perPlane
  }

  package init(_ variable: Variable, elements: Int = 16384, minimumRows: Int = 1) {
    self.init(
      channels: variable.channels, height: variable.height, width: variable.width, elements: elements,
      minimumRows: minimumRows)
  }

  package var number: Int { channels * perPlane }

  /// The plane and the rows of band i; the rows may be empty.
  package func band(_ i: Int) -> (channel: Int, rows: Range<Int>) {
    let first = min(i % perPlane * rows, height)
    return (i / perPlane, first..<min(first + rows, height))
  }

  /// `body` gets band, plane and rows, on several threads at once; a small whole runs inline.
  package func forEach(threads: Int, _ body: (Int, Int, Range<Int>) -> Void) {
    parallelFor(number, threads: threads) { i in
      let (channel, rows) = band(i)
      if !rows.isEmpty { body(i, channel, rows) }
    }
  }
}

/// Sums that bands make on their own, `width` of each, added up in the order of the bands.
package final class PartialSums {
  private let width: Int
  private let bands: Int
  private let storage: UnsafeMutablePointer<Double>

  package init(bands: Int, width: Int) {
    self.bands = bands
    self.width = width
    // Rounded up to cache lines, so that threads do not share any.
    storage = .allocate(capacity: bands * Self.stride(width))
    clear()
  }

  deinit { storage.deallocate() }

  private static func stride(_ width: Int) -> Int { (width + 7) / 8 * 8 }

  package func clear() { storage.update(repeating: 0, count: bands * Self.stride(width)) }

  /// The sums of one band, [width]; only its thread may touch them.
  package subscript(band: Int) -> UnsafeMutablePointer<Double> { storage + band * Self.stride(width) }

  package func total(_ i: Int) -> Double {
    var sum = 0.0
    for band in 0..<bands { sum += self[band][i] }
    return sum
  }

  /// Adds the totals from `first` on to a parameter's gradient.
  package func add(to parameter: Parameter, from first: Int = 0) {
    for i in 0..<parameter.count { parameter.gradient[i] += Float(total(first + i)) }
  }
}
