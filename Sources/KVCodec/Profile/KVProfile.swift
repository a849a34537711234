import Bitstream
public import Coding
import EntropyCoding
import Media
import Synchronization
import Tensors

/// What is known of one model's caches: for each block of each layer, means, how it follows from the blocks of the layers before it, a
/// basis of what is left, and how much its components vary. Learned by `KVCalibration`, named in files by its hash.
// bitstream-spec 10.11
public struct KVProfile: Sendable {
  /// Of the model, as caches name theirs; perhaps empty.
  public let model: String
  /// SHA-256 of the file, as files of caches name it.
  public let hash: [UInt8]
  public let byteCount: Int

  /// The layers' shapes, of one count each; first positions and elements do not matter.
  let shapes: [KVLayerGroup]
  let keys: Keys
  /// Numbers of a chain's state.
  let stateSize: Int
  /// By chain and link.
  let links: [[KVProfileLink]]
  private let prepared = KVPreparedProfile()

  /// The keys' RoPE, which is undone before they are coded.
  struct Keys: Equatable {
    var rope = KVConfiguration.Rope.none
    var turns: [UInt64] = []
  }

  static let magic: [UInt8] = Array("NCPROF".utf8) + [0, 1]
  static let stateSizes = 16...1024
  /// Links of all chains, and numbers of all their matrices, at most.
  static let maximumLinks = 1 << 14
  static let maximumNumbers = 1 << 27

  /// The hash in hexadecimal, its first 12 digits.
  public var shortHash: String { Self.short(hash) }

  static func short(_ hash: some Sequence<UInt8>) -> String {
    hash.prefix(6).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  /// Reads a `.ncprofile` file. Throws `CodecError` (malformed, limitExceeded). The inverse is `serialised`.
  public init(reading bytes: [UInt8]) throws(CodecError) {
    do {
      try self.init(parsing: bytes)
    } catch let error as CodecError {
      throw error
    } catch {
      throw CodecError.damagedProfile("\(error)")
    }
  }

  private init(parsing bytes: [UInt8]) throws {
    var fields = KVFields(bytes[...])
    guard Array(try fields.take(Self.magic.count, "first bytes")) == Self.magic else {
      throw CodecError(.malformed, "this is no profile of a model's caches, or one of a later version")
    }
    guard bytes.count > 12, Checksum.crc32(bytes.dropLast(4)) == UInt32(littleEndian: bytes.suffix(4)) else {
      throw CodecError.damagedProfile("its checksum does not fit")
    }
    hash = KVDigest.sha256(bytes)
    byteCount = bytes.count
    let name = try fields.prefixed("the model's name")
    guard name.count <= 1024, let text = String(validating: name, as: UTF8.self) else { throw CodecError.damagedProfile("the model's name is no text") }
    model = text
    var keys = Keys()
    guard let rope = KVConfiguration.Rope(rawValue: try fields.take(1, "RoPE").first!) else { throw CodecError.damagedProfile("RoPE's layout is unknown") }
    keys.rope = rope
    let turns = try fields.varint("turns")
    guard turns <= 32_768 else { throw CodecError.damagedProfile("there are \(turns) turns") }
    for _ in 0..<turns { keys.turns.append(UInt64(littleEndianBytes: try fields.take(8, "turns"))) }
    self.keys = keys
    shapes = try Self.shapes(&fields)
    let size = try fields.varint("numbers of the state")
    guard size <= UInt64(Self.stateSizes.upperBound), Self.stateSizes.contains(Int(size)) else {
      throw CodecError.damagedProfile("a state has \(size) numbers")
    }
    stateSize = Int(size)
    try Self.check(numbersOf: shapes, state: stateSize)
    var links: [[KVProfileLink]] = []
    for plan in KVChainPlan.chains(of: shapes) {
      var chain: [KVProfileLink] = []
      for i in plan.layers.indices {
        chain.append(
          try KVProfileLink(
            &fields, width: plan.width, state: stateSize, isFirst: i == 0, isLast: i == plan.layers.count - 1))
      }
      links.append(chain)
    }
    self.links = links
    guard fields.rest().count == 4 else { throw CodecError.damagedProfile("bytes follow its last matrix") }
  }

  /// Throws `CodecError` (limitExceeded).
  private static func check(numbersOf shapes: [KVLayerGroup], state: Int) throws {
    // At most 2^14 times 1,408^2.
    let numbers = shapes.reduce(0) { sum, shape in
      let side = KVBlockPlan.widest(shape) + state
      return sum + KVBlockPlan.blockCount(shape) * side * side
    }
    guard numbers <= maximumNumbers else { throw CodecError(.limitExceeded, "the profile's matrices have more numbers than are allowed") }
  }

  private static func shapes(_ fields: inout KVFields) throws -> [KVLayerGroup] {
    let groups = try fields.varint("groups of layers")
    guard groups >= 1, groups <= UInt64(KVConfiguration.maximumLayers) else { throw CodecError.damagedProfile("there are \(groups) groups of layers") }
    var shapes: [KVLayerGroup] = []
    var links = 0
    for _ in 0..<groups {
      let count = try fields.varint("layers")
      var shape = KVLayerGroup()
      func size(_ what: String, from least: UInt32) throws -> UInt32 {
        let value = try fields.varint(what)
        guard value >= UInt64(least), value <= 65_536 else { throw CodecError.damagedProfile("layers have \(value) \(what)") }
        return UInt32(value)
      }
      shape.keyHeads = try size("heads", from: 1)
      shape.keyChannels = try size("channels of keys", from: 1)
      shape.valueChannels = try size("channels of values", from: 0)
      shape.valueHeads = shape.valueChannels > 0 ? shape.keyHeads : 0
      guard count >= 1, count <= UInt64(KVConfiguration.maximumLayers - shapes.count), shape.tokenElements <= 2 * KVLayerGroup.maximumWidth else {
        throw CodecError.damagedProfile("there are \(count) layers of \(shape.tokenElements) channels")
      }
      links += Int(count) * KVBlockPlan.blockCount(shape)
      guard links <= maximumLinks else {
        throw CodecError(.limitExceeded, "the profile is of more layers than are allowed")
      }
      shapes += [KVLayerGroup](repeating: shape, count: Int(count))
    }
    return shapes
  }

  /// Throws `CodecError` (unsupported) unless the profile is of caches as `configuration` describes them.
  func check(_ configuration: KVConfiguration) throws {
    let others = configuration.shapes
    guard others.count == shapes.count else {
      throw CodecError(.unsupported, "the profile is of a model of \(shapes.count) layers, and the cache has \(others.count)")
    }
    for (number, (a, b)) in zip(shapes, others).enumerated() {
      func words(_ shape: KVLayerGroup) -> String {
        "\(shape.keyHeads) heads of \(shape.keyChannels) and \(shape.valueHeads > 0 ? shape.valueChannels : 0) channels"
      }
      guard words(a) == words(b) else {
        throw CodecError(.unsupported, "the profile's layer \(number) has \(words(a)), and the cache's \(words(b))")
      }
      guard b.firstPosition == others[0].firstPosition else {
        throw CodecError(.unsupported, "layer \(number) begins at another token than layer 0, which caches with a profile cannot")
      }
    }
    guard configuration.rope == keys.rope, !configuration.keysAreRotated || configuration.turns.map(\.turn) == keys.turns else {
      throw CodecError(
        .unsupported, "the profile is of keys with RoPE \(keys.rope.label), and the cache's is \(configuration.rope.label)\(configuration.rope == keys.rope ? " of another base" : ""). Say which it is, if the file is wrong.")
    }
  }
}

extension KVProfile {
  /// The links of all chains, ready to code. They are made once, the first time that they are needed.
  func chains(forEncoding: Bool, threads: Int) -> [[KVPreparedLink]] {
    prepared.links(self, forEncoding, threads)
  }
}

/// What is made of a profile's numbers for coding.
final class KVPreparedProfile: Sendable {
  private let made = Mutex<(decoding: [[KVPreparedLink]]?, encoding: [[KVPreparedLink]]?)>((nil, nil))

  func links(_ profile: KVProfile, _ forEncoding: Bool, _ threads: Int) -> [[KVPreparedLink]] {
    made.withLock { made in
      if let known = made.encoding ?? (forEncoding ? nil : made.decoding) { return known }
      let works = profile.links.flatMap { $0 }
      var links = [KVPreparedLink?](repeating: nil, count: works.count)
      links.withUnsafeMutableBufferPointer { links in
        nonisolated(unsafe) let links = links
        parallelFor(works.count, threads: threads) { i in
          links[i] = KVPreparedLink(works[i], state: profile.stateSize, forEncoding: forEncoding)
        }
      }
      var rest = links.map { $0! }[...]
      let chains = profile.links.map { chain -> [KVPreparedLink] in
        defer { rest = rest.dropFirst(chain.count) }
        return Array(rest.prefix(chain.count))
      }
      if forEncoding { made.encoding = chains } else { made.decoding = chains }
      return chains
    }
  }
}

extension KVConfiguration {
  /// The profile that the scheme needs; nil where it needs none. Throws `CodecError` (unsupported) unless that is `profile`.
  func checked(_ profile: KVProfile?) throws -> KVProfile? {
    guard scheme == .profile else { return nil }
    guard let profile else {
      throw CodecError(.unsupported, "the cache needs the profile \(KVProfile.short(self.profile))\(model.isEmpty ? "" : " of \(model)"). Give it with --profile.")
    }
    guard profile.hash[...] == self.profile else {
      throw CodecError(
        .unsupported, "the cache needs the profile \(KVProfile.short(self.profile)), and \(profile.shortHash) is given. Give the one that it was encoded with.")
    }
    try profile.check(self)
    return profile
  }
}

extension CodecError {
  static func damagedProfile(_ what: String) -> CodecError {
    CodecError(.malformed, "the profile is damaged: \(what). Get the file again from where it came from.")
  }
}

extension UInt32 {
  fileprivate init(littleEndian bytes: some Sequence<UInt8>) { self = bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) } }
}

extension UInt64 {
  init(littleEndianBytes bytes: some Sequence<UInt8>) { self = bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }
}
