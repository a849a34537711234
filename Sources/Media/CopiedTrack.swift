/// A sound track that is carried along in its own codec: what a player of that codec must know beside the packets.
public struct CopiedTrack: Sendable, Hashable {
  /// libavcodec's name, such as "aac" or "opus".
  public var codec: String
  /// Seconds of a tick.
  public var timeBase: Rational
  /// Hz
  public var sampleRate: Int
  public var layout: ChannelLayout
  /// The codec's own header, such as AAC's AudioSpecificConfig.
  public var extradata: [UInt8] = []
  /// Bits a second; 0 where not known. So are the next five: bits of a sample as coded and as meant, bytes of a block, samples of a packet,
  /// and libavcodec's number of the profile plus 1.
  public var bitRate = 0
  public var bitsPerCodedSample = 0
  public var bitsPerRawSample = 0
  public var blockAlign = 0
  public var frameSize = 0
  public var profile = 0
  /// Samples that a decoder gives before the sound begins.
  public var initialPadding = 0
  /// Samples that have to be decoded before a place in the midst for the sound there to be right.
  public var seekPreroll = 0
  /// ISO 639, such as "eng"; empty where not known.
  public var language = ""

  public init(codec: String, timeBase: Rational, sampleRate: Int, layout: ChannelLayout) {
    (self.codec, self.timeBase, self.sampleRate, self.layout) = (codec, timeBase, sampleRate, layout)
  }
}

/// A packet of a copied track. Times never descend within a track.
public struct CopiedPacket: Sendable, Hashable {
  /// When its first sample is heard, in ticks of the track. May be negative: sound before time 0 only prepares the decoder.
  public var time: Int64
  /// When it is to be decoded; of sound the same, as a rule.
  public var decodingTime: Int64
  /// In ticks; at least 0. What it would be if nothing were left out.
  public var duration: Int64
  /// Whether decoding can begin here.
  public var isKey: Bool
  /// Samples at its beginning and its end that are decoded and not heard.
  public var skippedAtStart: Int
  public var skippedAtEnd: Int
  /// As it was in the source, bit for bit.
  public var data: [UInt8]

  public init(
    time: Int64, decodingTime: Int64? = nil, duration: Int64, isKey: Bool = true, skippedAtStart: Int = 0, skippedAtEnd: Int = 0, data: [UInt8]
  ) {
    (self.time, self.decodingTime, self.duration, self.isKey) = (time, decodingTime ?? time, duration, isKey)
    (self.skippedAtStart, self.skippedAtEnd, self.data) = (skippedAtStart, skippedAtEnd, data)
  }
}
