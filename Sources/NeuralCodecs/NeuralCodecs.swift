/// Learned codecs on an ordinary CPU: `ImageEncoder` and `ImageDecoder` with the `Image` between them, `AudioEncoder` and
/// `AudioDecoder` with the `AudioBuffer`, `VideoEncoder` and `VideoDecoder` with the `VideoFrame`, `KVCacheEncoder` and
/// `KVCacheDecoder` with the `KVCache`.
@_exported public import AudioCodec
@_exported public import Coding
@_exported public import ImageCodec
@_exported public import KVCodec
@_exported public import Media
@_exported public import VideoCodec
