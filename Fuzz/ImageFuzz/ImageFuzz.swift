// The payload of the image codec under libFuzzer, behind a good container: any bytes either give a picture of the
// declared size or are refused. The first four bytes choose size, colour, alpha and quality.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzImage(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: start, count: count))
  guard input.count >= 4 else { return 0 }
  let configuration = ImageConfiguration(
    width: UInt16(input[0] % 70) + 1, height: UInt16(input[1] % 70) + 1, colour: input[2] & 1 == 0 ? .rgb : .grey,
    hasAlpha: input[2] & 2 != 0, quality: input[3] % 101)
  let payload: ArraySlice<UInt8>
  if configuration.hasAlpha, input[2] & 4 != 0 {
    // A whole plane coded for real, so that mutations of the latents behind it are reached too.
    let pixels = Int(configuration.width) * Int(configuration.height)
    let plane = (0..<pixels).map { input[4 + $0 % max(input.count - 4, 1) - (input.count == 4 ? 1 : 0)] }
    let coded = plane.withUnsafeBufferPointer {
      PlaneCoder.encode($0, width: Int(configuration.width), height: Int(configuration.height))
    }
    let decoded = try? PlaneCoder.decode(coded, width: Int(configuration.width), height: Int(configuration.height))
    precondition(decoded == plane, "alpha goes there and back")
    payload = try! ImagePayload(alpha: coded[...], latents: input[4...]).serialised()[...]
  } else {
    payload = input[4...]
  }
  let track = TrackHeader(
    modality: .image, codec: CodecID.hyperpriorImage, model: 1, configuration: try! configuration.serialised()[...])
  let file = try! Container(tracks: [track], payloads: [Payload(data: payload)]).serialised()
  var options = ImageDecoder.Options()
  options.threads = 1
  guard let image = try? ImageDecoder(options: options).decode(file) else { return 0 }
  precondition(image.width == configuration.width && image.height == configuration.height, "the declared size")
  precondition((image.alpha != nil) == configuration.hasAlpha && image.channels == configuration.colour.channels)
  return 0
}
