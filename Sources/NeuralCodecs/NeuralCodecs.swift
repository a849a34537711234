/// Learned codecs for images, on an ordinary CPU: `ImageEncoder` and `ImageDecoder`, and the `Image` between them.
@_exported public import Coding
@_exported public import ImageCodec
@_exported public import Media
