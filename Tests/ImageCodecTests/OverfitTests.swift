import ImageCodec
import Media
import NeuralCodecs
import Testing

@Suite struct OverfitTests {
  @Test(arguments: overfitArchitectures) func whatIsWrittenComesBack(_ architecture: OverfitArchitecture) throws {
    let sample = try OverfitSample(architecture)
    let bytes = try sample.stream()
    let stream = try OverfitStream.parse(
      bytes[...], width: architecture.width, height: architecture.height, outputs: architecture.outputs, modelID: 0)
    #expect(stream.architecture == architecture)
    #expect(stream.parameters == sample.parameters)
    #expect(stream.formats == sample.formats)
    let network = try OverfitNetwork(stream.parameters, formats: stream.formats)
    #expect(try OverfitEntropyModel(network, threads: 1).decode(stream) == sample.grids)
    #expect(try ImageDecoder().decode(sample.file()).samples == sample.samples())
  }
}
