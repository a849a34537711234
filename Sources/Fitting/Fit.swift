import Autograd
import Glibc

/// How a fit's rates, rounding and noise change over its iterations.
package struct FitSchedule: Sendable {
  /// Iterations of everything under soft rounding.
  package var iterations: Int
  /// Iterations of the networks alone under plain rounding, at the end.
  package var settling: Int
  /// Learning rates at the start; they fall along a cosine.
  package var latentRate: Float = 0.014
  package var weightRate: Float = 0.006
  /// Of the networks while settling.
  package var settlingRate: Float = 1e-4
  /// Soft rounding's temperature at the start and end of the iterations.
  package var temperature: (first: Float, last: Float) = (0.4, 0.065)
  /// Deviation of the noise, in bins.
  package var sigma: (first: Float, last: Float) = (0.18, 0.18)
  /// How much more bits count in the first iteration than at the end, falling by the exponential of the share of `iterations`
  /// done until `rateShare` of them: latents that were given a value too early keep it, so the fit starts with few.
  package var rateFactor: Float = 1.5
  package var rateShare: Float = 0.6
  /// After so many iterations the latents' moments start anew: the first gradients, of a picture that is not there yet, are
  /// many times those that follow, and would make all later steps small. 0: never.
  package var restart = 40
  /// Adam's eps for the latents. One in the middle of its bin has next to no gradient under a low temperature, and shall stay:
  /// without eps its noise would become steps. In the loss's unit for a latent.
  package var latentEps: Float = 1e-8
  /// Largest norm of the networks' gradient.
  package var clipping: Float = 0.1

  package init(iterations: Int, settling: Int) { (self.iterations, self.settling) = (iterations, settling) }

  package var total: Int { iterations + settling }
}

/// Fits what a tape computes: latents that are rounded on the way, by Adam, and networks, by SOAP, so that the tape's loss
/// falls. Knows neither what latents mean nor what the loss is. (The recipe is Cool-chic 5.0's: soft rounding with Gaussian
/// noise and a falling temperature, then plain rounding for the networks.)
///
/// The result depends on the tape, the schedule and the number of iterations alone, not on threads.
package final class Fit {
  package let schedule: FitSchedule
  /// Iterations done.
  package private(set) var iteration = 0
  /// The last iteration's loss, under noise.
  package private(set) var loss = Double.infinity

  private let tape: Tape
  private let roundings: [SoftRound]
  private let parameters: [Parameter]
  private let latentOptimiser: Adam
  private let networkOptimiser = SOAP()

  /// `roundings` round the latents to be fitted; `parameters` are the networks'.
  package init(_ tape: Tape, roundings: [SoftRound], parameters: [Parameter], schedule: FitSchedule) {
    self.tape = tape
    self.roundings = roundings
    self.parameters = parameters
    self.schedule = schedule
    latentOptimiser = Adam(beta1: 0.7, beta2: 0.99, eps: schedule.latentEps)
    for rounding in roundings { latentOptimiser.add(rounding.x) }
    for parameter in parameters { networkOptimiser.add(parameter, rate: parameter.rate) }
  }

  /// By what the caller shall multiply the weight of its bits in the next iteration.
  package var rateFactor: Float {
    let part = Float(iteration) / (Float(max(schedule.iterations, 1)) * schedule.rateShare)
    return part < 1 ? expf(logf(schedule.rateFactor) * (1 - part)) : 1
  }

  package var isDone: Bool { iteration >= schedule.total }

  /// One iteration. Roundings are left as the iteration had them.
  package func step(threads: Int) {
    let settles = iteration >= schedule.iterations
    let part = settles
      ? Float(iteration - schedule.iterations) / Float(max(schedule.settling, 1))
      : Float(iteration) / Float(schedule.iterations)
    for rounding in roundings {
      rounding.mode = settles ? .plain : .soft
      rounding.temperature = schedule.temperature.first + (schedule.temperature.last - schedule.temperature.first) * part
      rounding.sigma = schedule.sigma.first + (schedule.sigma.last - schedule.sigma.first) * part
    }
    loss = tape.run(threads: threads, iteration: iteration)
    let cosine = 0.5 * (1 + cosf(.pi * part))
    clipGradients(parameters, norm: Double(schedule.clipping))
    networkOptimiser.step(rate: (settles ? schedule.settlingRate : schedule.weightRate) * cosine)
    if !settles { latentOptimiser.step(rate: schedule.latentRate * cosine, threads: threads) }
    iteration += 1
    if iteration == schedule.restart { latentOptimiser.reset() }
  }
}
