// Sound under libFuzzer, behind a good container: any bytes either give sound of the declared shape or are refused. The first byte
// chooses a good file to start from, the second what the rest is: a payload as it is; changes to a good payload; the configuration; the
// file's bytes as they are, checksums and all.

/// Files that chance made, for mutations to start from.
private let seeds: [Container] = transformed + tokens

private func sound(_ channels: Int, _ frames: Int) -> [[Float]] {
  (0..<channels).map { c in
    (0..<frames).map { i -> Float in
      let saw = (i * (37 + c) + i * i % 91) % 401
      return Float(saw - 200) / 400
    }
  }
}

private let tokens: [Container] = [(75, 1, 1, 20_000, 0.1), (40, 2, 3, 9000, 0.3), (75, 8, 1, 2000, 10), (40, 8, 2, 30_000, 0.5)].map { rate, levels, channels, frames, group in
  let format = try! AudioFormat(sampleRate: 24_000, layout: ChannelLayout(count: channels))
  var options = AudioEncoder.Options()
  (options.codec, options.framesPerSecond, options.levels, options.groupSeconds) = (.tokens, rate, levels, group)
  var bytes: [UInt8] = []
  var encoder = try! AudioEncoder(format: format, options: options) { bytes += $0 }
  try! encoder.append(AudioBuffer(format: format, samples: sound(channels, frames)))
  _ = try! encoder.finish()
  return try! Container(reading: bytes)
}

private let transformed: [Container] = [
  (8000, 1, 9000, AudioEncoder.Target.perceptual, 30.0), (8000, 2, 20_000, .perceptual, 10), (24_000, 1, 5000, .meanSquaredError, 60),
  (16_000, 3, 3000, .perceptual, 50), (48_000, 2, 5000, .meanSquaredError, 5), (1, 1, 1300, .perceptual, 90),
].map { rate, channels, frames, target, quality in
  let format = try! AudioFormat(sampleRate: rate, layout: ChannelLayout(count: channels))
  var options = AudioEncoder.Options()
  (options.rate, options.target) = (.quality(quality), target)
  var bytes: [UInt8] = []
  var encoder = try! AudioEncoder(format: format, options: options) { bytes += $0 }
  try! encoder.append(AudioBuffer(format: format, samples: sound(channels, frames)))
  _ = try! encoder.finish()
  return try! Container(reading: bytes)
}

/// Pairs of place and change.
private func changed(_ bytes: ArraySlice<UInt8>, by rest: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
  var bytes = Array(bytes)
  var rest = rest
  while rest.count >= 3, !bytes.isEmpty {
    let triple = Array(rest.prefix(3))
    bytes[(Int(triple[0]) << 8 | Int(triple[1])) % bytes.count] ^= triple[2]
    rest = rest.dropFirst(3)
  }
  return bytes[...]
}

private func frames(_ decoder: inout AudioDecoder) throws -> Int {
  var count = 0
  while let buffer = try decoder.next() {
    precondition(buffer.format == decoder.format && buffer.frames > 0, "pieces of the declared shape")
    count += buffer.frames
    // The declared shape may be long, and networks take their time.
    if count * buffer.samples.count > 1 << 15 { break }
  }
  return count
}

private func stream(_ file: [UInt8], by step: Int) throws -> AudioDecoder {
  var next = 0
  return try AudioDecoder { count in
    defer { next = min(file.count, next + min(step, count)) }
    return Array(file[next..<min(file.count, next + min(step, count))])
  }
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzAudio(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard input.count >= 2 else { return 0 }
  var container = seeds[Int(input[0]) % seeds.count]
  let rest = input[2...]
  let payload = Int(input[1] >> 3) % container.payloads.count
  var file: [UInt8]?
  switch input[1] & 7 {
  case 0: container.payloads[payload].data = [container.payloads[payload].data.first!, UInt8(1 + input[1] >> 6)] + rest
  case 1: container.payloads[payload].data = rest
  case 2: container.tracks[0].configuration = changed(container.tracks[0].configuration, by: rest)
  case 3: container.tracks[0].configuration = rest
  case 4: file = Array(changed((try! container.serialised())[...], by: rest))
  default: container.payloads[payload].data = changed(container.payloads[payload].data, by: rest)
  }
  guard let file = try? file ?? container.serialised() else { return 0 }
  if let known = try? AudioFile(reading: file), known.tokens != nil, known.format.layout.count < 9 {
    let tokens = try? AudioFile.tokens(of: file)
    precondition(tokens == nil || tokens!.frames == (known.frames + 24_000 / tokens!.framesPerSecond - 1) / (24_000 / tokens!.framesPerSecond) || known.parts > 1)
  }
  let streamed = Result {
    var decoder = try stream(file, by: 1 + Int(input[0]) * 16)
    return try frames(&decoder)
  }
  let decoded = Result {
    var decoder = try AudioDecoder(file)
    return try frames(&decoder)
  }
  if let a = try? streamed.get() {
    // A stream that was left in the midst has not seen the end, which opening from memory looks at.
    let b = try? decoded.get()
    precondition(b == a || b == nil && a >= 1 << 12, "the same from a stream and from memory")
  }
  if var decoder = try? AudioDecoder(file) {
    try? decoder.seek(toFrame: Int(input[0]) << 6)
    _ = try? frames(&decoder)
  }
  return 0
}
