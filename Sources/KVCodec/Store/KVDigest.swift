import COpenSSL

package enum KVDigest {
  /// 32 bytes.
  package static func sha256(_ bytes: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    let isDone = EVP_Digest(bytes, bytes.count, &digest, nil, EVP_sha256(), nil) == 1
    // Only without memory, or where an administrator has turned SHA-256 off.
    precondition(isDone, "OpenSSL's libcrypto does not make SHA-256")
    return digest
  }
}
