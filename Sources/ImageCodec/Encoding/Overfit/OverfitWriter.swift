import Bitstream
import Coding
import EntropyCoding
import LatentCoding
import Media

extension OverfitStream {
  /// Everything that the payload says but alpha; the inverse is `parse` with `OverfitEntropyModel.decode`.
  ///
  /// - Parameters:
  ///   - formats: `OverfitFormats.fitted` has those that lose nothing.
  ///   - grids: in coding order, each [height, width], values in -127...127.
  /// Throws `CodecError` (malformed) for parameters or formats that the decoder would refuse.
  package static func write(
    _ parameters: OverfitParameters, formats: OverfitFormats, grids: [[Int8]], threads: Int
  ) throws(CodecError) -> [UInt8] {
    let architecture = parameters.architecture
    try architecture.check()
    let list = architecture.grids
    precondition(grids.count == list.count && zip(grids, list).allSatisfy { $0.count == $1.count })
    let magnitudes = OverfitEntropyModel.magnitudes(grids)
    let model = OverfitEntropyModel(try OverfitNetwork(parameters, formats: formats), threads: threads)
    let blocks = usefulMaps(grids, model: model)
    let header = Header(
      architecture: architecture, formats: formats, steps: parameters.steps, bases: parameters.bases,
      magnitudes: magnitudes, hasMap: blocks.map { $0 != nil })
    guard zip(list, magnitudes).allSatisfy({ !architecture.isPlane($0) || $1 << formats.planes <= 32767 }) else {
      throw CodecError(.malformed, "latents do not fit planes of \(formats.planes) fraction bits")
    }
    var writer = BitWriter()
    header.write(to: &writer)
    var bytes = writer.finish()

    var encoder = RangeEncoder()
    parameters.encode(into: &encoder)
    var maps = OverfitBlockMaps()
    for (grid, map) in zip(list, blocks) where map != nil { maps.encode(map!, into: &encoder, grid: grid) }
    let side = encoder.finish()
    Varint.append(UInt64(side.count), to: &bytes)
    return bytes + side + model.encode(grids, blocks: blocks)
  }

  /// The maps that take no more bits than they save, give or take what decoders gain by them.
  private static func usefulMaps(_ grids: [[Int8]], model: OverfitEntropyModel) -> [[UInt8]?] {
    let maps = zip(model.grids, grids).map { blockMap($0, $1) }
    guard maps.contains(where: { $0 != nil }) else { return maps }
    let plain = model.bits(grids)
    let mapped = model.bits(grids, blocks: maps)
    return maps.indices.map { i in
      guard let map = maps[i] else { return nil }
      let cost = OverfitBlockMaps.bits(map, grid: model.grids[i])
      return mapped[i] + cost <= 1.0005 * plain[i] + 16 ? map : nil
    }
  }

  /// Which blocks of a grid are not all zero; nil where too few are for decoders to gain by a map.
  private static func blockMap(_ grid: OverfitArchitecture.Grid, _ values: [Int8]) -> [UInt8]? {
    let (rows, columns) = blockCounts(grid)
    guard rows * columns >= 16 else { return nil }
    var map = [UInt8](repeating: 0, count: rows * columns)
    for y in 0..<grid.height {
      for x in 0..<grid.width where values[y * grid.width + x] != 0 {
        map[y / blockSize * columns + x / blockSize] = 1
      }
    }
    let empty = map.reduce(0) { $0 + ($1 == 0 ? 1 : 0) }
    return empty * 8 >= map.count && empty < map.count ? map : nil
  }
}

extension OverfitBlockMaps {
  /// What a grid's map takes if it is the first one.
  fileprivate static func bits(_ map: [UInt8], grid: OverfitArchitecture.Grid) -> Double {
    var maps = OverfitBlockMaps()
    var encoder = RangeEncoder()
    maps.encode(map, into: &encoder, grid: grid)
    return 8 * Double(encoder.finish().count)
  }
}

/// A whole file of codec 2.
package enum OverfitFile {
  /// `stream` is `OverfitStream.write`'s; alpha and metadata are `image`'s. `quality`, 0...100, is kept for readers and
  /// does nothing to decoding. The inverse is `ImageDecoder.decode`.
  package static func bytes(
    _ stream: [UInt8], image: Image, modelID: UInt32, quality: Int
  ) throws -> [UInt8] {
    let alpha = image.withUnsafeAlpha {
      $0.map { PlaneCoder.encode($0, width: image.width, height: image.height) }
    }
    let configuration = ImageConfiguration(
      width: UInt16(image.width), height: UInt16(image.height), colour: image.colour == .grey ? .grey : .rgb,
      hasAlpha: alpha != nil, sRGB: image.metadata.sRGB, quality: UInt8(quality))
    let track = TrackHeader(
      modality: .image, codec: CodecID.overfittedImage, model: modelID,
      configuration: try configuration.serialised()[...])
    let payload = ImagePayload(alpha: alpha.map { $0[...] }, latents: stream[...])
    return try Container(
      tracks: [track], metadata: image.metadata.chunks(track: 0), payloads: [Payload(data: try payload.serialised()[...])]
    ).serialised()
  }
}
