import Foundation
import ImageCodec
import Testing

/// Times of the integer side on pictures made up from chance, which are harder to code and to write as PNG than real
/// ones. Runs where NCCODEC_TIMES names a folder, and leaves the pictures' files there for `nccodec decode`:
///
///     NCCODEC_TIMES=/tmp swift test -c release --filter OverfitTimes
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["NCCODEC_TIMES"] != nil))
struct OverfitTimes {
  @Test(arguments: [OverfitArchitecture.Preset.low, .medium, .high], [(768, 512), (2000, 1333)])
  func decoding(preset: OverfitArchitecture.Preset, size: (width: Int, height: Int)) throws {
    let folder = URL(filePath: ProcessInfo.processInfo.environment["NCCODEC_TIMES"]!)
    let architecture = OverfitArchitecture(preset: preset, width: size.width, height: size.height)
    for activity: Float in [0.5, 1.05] {
      let sample = try OverfitSample(architecture, activity: activity)
      let file = try sample.file(threads: 2)
      try Data(file).write(to: folder.appending(path: "overfit-\(preset.cost)-\(size.width)-\(activity).ncb"))
      let stream = try OverfitStream.parse(
        try sample.stream(threads: 2)[...], width: size.width, height: size.height, outputs: 3, modelID: 0)
      let network = try OverfitNetwork(sample.parameters, formats: sample.formats)
      let model = OverfitEntropyModel(network, threads: 1)
      let symbols = best { #expect((try? model.decode(stream)) == sample.grids) }
      let synthesis = best { #expect(!OverfitSynthesis(network, threads: 1).samples(sample.grids).isEmpty) }
      let cost = best { #expect(model.bits(sample.grids).allSatisfy { $0 >= 0 }) }
      let bpp = 8 * Double(file.count) / Double(size.width * size.height)
      print(
        "\(preset.cost) MAC/px (counted \(architecture.multipliesPerPixel)), \(size.width)x\(size.height), \(bpp) bpp:",
        "symbols \(symbols) ms, synthesis \(synthesis) ms; cost \(cost) ms; one thread")
    }
  }

  /// Milliseconds of the fastest of five runs.
  private func best(_ body: () -> Void) -> Double {
    let all = (0..<5).map { _ in ContinuousClock().measure(body) / .milliseconds(1) }
    return (all.min()! * 10).rounded() / 10
  }
}
