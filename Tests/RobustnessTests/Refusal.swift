import Coding
import ImageCodec
import Testing

/// How bytes are refused; nil where they decode.
func code(of bytes: [UInt8], options: ImageDecoder.Options = .init()) -> CodecError.Code? {
  do {
    _ = try ImageDecoder(options: options).decode(bytes)
    return nil
  } catch let error as CodecError {
    // One line for people, that says something.
    #expect(!error.description.isEmpty && !error.description.contains("\n"))
    return error.code
  } catch {
    Issue.record("not a CodecError: \(error)")
    return nil
  }
}
