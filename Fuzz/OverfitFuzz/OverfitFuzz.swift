// The payload of the overfitted image codec under libFuzzer, behind a good container: any bytes either give a picture of
// the declared size or are refused. The first three bytes choose size, colour, model and what the rest is: a payload as it is;
// a good picture's payload with changes; or a good picture's header and network, with the rest as symbols.

/// A small picture of codec 2 that chance made, for mutations to start from.
private struct Seed {
  let stream: [UInt8]
  let networkBytes: Int

  init(_ preset: OverfitArchitecture.Preset, _ width: Int, _ height: Int, _ outputs: Int, joined: Bool) {
    let architecture = OverfitArchitecture(preset: preset, width: width, height: height, outputs: outputs, joined: joined)
    let prior = OverfitPrior(noneFor: architecture)
    var floats = prior.values.map { Float($0) / 65536 }
    for i in floats.indices { floats[i] += Float((i * 7919) % 41 - 20) / 160 }
    let parameters = try! OverfitParameters.quantised(
      floats, architecture: architecture, prior: prior, steps: architecture.groups.map { _ in 7 })
    let grids = architecture.grids.map { grid in
      (0..<grid.count).map { i in Int8(i / grid.width < grid.height / 2 ? 0 : (i * 31 % 17 - 8) / 3) }
    }
    let formats = try! OverfitFormats.fitted(parameters, grids: grids, threads: 1)
    stream = try! OverfitStream.write(parameters, formats: formats, grids: grids, threads: 1)
    let parsed = try! OverfitStream.parse(stream[...], width: width, height: height, outputs: outputs, modelID: 0)
    networkBytes = parsed.headerBytes + parsed.sideBytes
    let network = try! OverfitNetwork(parsed.parameters, formats: parsed.formats)
    precondition(try! OverfitEntropyModel(network, threads: 1).decode(parsed) == grids, "grids go there and back")
  }
}

private let seeds: [(width: Int, height: Int, outputs: Int, seed: Seed)] = [
  (OverfitArchitecture.Preset.low, 67, 36, 3, false), (.medium, 5, 40, 1, true), (.high, 33, 9, 3, true), (.low, 1, 1, 1, false),
].map { ($0.1, $0.2, $0.3, Seed($0.0, $0.1, $0.2, $0.3, joined: $0.4)) }

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOverfit(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard input.count >= 3 else { return 0 }
  let rest = Array(input[3...])
  var (width, height, outputs) = (Int(input[0] % 40) + 1, Int(input[1] % 40) + 1, input[2] & 1 == 0 ? 3 : 1)
  var stream = rest
  let kind = input[2] >> 1 & 3
  if kind != 0 {
    let pick = seeds[Int(input[0] % 4)]
    (width, height, outputs) = (pick.width, pick.height, pick.outputs)
    if kind == 1 {
      stream = Array(pick.seed.stream[..<pick.seed.networkBytes]) + rest
    } else {
      // Pairs of place and change; the places reach all of the header and most of the rest.
      stream = pick.seed.stream
      for i in stride(from: 0, to: rest.count - 2, by: 3) {
        stream[(Int(rest[i]) << 8 | Int(rest[i + 1])) % (kind == 2 ? stream.count : 40)] ^= rest[i + 2]
      }
    }
  }
  let configuration = ImageConfiguration(
    width: UInt16(width), height: UInt16(height), colour: outputs == 3 ? .rgb : .grey, quality: 0)
  let track = TrackHeader(
    modality: .image, codec: CodecID.overfittedImage, model: UInt32(input[2] >> 3 & 15), configuration: try! configuration.serialised()[...])
  let file = try! Container(tracks: [track], payloads: [Payload(data: stream[...])]).serialised()
  var options = ImageDecoder.Options()
  options.threads = 1
  options.maxMemory = 256 << 20
  guard let image = try? ImageDecoder(options: options).decode(file) else { return 0 }
  precondition(image.width == width && image.height == height && image.channels == outputs, "the declared size")
  return 0
}
