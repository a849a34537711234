import Bitstream
import Glibc

/// What a channel's filters are given: pulses of the pitch that frames tell, cosines of all harmonics up to 11.5 kHz, and noise. Both have an
/// effective value of 1, and are 0 outside the frames' sound.
// bitstream-spec 12.5
struct TokenExcitation {
  private let mode: TokenMode
  private let channel: UInt64
  /// Pulses and noise from sample `start` on.
  private var pulses: [Float] = []
  private var noise: [Float] = []
  private var start: Int
  /// Frames that pitches are known of, and the last one's, Hz.
  private var frames: Int
  private var pitch: Double?
  /// Of a turn, since the last restart.
  private var phase = 0.0
  private var isComplete = false

  private static let highest = 11_500.0
  private static let lowestPitch: Float = 55
  private static let reach = 4

  /// `frame` is the first whose logits are given.
  init(_ mode: TokenMode, channel: Int, from frame: Int, _ access: TokenAccess) {
    self.mode = mode
    self.channel = UInt64(channel) << 40
    frames = frame
    start = access.pulses * mode.hop
  }

  /// The next frame's.
  mutating func append(logits: UnsafePointer<Float>) {
    let next = Double(Self.pitch(logits)), middle = frames * mode.hop + mode.hop / 2
    // Up to the middle of this frame. Before the first frame's middle its pitch counts.
    extend(to: middle, from: pitch ?? next, to: next, of: middle - mode.hop)
    pitch = next
    frames += 1
  }

  /// There are no more frames: behind the last one's middle its pitch counts.
  mutating func finish() {
    if let pitch { extend(to: frames * mode.hop, from: pitch, to: pitch, of: frames * mode.hop) }
    isComplete = true
  }

  /// The mean bin around the likeliest one, in Hz.
  private static func pitch(_ logits: UnsafePointer<Float>) -> Float {
    var best = 0
    for bin in 1..<TokenGeometry.pitches where logits[bin] > logits[best] { best = bin }
    var (total, sum): (Float, Float) = (0, 0)
    for bin in max(0, best - reach)...min(TokenGeometry.pitches - 1, best + reach) {
      let weight = expf(logits[bin] - logits[best])
      total += weight
      sum += weight * Float(bin)
    }
    return lowestPitch * exp2f(sum / total / 60)
  }

  /// Samples up to `end`, of a pitch that goes from `first` half a sample before `middle`, a frame's, to `second` one hop later.
  private mutating func extend(to end: Int, from first: Double, to second: Double, of middle: Int) {
    for sample in start + pulses.count..<max(end, start + pulses.count) {
      if sample % (TokenAccess.restart * mode.hop) == 0 { phase = 0 }
      let part = min(1, (Double(sample - middle) + 0.5) / Double(mode.hop))
      let frequency = first * (1 - part) + second * part
      phase += frequency / Double(TokenGeometry.sampleRate)
      phase -= phase.rounded(.down)
      let harmonics = (Self.highest / frequency).rounded(.down), angle = 2 * Double.pi * phase, below = sin(angle / 2)
      let ratio = abs(below) < 1e-5 ? 2 * harmonics + 1 : sin((harmonics + 0.5) * angle) / below
      pulses.append(Float(0.5 * (ratio - 1) * (2 / harmonics).squareRoot()))
      noise.append(Self.noise(channel &+ UInt64(sample)))
    }
  }

  /// SplitMix64's finaliser: evenly distributed, of effective value 1.
  private static func noise(_ number: UInt64) -> Float {
    var x = number
    x = (x ^ (x >> 30)) &* 0xBF58_476D_1CE4_E5B9
    x = (x ^ (x >> 27)) &* 0x94D0_49BB_1331_11EB
    x ^= x >> 31
    return Float(((Double(x >> 40) + 0.5) * 0x1p-23 - 1) * 3.0.squareRoot())
  }

  /// Whether all is known that the window of a frame has.
  func reaches(windowOf frame: Int) -> Bool {
    isComplete || start + pulses.count >= frame * mode.hop + mode.windowStart + TokenGeometry.window
  }

  /// Multiplied by the window.
  func copyPulses(windowOf frame: Int, to values: UnsafeMutablePointer<Float>) { copy(pulses, frame, values) }
  func copyNoise(windowOf frame: Int, to values: UnsafeMutablePointer<Float>) { copy(noise, frame, values) }

  private func copy(_ source: [Float], _ frame: Int, _ values: UnsafeMutablePointer<Float>) {
    let first = frame * mode.hop + mode.windowStart - start, window = TokenWindow.values
    let low = min(TokenGeometry.window, max(0, -first)), high = max(low, min(TokenGeometry.window, source.count - first))
    for n in 0..<low { values[n] = 0 }
    for n in low..<high { values[n] = window[n] * source[first + n] }
    for n in high..<TokenGeometry.window { values[n] = 0 }
  }

  /// What the windows of this and later frames do not have is not needed any more.
  mutating func forget(before frame: Int) {
    let count = min(pulses.count, max(0, frame * mode.hop + mode.windowStart - start))
    pulses.removeFirst(count)
    noise.removeFirst(count)
    start += count
  }
}
