import MediaIO
import NeuralCodecs
import Synchronization

/// The tokens of a sound that is being encoded, for a file beside the `.ncb`.
final class TokenOutput: Sendable {
  private let path: String
  private let overwrite: Bool
  /// [channel][level][frame]
  private let indices: Mutex<[[[UInt16]]]>

  /// Throws `Failure` where the file cannot be written.
  init(_ path: String, overwrite: Bool, channels: Int, beside output: String) throws(Failure) {
    if path == "-" && output == "-" { throw Failure("--tokens -: standard output has the .ncb already. Give the name of a file.") }
    (self.path, self.overwrite) = (path, overwrite)
    indices = Mutex([[[UInt16]]](repeating: [[]], count: channels))
    // Now, so that a target that cannot be written is known before the work.
    do { _ = try AtomicFile(path, overwrite: overwrite) } catch { throw Failure(error, at: path) }
  }

  func append(_ tokens: AudioTokens) {
    indices.withLock { indices in
      for c in indices.indices {
        if indices[c].count != tokens.levels { indices[c] = [[UInt16]](repeating: [], count: tokens.levels) }
        for level in indices[c].indices { indices[c][level] += tokens.indices[c][level] }
      }
    }
  }

  /// Throws `Failure`.
  func write() throws(Failure) {
    do {
      try FileIO.write(TokenArray.bytes(indices.withLock { $0 }), to: path, overwrite: overwrite)
    } catch { throw Failure(error, at: Console.name(path, input: false)) }
  }
}

extension EncodeCommand {
  /// An .npy of tokens; `head` was taken from standard input, where that is the input.
  func runTokens(_ head: [UInt8], into file: consuming AtomicFile) throws {
    let source = Console.name(input, input: true), target = Console.name(output, input: false)
    for (name, isGiven) in [
      ("kbps", audio.kbps != nil), ("quality", quality != nil), ("tokens-levels", audio.tokensLevels != nil), ("tokens", audio.tokensOutput != nil),
    ] where isGiven { throw Failure("\(source): is of tokens already, and --\(name) is not for that. Leave the option out.") }
    let bytes = try Failure.about(source) { try FileIO.read(input, after: input == "-" ? head : []) }
    var options = AudioEncoder.Options()
    options.groupSeconds = audio.groupSeconds ?? options.groupSeconds
    let packed = try Failure.about(source) { try PackedTokens(bytes, framesPerSecond: audio.tokensRate ?? 75, options) }
    do {
      try file.write(packed.bytes)
      try file.commit()
    } catch { throw Failure(error, at: target) }
    if !quiet {
      let line = "\(source): tokens, \(packed.encoded.frames) samples at 24000 Hz, \(packed.bytes.count) bytes, \(fixed(packed.encoded.kbps, 2)) kbps"
      Console.print(Console.oneLine(line), to: Console.reportStream(besideOutput: output))
    }
  }
}

extension DecodeCommand {
  /// Whether the output is an array, which of sound are its tokens.
  var wantsTokens: Bool { kv.format == "npy" || kv.format == nil && output.lowercased().hasSuffix(".npy") }

  /// The tokens of a file with sound.
  func writeTokens(of file: InputSource, _ source: String, _ target: String) throws(Failure) {
    if let option = audio.given.first ?? kv.givenForCaches.first {
      throw Failure("\(source): goes to an array of tokens, and --\(option) is not for that. Leave the option out.")
    }
    guard let tokens = try Failure.about(source, { try AudioFile.tokens(of: file) }) else {
      throw Failure("\(source): is sound without tokens. Give the output a name such as sound.wav.")
    }
    let bytes = try Failure.about(target) { try TokenArray.bytes(tokens.indices) }
    do { try FileIO.write(bytes, to: output, overwrite: force) } catch { throw Failure(error, at: target) }
    if !quiet {
      let line = "\(target): \(tokens.channels) x \(tokens.levels) x \(tokens.frames) tokens, \(tokens.framesPerSecond) frames a second"
      Console.print(Console.oneLine(line), to: Console.reportStream(besideOutput: output))
    }
  }

  /// The `.ncb` that an .npy of tokens would be.
  func packedTokens(_ bytes: [UInt8], _ source: String) throws(Failure) -> [UInt8] {
    try Failure.about(source) { try PackedTokens(bytes, framesPerSecond: audio.tokensRate ?? 75, AudioEncoder.Options()).bytes }
  }
}

private struct PackedTokens {
  let bytes: [UInt8]
  let encoded: EncodedAudio

  init(_ file: [UInt8], framesPerSecond: Int, _ options: AudioEncoder.Options) throws {
    let tokens = try TokenArray.read(file, framesPerSecond: framesPerSecond)
    let layout = try tokens.channels == 1 ? .mono : tokens.channels == 2 ? .stereo : ChannelLayout(count: tokens.channels)
    var bytes: [UInt8] = []
    encoded = try AudioEncoder.encode(tokens, layout: layout, options: options) { bytes += $0 }
    self.bytes = bytes
  }
}
