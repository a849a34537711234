/// Planes of float32, [channels, height, width], with room around each so that vector code needs no special cases.
///
/// Rows are `pitch` floats apart and planes `planeStride`. At least `Variable.margin` floats lie left and right of each
/// row, and `Variable.marginRows` rows above and below each plane (neighbouring rows and planes share them). Element
/// (0, 0, 0) and so every row's start is 64-byte aligned. In a value every margin is zero and stays so: operators may
/// store only zeros there. In a gradient margins may hold rubbish, finite or not.
///
/// A view shares a range of another variable's channels, so that joining planes costs nothing.
package final class Variable {
  package static let margin = 16
  package static let marginRows = 4

  package let name: String
  package let channels: Int
  package let height: Int
  package let width: Int
  /// Floats between the starts of two rows: a multiple of 16, at least width + 16.
  package let pitch: Int
  /// Floats between the starts of two planes.
  package let planeStride: Int
  /// Points at element (0, 0, 0).
  package let value: UnsafeMutablePointer<Float>
  /// The loss's derivative, laid out as `value`; nil for a constant.
  package let gradient: UnsafeMutablePointer<Float>?

  /// What views of one another share, and where this one's channels start in it.
  let storage: PlaneStorage
  let firstChannel: Int

  package init(_ name: String, channels: Int, height: Int, width: Int, hasGradient: Bool = true) {
    precondition(channels >= 1 && height >= 1 && width >= 1, "a variable needs planes")
    self.name = name
    self.channels = channels
    self.height = height
    self.width = width
    pitch = (width + 15) / 16 * 16 + Self.margin
    planeStride = (height + Self.marginRows) * pitch
    storage = PlaneStorage(
      channels: channels, planeStride: planeStride, lead: Self.marginRows * pitch + Self.margin, hasGradient: hasGradient)
    firstChannel = 0
    value = storage.value
    gradient = storage.gradient
  }

  private init(_ name: String, of whole: Variable, channels range: Range<Int>) {
    precondition(!range.isEmpty && range.lowerBound >= 0 && range.upperBound <= whole.channels, "a view lies inside")
    self.name = name
    channels = range.count
    height = whole.height
    width = whole.width
    pitch = whole.pitch
    planeStride = whole.planeStride
    storage = whole.storage
    firstChannel = whole.firstChannel + range.lowerBound
    value = whole.value + range.lowerBound * whole.planeStride
    gradient = whole.gradient.map { $0 + range.lowerBound * whole.planeStride }
  }

  /// A range of the channels, sharing value and gradient.
  package func view(_ channels: Range<Int>, name: String? = nil) -> Variable {
    Variable(name ?? "\(self.name)\(channels)", of: self, channels: channels)
  }

  package var count: Int { channels * height * width }

  package func hasShape(of other: Variable) -> Bool {
    channels == other.channels && height == other.height && width == other.width
  }

  package func offset(channel: Int, row: Int) -> Int { channel * planeStride + row * pitch }

  package subscript(channel: Int, row: Int, column: Int) -> Float {
    get { value[offset(channel: channel, row: row) + column] }
    set { value[offset(channel: channel, row: row) + column] = newValue }
  }

  /// Sets the value from dense [channels, height, width] elements.
  package func load(_ elements: [Float]) {
    precondition(elements.count == count, "\(name) has \(count) elements")
    elements.withUnsafeBufferPointer { source in
      forEachRow { offset, first in
        (value + offset).update(from: source.baseAddress! + first, count: width)
      }
    }
  }

  /// The value as dense [channels, height, width] elements; the inverse of `load`.
  package var elements: [Float] { dense(value) }
  /// The gradient as dense [channels, height, width] elements.
  package var gradientElements: [Float] { dense(gradient!) }

  private func dense(_ source: UnsafeMutablePointer<Float>) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      forEachRow { offset, first in
        (buffer.baseAddress! + first).initialize(from: source + offset, count: width)
      }
      initialized = count
    }
  }

  /// `body` gets each row's offset from `value` and the number of dense elements before it.
  private func forEachRow(_ body: (Int, Int) -> Void) {
    for c in 0..<channels {
      for y in 0..<height { body(offset(channel: c, row: y), (c * height + y) * width) }
    }
  }

  func zeroGradient() {
    guard let gradient else { return }
    for c in 0..<channels { (gradient + c * planeStride).update(repeating: 0, count: height * pitch - Self.margin) }
  }
}

/// The memory of a variable and its views.
final class PlaneStorage {
  let channels: Int
  let value: UnsafeMutablePointer<Float>
  let gradient: UnsafeMutablePointer<Float>?
  private let valueBase: UnsafeMutableRawPointer
  private let gradientBase: UnsafeMutableRawPointer?

  /// `lead` floats lie before element (0, 0, 0).
  init(channels: Int, planeStride: Int, lead: Int, hasGradient: Bool) {
    self.channels = channels
    let floats = lead + channels * planeStride
    valueBase = alignedZeros(floats)
    gradientBase = hasGradient ? alignedZeros(floats) : nil
    value = valueBase.assumingMemoryBound(to: Float.self) + lead
    gradient = gradientBase.map { $0.assumingMemoryBound(to: Float.self) + lead }
  }

  deinit {
    valueBase.deallocate()
    gradientBase?.deallocate()
  }
}

/// 64-byte aligned zeros; the owner deallocates them.
func alignedZeros(_ floats: Int) -> UnsafeMutableRawPointer {
  let bytes = max(floats, 1) * MemoryLayout<Float>.stride
  let base = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
  base.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
  return base
}
