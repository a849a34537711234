/// A layer or shape that cannot be: what is wrong, in which layer, and the numbers that say so. Equal by code.
package struct TensorError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: Sendable {
    /// A channel count is zero, negative or above `Shape.maximumChannels`.
    case channelCount
    /// An array's length does not match the channel counts.
    case length
    /// A shift outside its range.
    case shift
    /// `|bias| + 32768 * sum |weights|` of an output channel exceeds 2^31 - 1 (bitstream-spec 6.1).
    case accumulatorBound
    /// A dimension is negative or the element count overflows.
    case dimensions
  }

  package let code: Code
  package let place: String
  package let reason: String

  package init(_ code: Code, in place: String, _ reason: String) {
    self.code = code
    self.place = place
    self.reason = reason
  }

  package static func == (a: TensorError, b: TensorError) -> Bool { a.code == b.code }

  package var description: String { "\(place): \(reason)" }
}
