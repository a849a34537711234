import Glibc

/// What parameters cost beyond their expected values, as a term of the loss: about the bits that a Laplace distribution
/// takes whose scale is the group's own mean deviation,
///
///     weight * sum over groups of n log2(1 + mean |value - centre| / step)
///
/// so that parameters stay where they are expected unless it pays that they move.
package final class ParameterRate: Operation {
  package struct Group {
    package let members: [(parameter: Parameter, centre: [Float])]
    /// Deviations well below this cost next to nothing.
    package let step: Float

    package init(members: [(parameter: Parameter, centre: [Float])], step: Float) {
      for (parameter, centre) in members { precondition(parameter.count == centre.count, "a centre for every element") }
      (self.members, self.step) = (members, step)
    }
  }

  /// What a bit adds to the loss.
  package var weight: Float
  package let targets: [Variable] = []
  package let parameters: [Parameter]
  private let groups: [Group]

  package init(_ groups: [Group], weight: Float) {
    self.groups = groups
    self.weight = weight
    parameters = groups.flatMap { $0.members.map(\.parameter) }
  }

  package func forward(_ pass: Pass) {
    for group in groups {
      var sum: Float = 0
      var count: Float = 0
      for (parameter, centre) in group.members {
        for i in 0..<parameter.count { sum += (parameter.value[i] - centre[i]).magnitude }
        count += Float(parameter.count)
      }
      let reach = sum / count + group.step
      pass.addLoss(Double(weight * count * log2f(reach / group.step)))
      guard pass.trains else { continue }
      // Near the centre the slope is smoothed, so that parameters come to rest.
      let slope = weight * 1.44269504 / reach
      let soft = group.step / 4
      for (parameter, centre) in group.members {
        for i in 0..<parameter.count {
          let d = parameter.value[i] - centre[i]
          parameter.gradient[i] += slope * d / (d.magnitude + soft)
        }
      }
    }
  }

  package func backward(_ pass: Pass) {}
}
