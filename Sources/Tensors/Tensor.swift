import Glibc

/// Values in [height, width, channels], channels fastest, in 64-byte aligned memory that the tensor owns.
///
/// Sendable by agreement, not by proof: whoever writes a tensor is its only user until the write is done. Layers keep
/// to this by writing disjoint rows from different threads and by joining them before they return.
package final class Tensor<Element: BitwiseCopyable>: @unchecked Sendable {
  package private(set) var shape: Shape
  /// Valid for `shape.count` elements; moves when `reshape` grows the tensor.
  package private(set) var pointer: UnsafeMutablePointer<Element>
  private var capacity: Int

  /// A tensor of uninitialised values, for outputs that are written completely.
  package init(uninitialized shape: Shape) {
    self.shape = shape
    capacity = max(shape.count, 1)
    pointer = Tensor.allocate(capacity)
  }

  /// All bits zero, which is 0 for every element type in use.
  package convenience init(zeros shape: Shape) {
    self.init(uninitialized: shape)
    memset(pointer, 0, shape.count * MemoryLayout<Element>.stride)
  }

  /// `values` in [height, width, channels] order, exactly `shape.count` of them.
  package convenience init(_ shape: Shape, _ values: [Element]) {
    precondition(values.count == shape.count, "\(values.count) values for shape \(shape)")
    self.init(uninitialized: shape)
    values.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { pointer.initialize(from: base, count: source.count) }
    }
  }

  deinit { UnsafeMutableRawPointer(pointer).deallocate() }

  /// Takes a new shape with undefined values, keeping the memory where it is large enough: scratch tensors are reused
  /// from tile to tile and picture to picture.
  package func reshape(to shape: Shape) {
    if shape.count > capacity {
      UnsafeMutableRawPointer(pointer).deallocate()
      capacity = shape.count
      pointer = Tensor.allocate(capacity)
    }
    self.shape = shape
  }

  package subscript(row: Int, column: Int, channel: Int) -> Element {
    get { pointer[index(row, column, channel)] }
    set { pointer[index(row, column, channel)] = newValue }
  }

  /// A copy of the values in [height, width, channels] order.
  package var values: [Element] { Array(UnsafeBufferPointer(start: pointer, count: shape.count)) }

  package var buffer: UnsafeMutableBufferPointer<Element> {
    UnsafeMutableBufferPointer(start: pointer, count: shape.count)
  }

  /// The first channel of a position.
  @inline(__always)
  func row(_ row: Int, column: Int = 0) -> UnsafeMutablePointer<Element> {
    pointer + (row * shape.width + column) * shape.channels
  }

  private func index(_ row: Int, _ column: Int, _ channel: Int) -> Int {
    precondition(
      row >= 0 && row < shape.height && column >= 0 && column < shape.width && channel >= 0
        && channel < shape.channels, "(\(row), \(column), \(channel)) outside \(shape)")
    return (row * shape.width + column) * shape.channels + channel
  }

  private static func allocate(_ count: Int) -> UnsafeMutablePointer<Element> {
    let byteCount = count * MemoryLayout<Element>.stride
    // Large tensors ask for huge pages: faulting in 4 kB at a time took a seventh of a decoding.
    let isLarge = byteCount >= 4 << 20
    let memory = UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: isLarge ? 2 << 20 : 64)
    if isLarge { madvise(memory, byteCount, MADV_HUGEPAGE) }
    return memory.bindMemory(to: Element.self, capacity: count)
  }
}

/// Immutable aligned values, such as packed weights.
final class Constants<Element: BitwiseCopyable & Sendable>: @unchecked Sendable {
  let pointer: UnsafeMutablePointer<Element>
  let count: Int

  /// `fill` initialises all `count` elements; nothing changes them afterwards.
  init(count: Int, fill: (UnsafeMutablePointer<Element>) -> Void) {
    self.count = count
    pointer = UnsafeMutableRawPointer.allocate(
      byteCount: max(count, 1) * MemoryLayout<Element>.stride, alignment: 64
    ).bindMemory(to: Element.self, capacity: max(count, 1))
    fill(pointer)
  }

  convenience init(_ values: [Element], paddedTo count: Int, with filler: Element) {
    self.init(count: count) { pointer in
      for i in 0..<count { pointer[i] = i < values.count ? values[i] : filler }
    }
  }

  deinit { UnsafeMutableRawPointer(pointer).deallocate() }
}
