import Media
import NeuralCodecs

/// A codec of KV caches at several settings, on the calling thread.
package protocol KVBenchCodec: Sendable {
  var record: CodecRecord { get }
  /// From the lowest rate up.
  func settings(points: Int) -> [BenchSetting]
  func encode(_ cache: KVCache, at setting: BenchSetting) throws -> [UInt8]
  /// `cache` is the original, whose layout codecs without files of their own need.
  func decode(_ bytes: [UInt8], like cache: KVCache) throws -> KVCache
}

/// The codecs of KV caches that a benchmark can be told to run.
package enum KVBenchCodecs {
  package static let standard = ["kv1", "kv5", "lossless", "cachegen", "q8_0", "q4_0", "f16"]
  package static let names = ["kv1", "kv5", "kv9", "lossless", "cachegen", "q8_0", "q4_0", "f16"]

  /// kv9 without a profile has `record.missing`. Throws `BenchError` for a name that there is not.
  package static func named(_ name: String, profile: KVProfile?, version: String) throws(BenchError) -> any KVBenchCodec {
    switch name {
    case "kv1": return OurKVCodec(.quality(effort: 1), version)
    case "kv5": return OurKVCodec(.quality(effort: 5), version)
    case "kv9": return OurKVCodec(.quality(effort: 9), version, profile: profile)
    case "lossless": return OurKVCodec(.lossless, version)
    case "cachegen": return OurKVCodec(.cacheGen, version)
    case "q8_0": return QuantiserCodec(.q8_0)
    case "q4_0": return QuantiserCodec(.q4_0)
    case "f16": return QuantiserCodec(.f16)
    default: throw BenchError("'\(name)' is no codec of KV caches: there are \(names.joined(separator: ", "))")
    }
  }
}

/// Our codec by its public interface, with the files that users get.
package struct OurKVCodec: KVBenchCodec {
  package enum Scheme: Sendable, Equatable {
    case quality(effort: Int)
    case lossless, cacheGen
  }

  package let record: CodecRecord
  private let scheme: Scheme
  private let profile: KVProfile?

  package init(_ scheme: Scheme, _ version: String, profile: KVProfile? = nil) {
    (self.scheme, self.profile) = (scheme, profile)
    switch scheme {
    case .quality(let effort):
      let isMissing = effort == 9 && profile == nil
      record = CodecRecord(
        name: "kv\(effort)", title: "kv, effort \(effort)", family: .ours, version: version,
        settings: "effort \(effort), one thread\(profile.map { ", profile \($0.shortHash)" } ?? ""); quality 0 to 100",
        missing: isMissing ? "effort 9 needs a profile of the model: give one with --profile" : nil)
    case .lossless:
      record = CodecRecord(name: "lossless", title: "kv, lossless", family: .ours, version: version, settings: "one thread")
    case .cacheGen:
      record = CodecRecord(
        name: "cachegen", title: "CacheGen", family: .peer, version: version,
        settings: "as the paper has it, in our file, one thread; level 1 to 3")
    }
  }

  package func settings(points: Int) -> [BenchSetting] {
    switch scheme {
    case .quality: BenchSetting.spread("quality", from: 0, to: 100, points: points)
    case .lossless: [BenchSetting(text: "lossless", value: 0)]
    case .cacheGen: (1...3).map { BenchSetting(text: "level \($0)", value: Double($0)) }
    }
  }

  package func encode(_ cache: KVCache, at setting: BenchSetting) throws -> [UInt8] {
    var options = KVCacheEncoder.Options()
    options.threads = 1
    options.profile = profile
    switch scheme {
    case .quality(let effort): (options.effort, options.target) = (effort, .quality(Int(setting.value)))
    case .lossless: options.target = .lossless
    case .cacheGen: options.target = .cacheGen(.paper, level: Int(setting.value))
    }
    return try KVCacheEncoder(options: options).encode(cache).bytes
  }

  package func decode(_ bytes: [UInt8], like cache: KVCache) throws -> KVCache {
    var options = KVCacheDecoder.Options()
    options.threads = 1
    options.profile = profile
    return try KVCacheDecoder(options: options).decode(bytes)
  }
}

/// llama.cpp's number formats: rows of 32 numbers and a scale each; f16 keeps every number.
package struct QuantiserCodec: KVBenchCodec {
  package enum Format: String, Sendable {
    case q8_0, q4_0, f16

    /// Of 32 numbers.
    package var blockBytes: Int { self == .q8_0 ? 34 : self == .q4_0 ? 18 : 64 }
  }

  private let format: Format

  package init(_ format: Format) { self.format = format }

  package var record: CodecRecord {
    CodecRecord(
      name: format.rawValue, title: format.rawValue, family: .peer, version: "as ggml's reference quantisers",
      settings: "\(format.blockBytes) bytes for 32 numbers, no file around them; one thread, plain Swift")
  }

  package func settings(points: Int) -> [BenchSetting] { [BenchSetting(text: format.rawValue, value: 0)] }

  package func encode(_ cache: KVCache, at setting: BenchSetting) throws -> [UInt8] {
    var bytes: [UInt8] = []
    for tensor in cache.layers.flatMap({ [$0.keys] + ($0.values.map { [$0] } ?? []) }) {
      guard tensor.channels % 32 == 0 || format == .f16 else {
        throw BenchError("\(format.rawValue) takes rows of a multiple of 32 numbers, not of \(tensor.channels)")
      }
      tensor.forEachRow { row in
        switch format {
        case .f16: for value in row { append(Float16(value), to: &bytes) }
        case .q8_0, .q4_0:
          for start in stride(from: 0, to: row.count, by: 32) { appendBlock(row[start..<(start + 32)], to: &bytes) }
        }
      }
    }
    return bytes
  }

  // ggml-quants.c: quantize_row_q8_0_ref, quantize_row_q4_0_ref
  private func appendBlock(_ values: ArraySlice<Float>, to bytes: inout [UInt8]) {
    var largest: Float = 0
    for value in values where abs(value) > abs(largest) { largest = value }
    if format == .q8_0 {
      let step = abs(largest) / 127
      let inverse = step > 0 ? 1 / step : 0
      append(Float16(step), to: &bytes)
      for value in values { bytes.append(UInt8(bitPattern: Int8(clamping: integer(value * inverse)))) }
    } else {
      let step = largest / -8
      let inverse = step != 0 ? 1 / step : 0
      append(Float16(step), to: &bytes)
      func level(_ i: Int) -> UInt8 { UInt8(min(max(integer((values[values.startIndex + i] * inverse + 8.5).rounded(.down)), 0), 15)) }
      for i in 0..<16 { bytes.append(level(i) | level(i + 16) << 4) }
    }
  }

  /// To nearest; 0 for what is no number.
  private func integer(_ value: Float) -> Int { value.isFinite ? Int(min(max(value.rounded(), -1000), 1000)) : 0 }

  private func append(_ value: Float16, to bytes: inout [UInt8]) {
    bytes.append(UInt8(truncatingIfNeeded: value.bitPattern))
    bytes.append(UInt8(truncatingIfNeeded: value.bitPattern >> 8))
  }

  package func decode(_ bytes: [UInt8], like cache: KVCache) throws -> KVCache {
    var result = cache
    var at = 0
    func half(_ at: Int) -> Float { Float(Float16(bitPattern: UInt16(bytes[at]) | UInt16(bytes[at + 1]) << 8)) }
    func restored(_ tensor: KVTensor) throws -> KVTensor {
      let out = KVTensor(heads: tensor.heads, tokens: tensor.tokens, channels: tensor.channels, element: .float16)
      let rowBytes = format == .f16 ? 2 * tensor.channels : tensor.channels / 32 * format.blockBytes
      guard at + rowBytes * tensor.heads * tensor.tokens <= bytes.count else { throw BenchError("too few bytes") }
      for head in 0..<out.heads {
        for token in 0..<out.tokens {
          out.withMutableRow(head: head, token: token) { row in
            func store(_ value: Float, _ channel: Int) {
              row.storeBytes(of: Float16(value).bitPattern.littleEndian, toByteOffset: 2 * channel, as: UInt16.self)
            }
            switch format {
            case .f16: for c in 0..<out.channels { store(half(at + 2 * c), c) }
            case .q8_0, .q4_0:
              for block in 0..<(out.channels / 32) {
                let start = at + block * format.blockBytes
                let step = half(start)
                for k in 0..<(format == .q8_0 ? 32 : 16) {
                  let byte = bytes[start + 2 + k]
                  if format == .q8_0 {
                    store(step * Float(Int8(bitPattern: byte)), 32 * block + k)
                  } else {
                    store(step * Float(Int(byte & 15) - 8), 32 * block + k)
                    store(step * Float(Int(byte >> 4) - 8), 32 * block + 16 + k)
                  }
                }
              }
            }
          }
          at += rowBytes
        }
      }
      return out
    }
    for i in result.layers.indices {
      result.layers[i].keys = try restored(cache.layers[i].keys)
      if let values = cache.layers[i].values { result.layers[i].values = try restored(values) }
    }
    return result
  }
}

extension KVTensor {
  /// Every row as floats, by head, then token; the array is reused.
  package func forEachRow(_ body: ([Float]) throws -> Void) rethrows {
    var values = [Float](repeating: 0, count: channels)
    for head in 0..<heads {
      for token in 0..<tokens {
        withRow(head: head, token: token) { row in
          for c in 0..<channels {
            switch element {
            case .float16: values[c] = Float(Float16(bitPattern: UInt16(littleEndian: row.loadUnaligned(fromByteOffset: 2 * c, as: UInt16.self))))
            case .bfloat16: values[c] = Float(bitPattern: UInt32(UInt16(littleEndian: row.loadUnaligned(fromByteOffset: 2 * c, as: UInt16.self))) << 16)
            case .float32: values[c] = Float(bitPattern: UInt32(littleEndian: row.loadUnaligned(fromByteOffset: 4 * c, as: UInt32.self)))
            }
          }
        }
        try body(values)
      }
    }
  }
}
