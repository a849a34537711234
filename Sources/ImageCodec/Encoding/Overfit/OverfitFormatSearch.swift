import CKernels
import Coding
import Tensors

/// Formats from what a picture's activations really are.
extension OverfitFormats {
  /// The most fraction bits for which no activation of this picture saturates, with an eighth to spare.
  ///
  /// Throws `CodecError` (malformed) where the parameters fit no format.
  package static func fitted(
    _ parameters: OverfitParameters, grids: [[Int8]], threads: Int
  ) throws(CodecError) -> OverfitFormats {
    let limits = Limits(parameters, grids: grids)
    // Coarse formats first, which hardly anything saturates; each finding then gives the next more room.
    var formats = limits.reachable(OverfitFormats(planes: max(0, min(12, limits.planes) - 3), hidden: 6, outputs: 9))
    for _ in 0..<2 {
      let network = try OverfitNetwork(parameters, formats: formats)
      let found = OverfitSynthesis(network, threads: threads).maxima(grids)
      let better = { (f: Int, maximum: Int) in max(0, f + Limits.bits(max(1, maximum + maximum / 8))) }
      formats = limits.reachable(
        OverfitFormats(
          planes: better(formats.planes, found.planes), hidden: better(formats.hidden, found.hidden),
          outputs: better(formats.outputs, found.outputs)))
    }
    return formats
  }

  /// What bitstream-spec 9.2 and 9.4 let formats be for these parameters and grids.
  private struct Limits {
    /// Fraction bits that the largest latent leaves to planes.
    let planes: Int
    private let steps: [OverfitGroupKind: Int]

    init(_ parameters: OverfitParameters, grids: [[Int8]]) {
      let architecture = parameters.architecture
      steps = Dictionary(uniqueKeysWithValues: zip(architecture.groups.map(\.kind), parameters.steps))
      var largest = 1
      for (grid, values) in zip(architecture.grids, grids) where architecture.isPlane(grid) {
        largest = max(largest, OverfitEntropyModel.magnitudes([values])[0])
      }
      planes = Self.bits(largest)
    }

    /// How often a magnitude may be doubled within an Int16.
    static func bits(_ magnitude: Int) -> Int { Int.bitWidth - 1 - (32767 / magnitude).leadingZeroBitCount }

    /// The nearest formats that are allowed: shifts are not negative, and biases below 8 fit their sums.
    func reachable(_ f: OverfitFormats) -> OverfitFormats {
      let planes = min(f.planes, planes, 15, 27 - steps[.firstWeights]!, 27 - steps[.stabiliserWeights]!)
      let hidden = min(f.hidden, 15, planes + steps[.firstWeights]!, 27 - steps[.secondWeights]!)
      let last = [steps[.convolution0Weights], steps[.convolution1Weights], steps[.convolution2Weights]]
      let outputs = min(
        f.outputs, 15, hidden + steps[.secondWeights]!, planes + steps[.stabiliserWeights]!,
        27 - last.compactMap { $0 }.reduce(0, max))
      return OverfitFormats(planes: planes, hidden: hidden, outputs: max(1, outputs))
    }
  }
}

extension OverfitSynthesis {
  /// The largest magnitudes among planes, hidden channels and outputs of the network's layers, in their formats.
  func maxima(_ grids: [[Int8]]) -> (planes: Int, hidden: Int, outputs: Int) {
    let a = network.architecture
    let samples = UnsafeMutablePointer<UInt8>.allocate(capacity: a.width * a.height * a.outputs)
    defer { samples.deallocate() }
    nonisolated(unsafe) let out = samples
    var coarser = 0
    func see(_ planes: Planes) {
      // Beyond its width a row holds anything.
      for row in 0..<planes.count * planes.height {
        for value in planes.values[row * planes.pitch..<row * planes.pitch + planes.width] {
          coarser = max(coarser, Int(value.magnitude))
        }
      }
    }
    return withBands(grids, onLevel: see) { view, bands in
      let found = [[Int]](unsafeUninitializedCapacity: bands) { results, count in
        nonisolated(unsafe) let results = results
        nonisolated(unsafe) let view = view
        parallelFor(bands, threads: threads) { band in
          let capacity = Self.scratch(view)
          let scratch = UnsafeMutablePointer<Int16>.allocate(capacity: capacity)
          scratch.initialize(repeating: 0, count: capacity)
          defer { scratch.deallocate() }
          var copy = view
          run(band, view, into: out, scratch: scratch)
          var maxima = [Int32](repeating: 0, count: 3)
          let rows = min((band + 1) * Self.bandRows, a.height) - band * Self.bandRows
          nc_overfit_band_maxima(kernel.linear, &copy, rows, scratch, &maxima)
          (results.baseAddress! + band).initialize(to: maxima.map(Int.init))
        }
        count = bands
      }
      func largest(_ i: Int) -> Int { found.map { $0[i] }.max()! }
      return (max(largest(0), coarser), largest(1), largest(2))
    }
  }
}
