import Autograd
import Bitstream
import Coding
import Glibc
import Media

extension NetworkSegments {
  /// What this build fits: HNeRV, NeRV and NIRVANA.
  package static let fits = SegmentFits(
    start: { frames, settings in try FittedSegment(frames, settings) },
    resume: { frames, settings, state in
      let fit = try FittedSegment(frames, settings)
      guard fit.fit.restore(state) else { throw CodecError(.malformed, "the checkpoint's fit is damaged. Remove it to begin anew.") }
      return fit
    }, open: open)
}

/// A network that is fitted to frames in memory.
private final class FittedSegment: SegmentFitting {
  let fit: any NetworkFit

  init(_ frames: [VideoFrame], _ settings: SegmentSettings) throws(CodecError) {
    let (width, height) = (frames[0].width, frames[0].height)
    let architecture = NeRVArchitecture.of(
      settings.codec, width: width, height: height, frames: frames.count,
      parameters: settings.parameters(pixels: width * height, frames: frames.count), cheapBlocks: settings.cheapBlocks)
    guard architecture.parameterCount <= SegmentReader.maximumWeights else {
      throw CodecError(
        .invalidOption, "a network of \(architecture.parameterCount) weights is more than the \(SegmentReader.maximumWeights) of a file. Ask for less.")
    }
    let all = architecture.groups(frames: frames.count) * architecture.parameterCount
    guard all <= NeRVArchitecture.maximumGroupedParameters else {
      throw CodecError(
        .invalidOption,
        "groups of \(all) weights together are more than the \(NeRVArchitecture.maximumGroupedParameters) of a segment. Ask for less, or for shorter ones.")
    }
    var nerv = NeRVSettings()
    nerv.epochs = settings.epochs
    if case .bitsPerPixel(let bits) = settings.rate { nerv.cost = .bits(bits * Double(width * height * frames.count)) }
    fit = architecture.fit(frames: frames.count, settings: nerv) { number, target in frames[number].load(into: target) }
  }

  var iteration: Int { fit.iteration }
  var iterations: Int { fit.iterations }
  var psnr: Double? { fit.iteration == 0 ? nil : fit.psnr }
  var estimatedBits: Double? { fit.bits }

  func step(threads: Int) { fit.step(threads: threads) }

  func finish(threads: Int) throws -> [UInt8] {
    do {
      return try SegmentWriter.bytes(of: fit.segment(threads: threads))
    } catch {
      throw CodecError(.invalidOption, error.description)
    }
  }

  func checkpoint() -> [UInt8] { fit.state }
}

extension NeRVArchitecture {
  /// About `parameters` numbers, embeddings of all frames included.
  package static func of(
    _ codec: VideoEncoder.Codec, width: Int, height: Int, frames: Int, parameters: Int, cheapBlocks: Bool = false
  ) -> NeRVArchitecture {
    switch codec {
    case .hnerv: hnerv(width: width, height: height, frames: frames, parameters: parameters, cheapBlocks: cheapBlocks)
    case .nerv: nerv(width: width, height: height, parameters: parameters)
    case .nirvana: nirvana(width: width, height: height, parameters: parameters)
    case .nervpp: nervpp(width: width, height: height, parameters: parameters)
    }
  }

  /// A fit of so many frames; `load` puts one's samples, 0...1, into a variable [3, h, w] that may be larger than it.
  package func fit(frames: Int, settings: NeRVSettings, load: @escaping (Int, Variable) -> Void) -> any NetworkFit {
    groupFrames == nil
      ? NeRVFit(self, frames: frames, settings: settings, load: load) : NIRVANAFit(self, frames: frames, settings: settings, load: load)
  }
}

extension SegmentSettings {
  /// Numbers of a network for so many frames of a size.
  fileprivate func parameters(pixels: Int, frames: Int) -> Int {
    let bitsPerPixel: Double
    switch rate {
    case .parameters(let count): return count
    case .bitsPerPixel(let bits): bitsPerPixel = bits
    // Twice as many bits each 14 steps, and fewer a pixel the more there are: 0.002, 0.024 and 0.28 for qualities 0, 50 and 100 at 1280x640.
    case .quality(let quality): bitsPerPixel = 0.002 * exp2(quality / 14) * (819_200 / Double(pixels)).squareRoot()
    }
    let numbers = bitsPerPixel * Double(pixels * frames) / NeRVFit.balancedBits
    let own = codec == .nirvana ? NIRVANAFit.firstShare(groups: (frames - 1) / NeRVArchitecture.nirvanaGroup + 1) : 1
    return Int(min(Double(SegmentReader.maximumWeights), max(1, own * numbers)))
  }
}

extension VideoFrame {
  /// Puts the samples, as 0...1, into a variable [3, h, w]; where that is larger, the last column and row go on.
  package func load(into variable: Variable) {
    withUnsafeSamples { samples in
      for channel in 0..<3 {
        for y in 0..<variable.height {
          let row = samples.baseAddress! + channel * pixelCount + min(y, height - 1) * width
          let out = variable.value + variable.offset(channel: channel, row: y)
          for x in 0..<width { out[x] = Float(row[x]) * (1 / 255) }
          for x in width..<max(width, variable.width) { out[x] = out[width - 1] }
        }
      }
    }
  }
}
