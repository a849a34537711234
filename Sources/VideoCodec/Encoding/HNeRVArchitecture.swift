import Glibc

extension NeRVArchitecture {
  /// HNeRV (Chen et al. 2023, 3.2 and 4.1): about `parameters` numbers, embeddings of all frames included; of 640x1280 as published. With
  /// `cheapBlocks`, the last two stages that scale, where most of the multiplications are, have kernels of 3 x 3 instead of 5 x 5.
  package static func hnerv(width: Int, height: Int, frames: Int, parameters: Int, cheapBlocks: Bool = false) -> NeRVArchitecture {
    let reduction = 1.2, narrowest = 12
    let strides = strides(width: width, height: height), total = strides.reduce(1, *)
    let (rows, columns) = ((height + total - 1) / total, (width + total - 1) / total)
    let embedding = Embedding(channels: max(2, min(16, 128 / (rows * columns))), height: rows, width: columns)
    let sides = strides.indices.map { min(1 + 2 * $0, cheapBlocks && $0 >= strides.count - 2 ? 3 : 5) }
    let budget = Double(parameters) - Double(embedding.count * frames)
    // Weights are a x^2 + b x for x channels in the beginning, if no stage is at its narrowest.
    var a = 0.0
    for (i, s) in strides.enumerated() { a += pow(reduction, -Double(2 * i)) * Double(s * s * sides[i] * sides[i]) }
    a /= reduction
    let b = Double(embedding.channels * 9)
    var x = max(Int((-b + (b * b + 4 * a * max(budget, 0)).squareRoot()) / (2 * a)), narrowest)
    var stages = [Stage(inputs: embedding.channels, outputs: x, side: 1, factor: 1)]
    for (i, s) in strides.enumerated() {
      // Halves round to even, as in Python.
      let next = max(Int((Double(x) / reduction).rounded(.toNearestOrEven)), narrowest)
      stages.append(Stage(inputs: x, outputs: next, side: sides[i], factor: s))
      x = next
    }
    stages.append(Stage(inputs: x, outputs: 3, side: 3, factor: 1))
    return NeRVArchitecture(width: width, height: height, embedding: embedding, stages: stages)
  }

  /// What the stages scale by, in turn: those whose multiples fit the frame best, and give an embedding of few places.
  package static func strides(width: Int, height: Int) -> [Int] {
    let choices = [
      [5, 4, 4, 2, 2], [4, 4, 4, 2, 2], [5, 4, 2, 2, 2], [4, 4, 2, 2, 2], [3, 4, 2, 2, 2], [5, 2, 2, 2, 2], [4, 2, 2, 2, 2], [3, 2, 2, 2, 2],
      [2, 2, 2, 2, 2], [3, 2, 2, 2], [2, 2, 2, 2], [2, 2, 2], [2, 2],
    ]
    return strides(of: choices, width: width, height: height) { 0.0005 * Double($0) }
  }

  /// Of these the ones whose multiples exceed the frame least; `cost` is what an input of so many places counts besides, in parts of the frame's area.
  static func strides(of choices: [[Int]], width: Int, height: Int, cost: (_ places: Int) -> Double) -> [Int] {
    func whole(_ strides: [Int]) -> Double {
      let total = strides.reduce(1, *)
      let places = ((width + total - 1) / total) * ((height + total - 1) / total)
      return Double(places * total * total) / Double(width * height) + cost(places)
    }
    return choices.min { whole($0) < whole($1) }!
  }
}
