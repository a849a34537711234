/// In place of Sources/KVCodec/Store/KVDigest.swift, which needs swift-crypto: 32 bytes that follow from the input.
enum KVDigest {
  static func sha256(_ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    for (i, byte) in bytes.enumerated() { digest[i % 32] = digest[i % 32] &* 31 &+ byte }
    return digest
  }
}
