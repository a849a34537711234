import Glibc

extension NeRVArchitecture {
  /// Strides of HNeRV's encoder and decoder for 640x1280.
  package static let strides = [5, 4, 4, 2, 2]

  /// HNeRV as published: about `parameters` numbers, embeddings of all frames included; sides of the frames are multiples of 320.
  package static func hnerv(width: Int, height: Int, frames: Int, parameters: Int) -> NeRVArchitecture {
    let reduction = 1.2, narrowest = 12, channels = 16
    let total = strides.reduce(1, *)
    let embedding = Embedding(channels: channels, height: height / total, width: width / total)
    let sides = strides.indices.map { min(1 + 2 * $0, 5) }
    let budget = Double(parameters) - Double(channels * embedding.height * embedding.width * frames)
    // Weights are a x^2 + b x for x channels in the beginning, if no stage is at its narrowest.
    var a = 0.0
    for (i, s) in strides.enumerated() { a += pow(reduction, -Double(2 * i)) * Double(s * s * sides[i] * sides[i]) }
    a /= reduction
    let b = Double(channels * 9)
    var x = Int((-b + (b * b + 4 * a * budget).squareRoot()) / (2 * a))
    var stages = [Stage(inputs: channels, outputs: x, side: 1, factor: 1)]
    for (i, s) in strides.enumerated() {
      // Halves round to even, as in Python.
      let next = max(Int((Double(x) / reduction).rounded(.toNearestOrEven)), narrowest)
      stages.append(Stage(inputs: x, outputs: next, side: sides[i], factor: s))
      x = next
    }
    stages.append(Stage(inputs: x, outputs: 3, side: 3, factor: 1))
    return NeRVArchitecture(width: width, height: height, embedding: embedding, stages: stages)
  }
}
