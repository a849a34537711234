import Bitstream
public import Coding
import Media

/// What an `.ncb` file says of itself: every header field and what each section takes. No model is needed, and nothing
/// is decoded but the grids of an overfitted picture, whose shares show in no other way; checksums are checked.
public struct ImageFile: Sendable {
  /// The picture that a codec known here made.
  public struct Picture: Sendable, Equatable {
    /// In pixels.
    public let width: Int
    public let height: Int
    public let colour: Image.Colour
    public let hasAlpha: Bool
    /// 0...100
    public let quality: Int
    /// Bytes of the payload that are alpha, its length field included, and latents, which for an overfitted picture is
    /// all the rest. 0 where the payload is damaged.
    public let alphaBytes: Int
    public let latentBytes: Int
    /// What an overfitted picture spends its bytes on; nil for other codecs, and where the payload is damaged or too
    /// large to decode.
    public let overfit: OverfitDetails?
  }

  public let byteCount: Int
  /// Of the first image track; nil if there is none.
  public let codec: UInt32?
  public let model: UInt32?
  /// Nil where the file has no picture in a codec known here.
  public let picture: Picture?
  /// Bytes by purpose; they add up to `byteCount`.
  public let payloadBytes: Int
  public let metadataBytes: Int
  public let containerBytes: Int
  public let chunkCount: Int
  /// Every field of every structure, a line each, indented by depth; and as a JSON object.
  public let fieldText: String
  public let fieldJSON: String

  /// 8 * bytes / pixels; nil without a picture.
  public var bitsPerPixel: Double? {
    picture.map { 8 * Double(byteCount) / (Double($0.width) * Double($0.height)) }
  }

  /// Throws `CodecError` for what is no readable `.ncb` file.
  public init(reading bytes: [UInt8]) throws(CodecError) { try self.init(reading: MemorySource(bytes)) }

  /// Of a file on disk, chunk by chunk.
  package init(reading source: some ByteSource) throws(CodecError) {
    do {
      var limits = ContainerLimits()
      limits.maxFileBytes = max(limits.maxFileBytes, source.byteCount)
      let reader = try ContainerReader(source, limits: limits)
      let report = try reader.report()
      (fieldText, fieldJSON) = (report.text, report.json)
      byteCount = source.byteCount
      chunkCount = reader.chunks.count
      let sections = reader.sections
      payloadBytes = sections.first { $0.name == "payloads" }?.byteCount ?? 0
      metadataBytes = sections.first { $0.name == "metadata" }?.byteCount ?? 0
      containerBytes = byteCount - payloadBytes - metadataBytes
      let number = reader.tracks.firstIndex { $0.modality == .image }
      codec = number.map { reader.tracks[$0].codec }
      model = number.map { reader.tracks[$0].model }
      picture = try number.flatMap { number throws(BitstreamError) in try Picture(track: number, of: reader) }
    } catch {
      throw CodecError(error)
    }
  }

  /// Whether the bytes start as those of an intact `.ncb` file do.
  public static func isOne(_ bytes: [UInt8]) -> Bool { bytes.starts(with: Magic.bytes) }
}

extension ImageFile.Picture {
  fileprivate init?(track number: Int, of reader: ContainerReader<some ByteSource>) throws(BitstreamError) {
    let track = reader.tracks[number]
    guard [CodecID.hyperpriorImage, CodecID.overfittedImage].contains(track.codec) else { return nil }
    // A picture too large to decode can be described all the same.
    let configuration = try ImageConfiguration(
      parsing: track.configuration, limits: ContainerLimits(maxPixels: Int(UInt32.max)))
    width = Int(configuration.width)
    height = Int(configuration.height)
    colour = configuration.colour == .grey ? .grey : .rgb
    hasAlpha = configuration.hasAlpha
    quality = Int(configuration.quality)
    var sizes = (alpha: 0, latents: 0)
    var details: OverfitDetails?
    if let unit = reader.units.first(where: { $0.track == UInt32(number) }) {
      let data = try reader.payload(unit).data
      let blank = ImagePayload(alpha: hasAlpha ? [] : nil, latents: [])
      if let payload = try? ImagePayload.parse(data, into: blank, named: "picture") {
        sizes = (data.count - payload.latents.count, payload.latents.count)
        if track.codec == CodecID.overfittedImage {
          details = try? OverfitDetails(payload.latents, configuration, modelID: track.model)
        }
      }
    }
    (alphaBytes, latentBytes) = sizes
    overfit = details
  }
}

extension Image {
  /// CRC-32 of the samples `[height, width, channels]`, then the alpha plane `[height, width]` if there is one: equal
  /// wherever the same file was decoded.
  public var samplesCRC32: UInt32 {
    let colour = Checksum.crc32(samples[...])
    guard let alpha else { return colour }
    return Checksum.crc32(alpha[...], seed: colour)
  }
}
