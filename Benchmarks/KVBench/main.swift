// Times the KV-cache codec in memory, beside a copy, a q8_0 quantiser in C and zstd -1. See ../kv.sh.
import ArgumentParser
import Glibc
import KVPeers
import Media
import MediaIO
import NeuralCodecs

@main
struct KVBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kvbench", abstract: "Time the KV-cache codec in memory.",
    discussion: "Speeds are MB/s (10^6 bytes) of fp16 cache, the median of the runs, which take turns; all on the same bytes. Where others use the machine, processor time says more.")

  @Argument(help: "A cache.") var input: String
  @Option(help: "Repeat heads, channels and layers until the shape is that of Llama-3.1-8B's (32 x 8 x 128).") var shape: String = "own"
  @Option var quality = 30
  @Option var effort = 1
  @Option(help: "For effort 9.") var profile: String?
  @Option var runs = 5
  @Option var threads = 2

  func run() throws {
    var cache = try KVCacheReader.read(input)
    cache.others = []
    cache = shape == "llama8b" ? Self.like(cache, layers: 32, heads: 8, channels: 128) : Self.dense(cache)
    let bytes = cache.byteCount
    var options = KVCacheEncoder.Options()
    (options.target, options.threads, options.effort) = (.quality(quality), threads, effort)
    options.profile = try profile.map { try KVProfile(reading: try FileIO.read($0)) }
    let encoder = KVCacheEncoder(options: options)
    var decoderOptions = KVCacheDecoder.Options()
    (decoderOptions.threads, decoderOptions.profile) = (threads, options.profile)
    let decoder = KVCacheDecoder(options: decoderOptions)
    let file = try encoder.encode(cache)

    let flat = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    let copy = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    var at = 0
    for layer in cache.layers {
      for tensor in [layer.keys, layer.values!] {
        memcpy(flat + at, tensor.row(head: 0, token: 0).baseAddress!, tensor.byteCount)
        at += tensor.byteCount
      }
    }
    let halves = flat.assumingMemoryBound(to: UInt16.self)
    let blocks = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes / 64 * 34)
    var works: [(name: String, body: () throws -> Void)] = [
      ("encode", { _ = try encoder.encode(cache) }),
      ("decode", { _ = try decoder.decode(file.bytes) }),
      ("copy (memcpy)", { memcpy(copy, flat, bytes) }),
      ("q8_0 quantise, 1 thread", { kvpeers_q8_0(halves, bytes / 2, blocks) }),
      ("q8_0 restore, 1 thread", { kvpeers_from_q8_0(blocks, bytes / 2, copy.assumingMemoryBound(to: UInt16.self)) }),
    ]
    var zstdBytes = 0
    if let zstd = Zstandard() {
      let bound = zstd.bound(bytes)
      let packed = UnsafeMutableRawPointer.allocate(byteCount: bound, alignment: 64)
      works += [
        ("zstd -1, 1 thread", { zstdBytes = zstd.compress(packed, bound, flat, bytes, 1) }),
        ("zstd -1 restore, 1 thread", { _ = zstd.decompress(copy, bytes, packed, zstdBytes) }),
      ]
    }
    var times = works.map { _ in [Double]() }, processor = times
    for run in 0...runs {
      for (i, work) in works.enumerated() {
        let (start, used) = (Self.now(), Self.now(CLOCK_PROCESS_CPUTIME_ID))
        try work.body()
        guard run > 0 else { continue }
        times[i].append(Self.now() - start)
        processor[i].append(Self.now(CLOCK_PROCESS_CPUTIME_ID) - used)
      }
    }
    print("\(cache.layers.count) layers of \(cache.layers[0].keys.heads) x \(cache.layers[0].keys.channels), \(cache.tokens) tokens, "
      + "\(bytes / 1_000_000) MB; quality \(quality), \(Self.short(file.bitsPerElement)) bits per element; \(threads) threads")
    for (i, work) in works.enumerated() {
      func speed(_ seconds: [Double]) -> String { Self.short(Double(bytes) / seconds.sorted()[seconds.count / 2] / 1e6) }
      print("  \(work.name): \(speed(times[i])) MB/s, \(speed(processor[i])) MB per second of processor time")
    }
    if zstdBytes > 0 { print("  zstd -1: \(Self.short(16 * Double(zstdBytes) / Double(bytes))) bits per element") }
  }

  private static func short(_ x: Double) -> String { "\((x * 1000).rounded() / 1000)" }

  private static func now(_ clock: clockid_t = CLOCK_MONOTONIC) -> Double {
    var time = timespec()
    clock_gettime(clock, &time)
    return Double(time.tv_sec) + 1e-9 * Double(time.tv_nsec)
  }

  /// In memory, as an inference engine has it.
  private static func dense(_ cache: KVCache) -> KVCache {
    let first = cache.layers[0].keys
    return like(cache, layers: cache.layers.count, heads: first.heads, channels: first.channels)
  }

  /// A cache of half precision of that shape whose tensors repeat those of another.
  private static func like(_ cache: KVCache, layers: Int, heads: Int, channels: Int) -> KVCache {
    func repeated(_ tensor: KVTensor) -> KVTensor {
      let made = KVTensor(heads: heads, tokens: tensor.tokens, channels: channels, element: tensor.element)
      for head in 0..<heads {
        for token in 0..<tensor.tokens {
          let from = tensor.row(head: head % tensor.heads, token: token), to = made.row(head: head, token: token)
          for i in 0..<to.count { to[i] = from[i % from.count] }
        }
      }
      return made
    }
    var made = cache
    made.layers = (0..<layers).map {
      let layer = cache.layers[$0 % cache.layers.count]
      return KVLayer(keys: repeated(layer.keys), values: layer.values.map(repeated), firstPosition: layer.firstPosition)
    }
    return made
  }
}

/// libzstd, if this machine has it.
private struct Zstandard {
  typealias Compress = @convention(c) (UnsafeMutableRawPointer, Int, UnsafeRawPointer, Int, Int32) -> Int
  typealias Decompress = @convention(c) (UnsafeMutableRawPointer, Int, UnsafeRawPointer, Int) -> Int
  typealias Bound = @convention(c) (Int) -> Int
  let compress: Compress
  let decompress: Decompress
  let bound: Bound

  init?() {
    guard let library = dlopen("libzstd.so.1", RTLD_NOW), let c = dlsym(library, "ZSTD_compress"),
      let d = dlsym(library, "ZSTD_decompress"), let b = dlsym(library, "ZSTD_compressBound")
    else { return nil }
    compress = unsafeBitCast(c, to: Compress.self)
    decompress = unsafeBitCast(d, to: Decompress.self)
    bound = unsafeBitCast(b, to: Bound.self)
  }
}
