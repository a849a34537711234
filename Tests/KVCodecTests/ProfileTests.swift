import Coding
import Foundation
import KVCodec
import Media
import Testing

@Suite struct ProfileTests {
  /// Of caches that `AdaptiveTests.cache` makes, and a cache that is not among them but from the same model.
  static let profile = Result {
    try KVProfile(reading: KVCalibration.profile(of: [AdaptiveTests.cache(tokens: 500)], options: options))
  }
  static let options = {
    var options = KVCalibration.Options()
    options.stateSize = 16
    return options
  }()

  static func encoder(_ profile: KVProfile?, quality: Int = 40, chunk: Int = 64, threads: Int? = nil) -> KVCacheEncoder {
    var options = KVCacheEncoder.Options()
    (options.effort, options.target, options.profile) = (9, .quality(quality), profile)
    (options.chunkTokens, options.threads) = (chunk, threads)
    return KVCacheEncoder(options: options)
  }

  static func decoder(_ profile: KVProfile?, threads: Int? = nil) -> KVCacheDecoder {
    var options = KVCacheDecoder.Options()
    (options.profile, options.threads) = (profile, threads)
    return KVCacheDecoder(options: options)
  }

  /// The first tokens of a text from a model that is known need no learning.
  @Test func smallerThanAdaptingAtTheSameError() throws {
    let profile = try Self.profile.get(), cache = AdaptiveTests.cache(tokens: 120)
    let adapted = try AdaptiveTests.encoder(quality: 30, chunk: 128).encode(cache).bytes
    let known = try Self.encoder(profile, quality: 40, chunk: 128).encode(cache).bytes
    let adaptedError = AdaptiveTests.error(cache, try KVCacheDecoder().decode(adapted))
    let error = AdaptiveTests.error(cache, try Self.decoder(profile).decode(known))
    #expect(error < adaptedError, "\(error), \(adaptedError)")
    #expect(Double(known.count) < 0.9 * Double(adapted.count), "\(known.count), \(adapted.count)")
  }

  @Test func calibrationDoesNotDependOnThreads() throws {
    var options = Self.options
    let caches = [AdaptiveTests.cache(tokens: 90)]
    options.threads = 1
    let one = try KVCalibration.profile(of: caches, options: options)
    options.threads = 3
    #expect(try KVCalibration.profile(of: caches, options: options) == one)
  }

  @Test func bytesAndElementsDoNotDependOnThreads() throws {
    let profile = try Self.profile.get(), cache = AdaptiveTests.cache(tokens: 150)
    let one = try Self.encoder(profile, threads: 1).encode(cache).bytes
    let expected = try Self.decoder(profile, threads: 1).decode(one)
    for threads in [2, 5] {
      #expect(try Self.encoder(profile, threads: threads).encode(cache).bytes == one)
      #expect(hasSameBits(try Self.decoder(profile, threads: threads).decode(one), expected))
    }
  }

  @Test func partsDecodeAlone() throws {
    let profile = try Self.profile.get(), cache = AdaptiveTests.cache(tokens: 150)
    let bytes = try Self.encoder(profile, chunk: 40).encode(cache).bytes
    let whole = try Self.decoder(profile).decode(bytes)
    for (tokens, layers) in [(0..<1, 0..<4), (39..<81, 1..<3), (120..<150, 0..<1)] {
      var options = KVCacheDecoder.Options()
      (options.profile, options.tokens, options.layers) = (profile, tokens, layers)
      let part = try KVCacheDecoder(options: options).decode(bytes)
      for (layer, other) in zip(part.layers, whole.layers[layers]) {
        #expect(layer.keys.hasSameBits(as: other.keys.tokens(in: tokens)))
        #expect(layer.values!.hasSameBits(as: other.values!.tokens(in: tokens)))
      }
    }
  }

  @Test func exceptionsSurvive() throws {
    let profile = try Self.profile.get(), cache = AdaptiveTests.cache(tokens: 80)
    for (token, bits) in [(0, 0x7E01), (5, 0x7C00), (79, 0xFC00), (33, 0x7BFF)] as [(Int, UInt16)] {
      cache.layers[2].values!.withMutableRow(head: 1, token: token) { $0.storeBytes(of: bits, toByteOffset: 6, as: UInt16.self) }
    }
    let back = try Self.decoder(profile).decode(Self.encoder(profile).encode(cache).bytes)
    for (token, bits) in [(0, 0x7E01), (5, 0x7C00), (79, 0xFC00)] as [(Int, UInt16)] {
      #expect(back.layers[2].values!.withRow(head: 1, token: token) { $0.loadUnaligned(fromByteOffset: 6, as: UInt16.self) } == bits)
    }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let profile = try Self.profile.get(), cache = AdaptiveTests.cache(tokens: 20)
    let bytes = try Self.encoder(profile).encode(cache).bytes
    let other = try KVProfile(reading: KVCalibration.profile(of: [AdaptiveTests.cache(tokens: 100)], options: Self.options))
    #expect(other.hash != profile.hash && profile.hash.count == 32)
    func code(_ body: () throws -> Void) -> CodecError.Code? {
      do { try body() } catch { return (error as? CodecError)?.code }
      return nil
    }
    #expect(code { _ = try Self.decoder(nil).decode(bytes) } == .unsupported)
    #expect(code { _ = try Self.decoder(other).decode(bytes) } == .unsupported)
    #expect(code { _ = try Self.encoder(nil).encode(cache) } == .invalidOption)
    for wrong in [
      AdaptiveTests.cache(layers: 3, tokens: 20), AdaptiveTests.cache(heads: 1, tokens: 20), AdaptiveTests.cache(tokens: 20, channels: 8),
      AdaptiveTests.cache(tokens: 20, rope: .halves),
    ] {
      #expect(code { _ = try Self.encoder(profile).encode(wrong) } == .unsupported)
    }
    #expect(code { _ = try KVCalibration.profile(of: [cache], options: Self.options) } == .unsupported)
    #expect(code { _ = try KVCalibration.profile(of: [AdaptiveTests.cache(tokens: 100), AdaptiveTests.cache(layers: 2)], options: Self.options) } == .unsupported)
    #expect(code { _ = try KVCalibration.profile(of: [], options: Self.options) } == .invalidOption)
  }

  @Test func damagedProfilesAreRefused() throws {
    let bytes = try KVCalibration.profile(of: [AdaptiveTests.cache(layers: 2, heads: 1, tokens: 80)], options: Self.options)
    _ = try KVProfile(reading: bytes)
    for length in stride(from: 0, to: bytes.count, by: 13) {
      #expect(throws: CodecError.self) { try KVProfile(reading: Array(bytes.prefix(length))) }
    }
    for place in stride(from: 0, to: bytes.count, by: 7) {
      var damaged = bytes
      damaged[place] ^= 0x41
      #expect(throws: CodecError.self) { try KVProfile(reading: damaged) }
    }
  }

  /// What the weights are for: noise in every direction costs alike.
  @Test func sensitivityIsRead() throws {
    var noise = Noise(4)
    func tensor(_ name: String, _ shape: [Int], _ value: (Int) -> Float) -> KVNamedTensor {
      let numbers = (0..<shape.reduce(1, *)).map(value)
      return KVNamedTensor(name: name, dtype: "F32", shape: shape, bytes: numbers.flatMap { n in (0..<4).map { UInt8(truncatingIfNeeded: n.bitPattern >> UInt32(8 * $0)) } })
    }
    let moment = tensor("query_moment", [4, 2, 8]) { _ in 1 + abs(noise.normal()) }
    let gram = tensor("output_gram", [4, 2, 16, 16]) { $0 % 17 == 0 ? 2 : 0.1 }
    let cost = tensor("kl_per_noise", [4, 3]) { _ in 0.01 }
    let sensitivity = try KVSensitivity([moment, gram, cost])
    let bytes = try KVCalibration.profile(of: [AdaptiveTests.cache(tokens: 200)], sensitivity: sensitivity, options: Self.options)
    let profile = try KVProfile(reading: bytes), cache = AdaptiveTests.cache(tokens: 60)
    let back = try Self.decoder(profile).decode(Self.encoder(profile, quality: 80).encode(cache).bytes)
    #expect(AdaptiveTests.error(cache, back) < 0.3)
    #expect(throws: CodecError.self) { try KVSensitivity([moment, gram]) }
    #expect(throws: CodecError.self) { try KVSensitivity([moment, gram, tensor("kl_per_noise", [3, 3]) { _ in 1 }]) }
    let other = AdaptiveTests.cache(layers: 3, tokens: 200)
    #expect(throws: CodecError.self) { try KVCalibration.profile(of: [other], sensitivity: sensitivity, options: Self.options) }
  }
}
