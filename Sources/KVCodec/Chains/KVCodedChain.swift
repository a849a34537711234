import Bitstream

/// A chain of a cache, as an encoder or a decoder goes along it.
final class KVCodedChain<Scales> {
  let plan: KVChainPlan
  let chain: KVChain
  let parts: [KVBlockPlan.Part]
  let turns: KVTurns?
  /// The links, where they come from a profile.
  let profiled: [KVProfiledLink]?
  /// Of all links; nil before the segment's first token.
  var scales: Scales?

  private init(_ plan: KVChainPlan, _ shape: KVLayerGroup, _ turns: KVTurns?, _ profiled: [KVProfiledLink]?, forEncoding: Bool) {
    (self.plan, self.turns, self.profiled) = (plan, turns, profiled)
    parts = KVBlockPlan(shape).blocks[plan.block].parts
    chain = profiled.map { KVChain($0) } ?? KVChain(width: plan.width, links: plan.layers.count, forEncoding: forEncoding)
  }

  /// Those of layers of `shapes`, which are the first of the configuration's.
  static func all(
    of shapes: [KVLayerGroup], _ configuration: KVConfiguration, _ profile: KVProfile?, forEncoding: Bool, threads: Int
  ) -> [KVCodedChain] {
    let known = profile?.chains(forEncoding: forEncoding, threads: threads)
    return KVChainPlan.chains(of: shapes).enumerated().map { number, plan in
      let shape = shapes[plan.layers[0]]
      let profiled = known.map { $0[number].prefix(plan.layers.count).map(KVProfiledLink.init) }
      return KVCodedChain(plan, shape, configuration.turns(in: shape), profiled, forEncoding: forEncoding)
    }
  }
}
