// Feeds arbitrary bytes to every entropy decoder, and checks on the way that encode and decode are inverse and that
// all SIMD levels agree. The first bytes choose what to do; the rest is the payload or the symbols.
import EntropyCoding

@_cdecl("LLVMFuzzerTestOneInput")
func fuzzOne(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let input = [UInt8](UnsafeBufferPointer(start: data, count: size))
  guard input.count >= 4 else { return 0 }
  let count = Int(input[1]) | Int(input[2] & 15) << 8
  let seed = input[3]
  let body = Array(input[4...])
  switch input[0] % 6 {
  case 0: decodeRANS(body, count: count, seed: seed)
  case 1: decodeRange(body, count: count, seed: seed)
  case 2: decodeBlock(body, count: count, seed: seed)
  case 3: roundTripRANS(body, seed: seed)
  case 4: roundTripBlock(body, seed: seed)
  default: buildTables(body)
  }
  return 0
}

/// Table index of value n: all kinds of runs and mixtures from one byte.
private func index(_ n: Int, _ seed: UInt8) -> UInt8 { UInt8(((n &* Int(seed | 1)) >> Int(seed & 7)) & 63) }

private func decodeRANS(_ payload: [UInt8], count: Int, seed: UInt8) {
  do {
    var decoder = try RANSDecoder(payload)
    let set = seed & 64 == 0 ? Scale.gaussian : Scale.laplace
    // Passes of several lengths, with raw bits between, as a codec would.
    var done = 0
    var length = 1 + Int(seed & 31)
    while done < count {
      let pass = min(length, count - done)
      _ = try decoder.decode(set, indices: (done..<done + pass).map { index($0, seed) })
      if seed & 128 != 0 { _ = try decoder.decodeBypass(bits: 1 + done % 16) }
      done += pass
      length = length * 3 + 1
    }
    try decoder.finish()
  } catch { precondition(error is EntropyError) }
}

private func decodeRange(_ payload: [UInt8], count: Int, seed: UInt8) {
  var decoder = RangeDecoder(payload)
  var bit = AdaptiveBit()
  var many = AdaptiveModel(symbolCount: 2 + Int(seed & 63))
  do {
    for n in 0..<count {
      switch (n &* Int(seed)) >> 3 & 3 {
      case 0: _ = try decoder.decode(adapting: &bit)
      case 1:
        let symbol = try decoder.decode(adapting: &many)
        precondition(symbol < many.symbolCount)
      case 2: _ = try decoder.decodeBypass(bits: 1 + n % 16)
      default: _ = try decoder.decodeValue(with: Scale.gaussian[Int(index(n, seed))])
      }
    }
    try decoder.finish()
  } catch { precondition(error is EntropyError) }
}

private let tables = [1, 2, 7, 60, 256].map { n in
  try! BlockRANS.Table(CategoricalModel(counts: (0..<n).map { UInt32(1 + $0 * $0 * $0 % 977) }, precision: 12))
}

private func decodeBlock(_ payload: [UInt8], count: Int, seed: UInt8) {
  let table = tables[Int(seed) % tables.count]
  let outcomes = BlockRANS.Level.allCases.map { level -> [UInt8]? in
    do { return try BlockRANS.decode(payload, count: count, with: table, level: level) } catch {
      precondition(error is EntropyError)
      return nil
    }
  }
  precondition(outcomes.allSatisfy { $0 == outcomes[0] })
}

private func roundTripRANS(_ body: [UInt8], seed: UInt8) {
  // Mostly small values, and pairs of bytes for the escapes.
  let values = body.indices.map { i in
    body[i] & 31 == 31 ? Int16(truncatingIfNeeded: Int(body[i]) << 8 | Int(i) * 37) : Int16(body[i] & 15) - 8
  }
  let indices = values.indices.map { index($0, seed) }
  var encoder = RANSEncoder()
  try! encoder.append(values, indices: indices, tables: Scale.laplace)
  let payload = encoder.finish(lanes: 1 << (Int(seed >> 6) % 3))
  var decoder = try! RANSDecoder(payload)
  precondition(try! decoder.decode(Scale.laplace, indices: indices) == values)
  try! decoder.finish()
}

private func roundTripBlock(_ body: [UInt8], seed: UInt8) {
  let table = tables[Int(seed) % tables.count]
  let symbols = body.map { UInt8(Int($0) % table.model.symbolCount) }
  let payload = try! BlockRANS.encode(symbols, with: table, lanes: 1 << (Int(seed >> 4) % 6))
  for level in BlockRANS.Level.allCases {
    precondition(try! BlockRANS.decode(payload, count: symbols.count, with: table, level: level) == symbols)
  }
}

private func buildTables(_ body: [UInt8]) {
  let words = stride(from: 0, to: body.count - 1, by: 2).map { UInt32(body[$0]) << 8 | UInt32(body[$0 + 1]) }
  do {
    let model = try CategoricalModel(widths: words, precision: 16)
    let set = try TableSet(factorised: [model, model], lowest: [-3, 32000])
    for q in stride(from: UInt32(0), to: 65536, by: 97) { _ = set[1].symbol(at: q) }
  } catch { precondition(error is EntropyError) }
  guard let model = try? CategoricalModel(counts: words.map { $0 &* $0 }, precision: 12) else { return }
  precondition(model.widths.reduce(0, +) == 4096)
  if model.symbolCount <= 256 { _ = try! BlockRANS.Table(model) }
}
