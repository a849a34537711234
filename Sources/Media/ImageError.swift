/// Why a picture cannot exist. Equal by code.
public struct ImageError: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Code: String, Sendable, Hashable {
    /// A side outside 1...65535.
    case size
    /// An array whose length is not that of the picture.
    case sampleCount
  }

  public let code: Code
  /// The part at fault, such as "alpha".
  public let location: String
  public let reason: String

  public init(_ code: Code, at location: String, _ reason: String) {
    self.code = code
    self.location = location
    self.reason = reason
  }

  public static func == (a: ImageError, b: ImageError) -> Bool { a.code == b.code }
  public func hash(into hasher: inout Hasher) { hasher.combine(code) }
  public var description: String { "\(location): \(reason)" }
}
