import Glibc

/// In which quality each part of a cache is fetched, or that it is computed anew from the text, and when it is there.
public struct KVPlan: Sendable, Equatable {
  /// A part of a cache that decodes on its own.
  public struct Chunk: Sendable, Equatable {
    /// As the model counts tokens.
    public let positions: Range<Int>
    /// What has to be fetched of each level, the best level first.
    public let bytes: [Int]

    public init(positions: Range<Int>, bytes: [Int]) {
      self.positions = positions
      self.bytes = bytes
    }

    public var tokens: Int { positions.count }
  }

  public enum Choice: Sendable, Equatable {
    /// 0 is the best.
    case level(Int)
    /// The model runs over the text; that needs all parts before this one.
    case recompute
  }

  public struct Step: Sendable, Equatable {
    public let chunk: Chunk
    public let choice: Choice
    /// Bytes that go over the link: those of the level, or the text.
    public let bytes: Int
    /// When this part and all before it are there, in seconds from the start.
    public let ready: Double
  }

  public let steps: [Step]
  /// In seconds from the start.
  public let deadline: Double
  /// 0...100 by level; nil where not known.
  public let qualities: [Int?]

  /// When the whole cache is there, in seconds from the start.
  public var seconds: Double { steps.last?.ready ?? 0 }
  /// Rounding does not make it late.
  public var meetsDeadline: Bool { seconds <= deadline * (1 + 1e-9) }
  /// Over the link.
  public var byteCount: Int { steps.reduce(0) { $0 + $1.bytes } }
  public var recomputedTokens: Int { steps.reduce(0) { $0 + ($1.choice == .recompute ? $1.chunk.tokens : 0) } }

  /// By tokens, what is computed anew counting as 100; nil where a quality is not known, or without tokens.
  public var meanQuality: Double? {
    mean { step in
      guard case .level(let level) = step.choice else { return 100 }
      return qualities[level].map(Double.init)
    }
  }

  /// The quality of which a whole cache would be off by as much, in the mean of squares; nil as `meanQuality`. Always at
  /// most that: the worst parts say most.
  public var evenQuality: Double? {
    mean { step in
      guard case .level(let level) = step.choice else { return 0 }
      return qualities[level].map { KVDistortion.of(quality: Double($0)) }
    }.map { min(100, KVDistortion.quality(of: $0)) }
  }

  private func mean(_ value: (Step) -> Double?) -> Double? {
    var (sum, tokens) = (0.0, 0)
    for step in steps {
      guard let value = value(step) else { return nil }
      sum += value * Double(step.chunk.tokens)
      tokens += step.chunk.tokens
    }
    return tokens > 0 ? sum / Double(tokens) : nil
  }
}

/// What quality means for elements: steps halve every 100 / 6 of it (`KVQuality.rule`), and the squared error is by the
/// square of the step. The KL divergence of a model follows it: measured on SmolLM2-135M, 2^-0.12 to 2^-0.15 a point.
enum KVDistortion {
  /// Against quality 0.
  static func of(quality: Double) -> Double { exp2(-0.12 * quality) }
  /// The inverse; infinite for 0.
  static func quality(of distortion: Double) -> Double { -log2(distortion) / 0.12 }
}
