import Media

/// ggml's number formats that are read: ggml.h, `ggml_type`.
enum GGMLType: Int32, CaseIterable {
  case f32 = 0
  case f16 = 1
  case q4_0 = 2
  case q8_0 = 8
  case bf16 = 30

  var isQuantised: Bool { blockElements > 1 }
  var blockElements: Int { self == .q4_0 || self == .q8_0 ? 32 : 1 }

  var blockBytes: Int {
    switch self {
    case .f32: 4
    case .f16, .bf16: 2
    case .q4_0: 18
    case .q8_0: 34
    }
  }

  /// What its values are read as.
  var element: KVElement {
    switch self {
    case .f32: .float32
    case .bf16: .bfloat16
    case .f16, .q4_0, .q8_0: .float16
    }
  }

  init(_ element: KVElement) {
    self =
      switch element {
      case .float16: .f16
      case .bfloat16: .bf16
      case .float32: .f32
      }
  }

  /// Writes the exact values of a quantised row's blocks. block = scale(f16) numbers: q8_0's are signed bytes; q4_0's
  /// nibbles are biased by 8, the low ones the first 16.
  func dequantise(_ bytes: UnsafeRawBufferPointer, at start: Int, to row: UnsafeMutableBufferPointer<Float>) {
    for block in 0..<(row.count / 32) {
      let from = start + block * blockBytes
      let scale = Float(Float16(bitPattern: bytes.integer(at: from, as: UInt16.self)))
      for k in 0..<(self == .q8_0 ? 32 : 16) {
        let byte = bytes[from + 2 + k]
        if self == .q8_0 {
          row[block * 32 + k] = scale * Float(Int8(bitPattern: byte))
        } else {
          row[block * 32 + k] = scale * Float(Int(byte & 15) - 8)
          row[block * 32 + 16 + k] = scale * Float(Int(byte >> 4) - 8)
        }
      }
    }
  }
}

/// Quantised rows of a llama.cpp state, as float16.
///
/// Builds from April 2026 on (llama.cpp #21038) turn keys and values by a Hadamard matrix before they quantise them, unless
/// LLAMA_ATTN_ROT_DISABLE is set: keys in blocks of the largest power of two, from 64, that divides a head, values in
/// blocks of 64. The file does not say so. But keys have a few channels of high energy, which the matrix spreads evenly;
/// so of the matrices that it may have been, the one is undone that leaves energy most concentrated.
struct LlamaQuantisedRows {
  private static let smallestBlock = 64
  private static let samples = 128

  /// The sizes of the matrices to undo; 1 for none.
  private(set) var keyBlock = 1
  private(set) var valueBlock = 1

  /// `areTurned` nil: judged from the rows.
  init(
    _ sections: [LlamaStateParser.Section], _ bytes: UnsafeRawBufferPointer, channels: Int, areTurned: Bool?
  ) {
    var blocks: [Int] = []
    var size = Self.smallestBlock
    while channels % size == 0, size <= 1024 {
      blocks.append(size)
      size *= 2
    }
    guard let largest = blocks.last, areTurned != false else { return }
    let keys = sections.flatMap { section in section.keys.map { ($0, section.cellCount) } }.filter { $0.0.type.isQuantised }
    let values = sections.flatMap { section in section.values.map { ($0, section.cellCount) } }
      .filter { $0.0.type.isQuantised && $0.0.width % Self.smallestBlock == 0 }
    if areTurned == true {
      (keyBlock, valueBlock) = (largest, Self.smallestBlock)
    } else if !keys.isEmpty {
      keyBlock = Self.mostConcentrated(keys, bytes, of: [1] + blocks)
      valueBlock = keyBlock == 1 ? 1 : Self.smallestBlock
    } else if !values.isEmpty {
      valueBlock = Self.mostConcentrated(values, bytes, of: [1, Self.smallestBlock])
    }
    if values.isEmpty { valueBlock = 1 }
    if keys.isEmpty { keyBlock = 1 }
  }

  private static func mostConcentrated(
    _ rows: [(LlamaStateParser.Rows, cells: Int)], _ bytes: UnsafeRawBufferPointer, of blocks: [Int]
  ) -> Int {
    var scores = [Double](repeating: 0, count: blocks.count)
    for (rows, cells) in rows {
      var values = [Float](repeating: 0, count: rows.width)
      var energies = blocks.map { _ in [Double](repeating: 0, count: rows.width) }
      // Token 0 draws attention and looks like no other.
      for token in stride(from: min(1, cells - 1), to: cells, by: max(cells / samples, 1)) {
        for (i, block) in blocks.enumerated() where rows.width % block == 0 {
          values.withUnsafeMutableBufferPointer { values in
            rows.type.dequantise(bytes, at: rows.start + token * rows.rowBytes, to: values)
            turn(values, block: block)
          }
          for c in values.indices where values[c].isFinite { energies[i][c] += Double(values[c]) * Double(values[c]) }
        }
      }
      for i in blocks.indices {
        let sum = energies[i].reduce(0, +)
        if sum > 0 { scores[i] += energies[i].reduce(0) { $0 + $1 * $1 } / (sum * sum) * Double(rows.width) }
      }
    }
    let best = scores.indices.max { scores[$0] < scores[$1] } ?? 0
    return blocks[best]
  }

  /// Multiplies each block by the orthonormal Hadamard matrix of its size, which is its own inverse.
  static func turn(_ row: UnsafeMutableBufferPointer<Float>, block: Int) {
    guard block > 1 else { return }
    let scale = 1 / Float(block).squareRoot()
    var start = 0
    while start + block <= row.count {
      var half = 1
      while half < block {
        var at = start
        while at < start + block {
          for k in at..<(at + half) {
            let (a, b) = (row[k], row[k + half])
            row[k] = a + b
            row[k + half] = a - b
          }
          at += 2 * half
        }
        half *= 2
      }
      for k in start..<(start + block) { row[k] *= scale }
      start += block
    }
  }

  /// Fills `tensor` with the rows of all heads; the only roundings are those of the turn and of float16.
  func read(_ rows: LlamaStateParser.Rows, _ bytes: UnsafeRawBufferPointer, block: Int, to tensor: KVTensor) {
    var values = [Float](repeating: 0, count: rows.width)
    for token in 0..<tensor.tokens {
      values.withUnsafeMutableBufferPointer { values in
        rows.type.dequantise(bytes, at: rows.start + token * rows.rowBytes, to: values)
        Self.turn(values, block: block)
        for head in 0..<tensor.heads {
          tensor.withMutableRow(head: head, token: token) { row in
            for channel in 0..<tensor.channels {
              let value = Float16(values[head * tensor.channels + channel])
              row.storeBytes(of: value.bitPattern.littleEndian, toByteOffset: 2 * channel, as: UInt16.self)
            }
          }
        }
      }
    }
  }
}
