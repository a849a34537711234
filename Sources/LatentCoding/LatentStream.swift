import EntropyCoding

/// Writes the symbols of latents, each under the table of its scale index, into one payload. Inverse: `LatentReader`.
// bitstream-spec 8.3
package struct LatentWriter: ~Copyable {
  private var encoder = RANSEncoder()

  package init() {}

  /// `indices[i]` in 0...63 is the scale of `symbols[i]`.
  package mutating func append(_ symbols: [Int16], indices: [UInt8], tables: SymmetricTables) {
    // The tables have escapes, so every symbol can be coded.
    try! encoder.append(symbols, indices: indices, tables: tables.set)
  }

  package consuming func finish() -> [UInt8] { encoder.finish() }
}

/// Reads what `LatentWriter` wrote, in the same batches.
package struct LatentReader: ~Copyable {
  private var decoder: RANSDecoder

  /// Throws `EntropyError`.
  package init(_ payload: [UInt8]) throws { decoder = try RANSDecoder(payload) }

  /// Throws `EntropyError` for damage that shows here; the rest shows in `finish`.
  package mutating func read(indices: [UInt8], tables: SymmetricTables) throws -> [Int16] {
    try decoder.decode(tables.set, indices: indices)
  }

  /// Throws `EntropyError` unless the payload ends exactly here.
  package consuming func finish() throws { try decoder.finish() }
}
