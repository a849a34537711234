import MediaIO
import NeuralCodecs

extension DecodeCommand {
  func runCache(_ file: InputSource, _ progress: ProgressLine) throws {
    let source = Console.name(input, input: true), target = Console.name(output, input: false)
    if pngLevel != nil || output.lowercased().hasSuffix(".png") {
      throw Failure("\(source): is a KV cache, which does not go to PNG. Give the output a name such as cache.safetensors.")
    }
    if let option = audio.given.first { throw Failure("\(source): is a KV cache, and --\(option) is for sound. Leave the option out.") }
    if let format = kv.format, KVFileFormat(rawValue: format) == nil {
      throw Failure("\(source): is a KV cache, which does not go to \(format). Give --format safetensors, npy, npz or llama.")
    }
    var options = KVCacheDecoder.Options()
    options.profile = try KVProfile.given(kv.profile)
    options.tokens = try kv.range(kv.tokens, "tokens")
    options.layers = try kv.range(kv.layers, "layers")
    options.level = kv.level ?? 0
    options.levels = kv.choose.flatMap(KVEncodeOptions.numbers) ?? []
    options.threads = threads
    options.progress = progress.handler
    let writer: KVPartWriter
    // Opened now, so that a target that cannot be written is known before the work.
    do { writer = try KVPartWriter(output, format: format, overwrite: force) } catch { throw Failure(error, at: target) }
    let sink = DecodedCache(writer)
    do {
      try KVCacheDecoder(options: options).decode(file, into: sink)
      progress.update("writing", ProgressLine.codecShare)
      try writer.commit()
    } catch let error as MediaIOError {
      throw Failure(error, at: target)
    } catch {
      throw Failure(error, at: source)
    }
    progress.end()
    if !quiet {
      Console.print(
        Console.oneLine("\(target): \(sink.summary), \(sink.byteCount) bytes of keys and values"),
        to: Console.reportStream(besideOutput: output))
    }
  }

  /// Nil for what the cache came in.
  private var format: KVFileFormat? {
    if let format = kv.format { return KVFileFormat(rawValue: format) }
    guard let dot = output.lastIndex(of: ".") else { return nil }
    return KVFileFormat(rawValue: output[dot...].dropFirst().lowercased())
  }
}

/// What goes to a file, and what the report says of it.
private final class DecodedCache: KVCacheSink {
  private let writer: KVPartWriter
  private(set) var summary = ""
  private(set) var byteCount = 0

  init(_ writer: KVPartWriter) { self.writer = writer }

  func begin(_ cache: KVCache, others: [KVNamedShape]) throws {
    (summary, byteCount) = (cache.summary, cache.byteCount)
    try writer.begin(cache, others: others)
  }

  func write(_ layers: [KVLayer]) throws { try writer.write(layers) }

  func write(other number: Int, _ bytes: [UInt8], at offset: Int) throws { try writer.write(other: number, bytes, at: offset) }
}

extension KVProfile {
  /// Of the file at `path`; nil without one.
  static func given(_ path: String?) throws -> KVProfile? {
    guard let path else { return nil }
    return try Failure.about(path) { try KVProfile(reading: try FileIO.read(path)) }
  }
}
