import Coding
import Media

/// The SHA-256 that a chunk of a store, or a root of chunks, goes by.
///
///     root    H(its description)
///     chunk   H(the key before it, the ids of its tokens as 64 bits each, little-endian)
///
/// So a key stands for everything that a chunk's elements follow from: the model, the coding and all tokens up to its end.
struct KVStoreKey: Hashable, Comparable, Sendable {
  /// 64 lower-case hexadecimal digits.
  let text: String

  private static let digits = Array("0123456789abcdef".utf8)

  private init(hashing bytes: [UInt8]) {
    text = String(decoding: KVDigest.sha256(bytes).flatMap { [Self.digits[Int($0 >> 4)], Self.digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// Nil for what is no key.
  init?(_ text: some StringProtocol) {
    guard text.utf8.count == 64, text.utf8.allSatisfy({ Self.digits.contains($0) }) else { return nil }
    self.text = String(text)
  }

  init(of description: String) { self.init(hashing: Array(description.utf8)) }

  /// The key of a chunk behind this one.
  func next(_ tokens: some Collection<Int64>) -> KVStoreKey {
    var bytes = Array(text.utf8)
    bytes.reserveCapacity(bytes.count + 8 * tokens.count)
    for token in tokens { withUnsafeBytes(of: token.littleEndian) { bytes.append(contentsOf: $0) } }
    return KVStoreKey(hashing: bytes)
  }

  static func < (a: KVStoreKey, b: KVStoreKey) -> Bool { a.text < b.text }
}

/// A chunk's file: its key, then that of the one before it, so that a folder's names tell the tree.
struct KVStoreName: Hashable, Sendable {
  let key: KVStoreKey
  let parent: KVStoreKey

  var text: String { "\(key.text)-\(parent.text).ncb" }

  init(key: KVStoreKey, parent: KVStoreKey) { (self.key, self.parent) = (key, parent) }

  /// Nil for what is no chunk's name.
  init?(_ text: String) {
    guard text.hasSuffix(".ncb") else { return nil }
    let parts = text.dropLast(4).split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let key = KVStoreKey(parts[0]), let parent = KVStoreKey(parts[1]) else { return nil }
    self.init(key: key, parent: parent)
  }
}

/// What all chunks of one tree share, as lines of text, from which its key follows:
///
///     nccodec KV store 1
///     fingerprint SmolLM2-135M-Instruct.Q4_1.gguf
///     model SmolLM2-135M-Instruct.Q4_1.gguf
///     coding quality 50
///     chunk 256
///     keys rotated interleaved 100000.0
///     layers 30 keys 3x64 float16 values 3x64 float16
///
/// with a line `layers` for each run of equal layers.
struct KVStoreRoot: Hashable, Sendable {
  static let fileName = "root"
  static let maximumBytes = 1 << 20
  private static let firstLine = "nccodec KV store 1"

  let fingerprint: String
  let model: String
  /// "lossless", or "quality" and a number, and from effort 5 on "adaptive", or "profile" and the profile's short hash.
  let coding: String
  /// 1...65536
  let chunkTokens: Int
  let description: String
  var key: KVStoreKey { KVStoreKey(of: description) }

  /// Throws `CodecError` for options that make no sense in a store, and for a cache whose model has no name.
  init(_ cache: KVCache, _ options: KVStore.Options) throws(CodecError) {
    model = cache.model
    fingerprint = options.fingerprint ?? cache.model
    guard !fingerprint.isEmpty else {
      throw CodecError(
        .invalidOption, "the cache does not name its model, and caches of different models must not be mixed. Give the model's name, or a fingerprint of its weights.")
    }
    guard fingerprint.utf8.count <= 1024 else { throw CodecError(.invalidOption, "a fingerprint has more than 1024 bytes") }
    chunkTokens = options.encoder.chunkTokens
    coding = try Self.coding(options.encoder)
    var lines = [
      Self.firstLine, "fingerprint \(Self.escaped(fingerprint))", "model \(Self.escaped(model))", "coding \(coding)",
      "chunk \(chunkTokens)", "keys \(cache.keysAreRotated ? "rotated" : "plain") \(cache.rope.rawValue) \(cache.ropeBase)",
    ]
    func shape(_ tensor: KVTensor) -> String { "\(tensor.heads)x\(tensor.channels) \(tensor.element)" }
    var runs: [(count: Int, text: String)] = []
    for layer in cache.layers {
      let text = "keys \(shape(layer.keys))" + (layer.values.map { " values \(shape($0))" } ?? "")
      if let last = runs.last, last.text == text {
        runs[runs.count - 1].count += 1
      } else {
        runs.append((1, text))
      }
    }
    lines += runs.map { "layers \($0.count) \($0.text)" }
    description = lines.joined(separator: "\n") + "\n"
  }

  /// Reads a description. Nil where it is none, or not the one that `key` is of.
  init?(_ bytes: [UInt8], key: KVStoreKey) {
    guard let text = String(validating: bytes, as: UTF8.self), KVStoreKey(of: text) == key else { return nil }
    description = text
    let lines = text.split(separator: "\n", maxSplits: 6, omittingEmptySubsequences: false)
    func value(_ line: Int, _ name: String) -> String? {
      guard lines.count == 7, lines[line].hasPrefix(name + " ") else { return nil }
      return String(lines[line].dropFirst(name.count + 1))
    }
    guard let first = lines.first, first == Self.firstLine, let fingerprint = value(1, "fingerprint"), let model = value(2, "model"),
      let coding = value(3, "coding"), let chunk = value(4, "chunk").flatMap({ Int($0) }), (1...65_536).contains(chunk)
    else { return nil }
    (self.fingerprint, self.model, self.coding, chunkTokens) = (Self.unescaped(fingerprint), Self.unescaped(model), coding, chunk)
  }

  private static let profileWord = "profile"

  /// The short hash of the profile that chunks need; nil for none.
  var profile: String? {
    let words = coding.split(separator: " ")
    return words.count == 4 && words[2] == Self.profileWord ? String(words[3]) : nil
  }

  /// What of the encoder's options decides on a chunk's elements; the result does not depend on threads.
  static func coding(_ options: KVCacheEncoder.Options) throws(CodecError) -> String {
    switch options.target {
    case .lossless: return "lossless"
    case .cacheGen(let variant, let level): return "cachegen \(variant.rawValue) \(level)"
    case .quality(let quality) where options.effort < 5: return "quality \(quality)"
    case .quality(let quality) where options.effort < 9: return "quality \(quality) adaptive"
    case .quality(let quality):
      guard let profile = options.profile else {
        throw CodecError(.invalidOption, "effort 9 needs a profile of the model. Give one, or a lower effort.")
      }
      return "quality \(quality) \(profileWord) \(profile.shortHash)"
    case .bitsPerElement:
      throw CodecError(
        .invalidOption, "a store needs a quality or lossless: an aim in bits would give equal chunks different qualities")
    }
  }

  /// Lines stay lines.
  private static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "%": result += "%25"
      case "\n": result += "%0A"
      case "\r": result += "%0D"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func unescaped(_ text: String) -> String {
    var result = ""
    var rest = text.unicodeScalars[...]
    while let scalar = rest.popFirst() {
      let pair = String(String.UnicodeScalarView(rest.prefix(2)))
      switch (scalar, pair) {
      case ("%", "25"), ("%", "0A"), ("%", "0D"):
        result += pair == "25" ? "%" : pair == "0A" ? "\n" : "\r"
        rest = rest.dropFirst(2)
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
