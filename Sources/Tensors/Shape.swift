import CKernels

/// Height, width and channels of a tensor, stored [height, width, channels] with channels fastest.
package struct Shape: Hashable, Sendable, CustomStringConvertible {
  /// The most channels that any kernel takes.
  package static let maximumChannels = Int(NC_MAX_CHANNELS)

  package let height: Int
  package let width: Int
  package let channels: Int

  /// Dimensions must not be negative and their product must fit `Int`; see `init(checking:_:_:)` for values from a file.
  package init(_ height: Int, _ width: Int, _ channels: Int) {
    precondition(height >= 0 && width >= 0 && channels >= 0, "negative dimension")
    precondition(Shape.product(height, width, channels) != nil, "element count overflows")
    (self.height, self.width, self.channels) = (height, width, channels)
  }

  /// The same for untrusted numbers; throws `TensorError.Code.dimensions`.
  package init(checking height: Int, _ width: Int, _ channels: Int) throws(TensorError) {
    guard height >= 0, width >= 0, channels >= 0, Shape.product(height, width, channels) != nil else {
      throw TensorError(.dimensions, in: "Shape", "\(height)x\(width)x\(channels) is no shape")
    }
    (self.height, self.width, self.channels) = (height, width, channels)
  }

  package var positions: Int { height * width }
  package var count: Int { height * width * channels }
  package var description: String { "\(height)x\(width)x\(channels)" }

  package func with(channels: Int) -> Shape { Shape(height, width, channels) }

  /// Nil where the product, in bytes of 8-byte elements, would not fit `Int`.
  private static func product(_ a: Int, _ b: Int, _ c: Int) -> Int? {
    let (ab, overflow) = a.multipliedReportingOverflow(by: b)
    let (abc, overflow2) = ab.multipliedReportingOverflow(by: c)
    return overflow || overflow2 || abc > Int.max / 16 ? nil : abc
  }
}
