import CLibAV

/// The MD5 of the bytes of `parts`, one after the other, in lower-case hexadecimal. It names decoded samples; it
/// protects nothing.
func md5(_ parts: [UInt8]...) -> String {
  let context = av_md5_alloc()
  defer { av_free(context) }
  av_md5_init(context)
  for part in parts { av_md5_update(context, part, part.count) }
  var digest = [UInt8](repeating: 0, count: 16)
  av_md5_final(context, &digest)
  return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
