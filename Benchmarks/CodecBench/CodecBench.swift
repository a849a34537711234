import ArgumentParser

/// Measures the image codec through its public interface. `Benchmarks/rd.sh` and `Benchmarks/speed.sh` run it beside
/// its peers.
@main
struct CodecBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "codecbench", abstract: "Measures the image codec.",
    subcommands: [
      RateDistortion.self, DeltaRate.self, Timing.self, Counts.self, OverfitPoint.self, FitSpeed.self,
      VideoDecode.self, VideoFit.self,
    ])
}

/// Why a measurement could not be made.
struct BenchError: Error, CustomStringConvertible {
  let description: String
}
