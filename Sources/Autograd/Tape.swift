import CKernels
import Tensors

/// One step of a static graph. An operation owns its outputs and its scratch memory; nothing is allocated in a run.
///
/// Gradients: an operation adds the loss's derivative to the gradients of `targets` in `backward`, and of
/// `forwardTargets` in `forward` when `pass.trains` (for terms of the loss, whose gradient needs nothing from later
/// operations). It asks `pass.accumulates(i)` about its i-th target: true means add, false means that nothing is there
/// yet and that it must store to all of it. Gradients of parameters are zeroed before each run; always add to them.
///
/// Results must not depend on the number of threads: cut work by shape alone, reduce partial sums in a fixed order.
package protocol Operation: AnyObject {
  /// Variables to whose gradients `backward` contributes. Constant over the operation's life; no constants among them.
  var targets: [Variable] { get }
  /// Variables to whose gradients `forward` contributes when `pass.trains`.
  var forwardTargets: [Variable] { get }
  /// Parameters that the operation uses and whose gradients it adds to.
  var parameters: [Parameter] { get }

  func forward(_ pass: Pass)
  func backward(_ pass: Pass)
}

extension Operation {
  package var forwardTargets: [Variable] { [] }
  package var parameters: [Parameter] { [] }
}

/// What an operation needs to know about the run that it is part of.
package final class Pass {
  /// For parallelFor.
  package fileprivate(set) var threads = 1
  /// Of the fit; with an operation's seed it determines its noise.
  package fileprivate(set) var iteration = 0
  /// Whether `backward` follows, so that `forward` should keep what that needs.
  package fileprivate(set) var trains = false
  /// Sum of the terms so far.
  package fileprivate(set) var loss = 0.0
  /// The kernels of this target's operators.
  let kernels: UnsafePointer<nc_planes>
  let tiles: UnsafePointer<nc_tiles>
  fileprivate var flags: [Bool] = []

  init(kernels: UnsafePointer<nc_planes>) {
    self.kernels = kernels
    tiles = nc_tiles_at(kernels.pointee.level)
  }

  /// Whether the gradient of target i (of `targets` in backward, `forwardTargets` in forward) already holds a part of
  /// the sum; if not, the operation stores instead of adding.
  package func accumulates(_ i: Int) -> Bool { flags[i] }

  /// Whether part i of a sum is among those that stand for all, every n-th, in each iteration others.
  func samples(_ i: Int, every n: Int) -> Bool { (i + iteration) % n == 0 }

  /// Adds a term to the loss.
  package func addLoss(_ term: Double) { loss += term }
}

/// This target's kernels of a level that the CPU must have; nil for the best.
func planeKernels(_ level: Kernels.Level?) -> UnsafePointer<nc_planes> {
  guard let table = nc_planes_at(level?.rawValue ?? nc_kernels_current().pointee.level) else {
    preconditionFailure("this CPU lacks \(level!)")
  }
  return table
}

/// A static graph: operations in the order in which they run, made once and replayed for every iteration.
package final class Tape {
  private var operations: [any Operation] = []
  private var trained: [Parameter] = []
  private var plan: Plan?
  private let pass: Pass

  /// - Parameter level: SIMD level of this target's own kernels, at most what the CPU has; nil for the best.
  package init(level: Kernels.Level? = nil) {
    pass = Pass(kernels: planeKernels(level))
  }

  /// - Returns: the operation itself.
  @discardableResult
  package func append<Op: Operation>(_ operation: Op) -> Op {
    for target in operation.targets + operation.forwardTargets {
      precondition(target.gradient != nil, "\(target.name) is a constant and has no gradient")
    }
    operations.append(operation)
    for parameter in operation.parameters where !trained.contains(where: { $0 === parameter }) {
      trained.append(parameter)
    }
    plan = nil
    return operation
  }

  /// Every parameter that an operation has named, in the order of first use.
  package var parameters: [Parameter] { trained }

  /// Forward in order, then backward in reverse. Afterwards every gradient is that of the returned loss.
  /// - Returns: the sum of the loss's terms, the same for any number of threads.
  @discardableResult
  package func run(threads: Int, iteration: Int) -> Double {
    let plan = self.plan ?? makePlan()
    begin(threads: threads, iteration: iteration, trains: true)
    for parameter in trained { parameter.zeroGradient() }
    for i in operations.indices {
      plan.forward[i].apply(to: pass)
      operations[i].forward(pass)
    }
    for i in stride(from: operations.count - 1, through: 0, by: -1) {
      plan.backward[i].apply(to: pass)
      operations[i].backward(pass)
    }
    return pass.loss
  }

  /// Forward alone; gradients stay as they are.
  /// - Returns: the sum of the loss's terms.
  @discardableResult
  package func forward(threads: Int, iteration: Int) -> Double {
    begin(threads: threads, iteration: iteration, trains: false)
    for operation in operations { operation.forward(pass) }
    return pass.loss
  }

  private func begin(threads: Int, iteration: Int, trains: Bool) {
    pass.threads = threads
    pass.iteration = iteration
    pass.trains = trains
    pass.loss = 0
    pass.flags = []
  }

  /// What is decided once about an operation's gradients: who writes first, and which planes to zero before it adds to
  /// a target that was written in part.
  private struct Step {
    var flags: [Bool] = []
    var zero: [Variable] = []

    func apply(to pass: Pass) {
      pass.flags = flags
      for variable in zero { variable.zeroGradient() }
    }
  }

  private struct Plan {
    var forward: [Step] = []
    var backward: [Step] = []
  }

  private func makePlan() -> Plan {
    var written: [ObjectIdentifier: [Bool]] = [:]
    func step(_ targets: [Variable]) -> Step {
      var step = Step()
      for target in targets {
        let key = ObjectIdentifier(target.storage)
        var planes = written[key] ?? [Bool](repeating: false, count: target.storage.channels)
        let range = target.firstChannel..<target.firstChannel + target.channels
        let some = planes[range].contains(true)
        if some {
          for c in range where !planes[c] { step.zero.append(target.view(c - range.lowerBound..<c - range.lowerBound + 1)) }
        }
        step.flags.append(some)
        for c in range { planes[c] = true }
        written[key] = planes
      }
      return step
    }
    var plan = Plan()
    plan.forward = operations.map { step($0.forwardTargets) }
    plan.backward = operations.reversed().map { step($0.targets) }.reversed()
    self.plan = plan
    return plan
  }
}
