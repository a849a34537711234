import Foundation
import Media
import MediaIO
import Testing

/// The content of Fixtures/KV, as `bits` in its make.py.
struct KVSample {
  var layers = 2
  var heads = 2
  var tokens = 6
  var channels = 4

  func bits(_ kv: Int, _ layer: Int, _ head: Int, _ token: Int, _ channel: Int) -> UInt16 {
    let n = (((kv * layers + layer) * heads + head) * tokens + token) * channels + channel
    return UInt16(0x3000 + n * 37 % 4096)
  }

  func tensor(_ kv: Int, _ layer: Int, element: KVElement = .float16, channels: Int? = nil) -> KVTensor {
    let tensor = KVTensor(heads: heads, tokens: tokens, channels: channels ?? self.channels, element: element)
    for head in 0..<heads {
      for token in 0..<tokens {
        tensor.withMutableRow(head: head, token: token) { row in
          for channel in 0..<tensor.channels {
            let bits = bits(kv, layer, head, token, channel)
            if element == .float32 {
              row.storeBytes(of: Float(Float16(bitPattern: bits)).bitPattern, toByteOffset: 4 * channel, as: UInt32.self)
            } else {
              row.storeBytes(of: bits, toByteOffset: 2 * channel, as: UInt16.self)
            }
          }
        }
      }
    }
    return tensor
  }

  func cache(element: KVElement = .float16, source: KVFileLayout = .safeTensors(.standard)) -> KVCache {
    KVCache(
      layers: (0..<layers).map {
        KVLayer(keys: tensor(0, $0, element: element), values: tensor(1, $0, element: element))
      }, rope: .halves, ropeBase: 500_000, model: "toy \"1\"\n", source: source)
  }

  /// What is in the file, by layer and part.
  func expect(
    _ cache: KVCache, element: KVElement = .float16, hasValues: Bool = true,
    _ location: Testing.SourceLocation = #_sourceLocation
  ) {
    #expect(cache.layers.count == layers, sourceLocation: location)
    guard cache.layers.count == layers else { return }
    for (i, layer) in cache.layers.enumerated() {
      #expect(layer.keys.hasSameBits(as: tensor(0, i, element: element)), "keys of layer \(i)", sourceLocation: location)
      #expect((layer.values != nil) == hasValues, sourceLocation: location)
      if let values = layer.values {
        #expect(values.hasSameBits(as: tensor(1, i, element: element)), "values of layer \(i)", sourceLocation: location)
      }
    }
  }
}

enum KVFixture {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path + "/Fixtures/KV/"

  static func bytes(_ name: String) throws -> [UInt8] { try FileIO.read(folder + name) }

  static func read(_ name: String, _ options: KVReadOptions = KVReadOptions()) throws -> KVCache {
    try KVCacheReader.read(folder + name, options: options)
  }
}

/// Options in one line.
func kvOptions(_ change: (inout KVReadOptions) -> Void) -> KVReadOptions {
  var options = KVReadOptions()
  change(&options)
  return options
}

extension KVCache {
  func other(_ name: String) -> KVNamedTensor? { others.first { $0.name == name } }
}

/// Same layers, description and what is carried along.
func expectSame(_ a: KVCache, _ b: KVCache, _ location: Testing.SourceLocation = #_sourceLocation) {
  #expect(a.layers.count == b.layers.count, sourceLocation: location)
  for (x, y) in zip(a.layers, b.layers) {
    #expect(x.keys.hasSameBits(as: y.keys), sourceLocation: location)
    #expect((x.values == nil) == (y.values == nil), sourceLocation: location)
    if let u = x.values, let v = y.values { #expect(u.hasSameBits(as: v), sourceLocation: location) }
    #expect(x.firstPosition == y.firstPosition, sourceLocation: location)
  }
  #expect(a.keysAreRotated == b.keysAreRotated && a.rope == b.rope && a.ropeBase == b.ropeBase, sourceLocation: location)
  #expect(a.model == b.model, sourceLocation: location)
  #expect(a.others.map(\.name).sorted() == b.others.map(\.name).sorted(), sourceLocation: location)
  for tensor in a.others {
    let other = b.other(tensor.name)
    #expect(
      other?.bytes == tensor.bytes && other?.shape == tensor.shape && other?.dtype == tensor.dtype,
      "\(tensor.name)", sourceLocation: location)
  }
}
