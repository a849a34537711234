import Media

/// What the user says about a cache that its file does not, or says wrongly.
package struct KVReadOptions: Sendable {
  /// Names of `KVAxis`, comma-separated, outermost first: "layer,kv_head,token,head_dim".
  package var axes: String?
  package var ropeLayout: RopeLayout?
  package var ropeBase: Double?
  package var model: String?
  /// For files that have heads and channels in one axis.
  package var kvHeads: Int?
  package var keysAreRotated: Bool?
  /// Whether llama.cpp turned keys and values before it quantised them (`LlamaQuantisedRows`). Nil: judged from the rows.
  package var quantisedRowsAreTurned: Bool?
  /// Leaves out `k_pre` where the file has `k` too, rather than carrying it along.
  package var dropsUnrotatedKeys = false
  /// NumPy has no bfloat16; files hold its bits as uint16.
  package var uint16IsBFloat16 = false
  /// Of a pipe, and of an archive's members inflated.
  package var maxBytes = 1 << 36

  package init() {}
}

/// The file formats of caches.
package enum KVFileFormat: String, Sendable, Hashable, CaseIterable {
  case safeTensors = "safetensors"
  case numPy = "npy"
  case numPyArchive = "npz"
  /// llama.cpp's sequence state.
  case llamaState = "llama"
}

extension KVElement {
  /// safetensors' name.
  var dtype: String {
    switch self {
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .float32: "F32"
    }
  }

  init?(dtype: String) {
    guard let element = Self.allCases.first(where: { $0.dtype == dtype }) else { return nil }
    self = element
  }
}

extension KVAxis {
  private static let aliases: [String: KVAxis] = [
    "batch": .batch, "b": .batch, "kv": .kv, "layer": .layer, "layers": .layer, "l": .layer, "kv_head": .head,
    "head": .head, "heads": .head, "h": .head, "token": .token, "tokens": .token, "t": .token, "head_dim": .channel,
    "dim": .channel, "d": .channel, "channel": .width, "channels": .width, "h*d": .width, "blocks": .blocks,
    "block": .block, "slot": .block,
  ]

  /// Reads a list of axes. Throws `MediaIOError.unsupported` for names that are unknown or do not go together.
  static func list(_ text: String) throws(MediaIOError) -> [KVAxis] {
    func refused(_ reason: String) -> MediaIOError {
      let known = allCases.map(\.rawValue).joined(separator: ", ")
      return MediaIOError(.unsupported, at: "axes \(text.prefix(200).debugDescription)", "\(reason); axes are \(known)")
    }
    var axes: [KVAxis] = []
    for part in text.split(separator: ",", maxSplits: 16, omittingEmptySubsequences: false) {
      let name = part.filter { $0 != " " }.lowercased()
      guard let axis = aliases[name] else { throw refused("\(name.prefix(40).debugDescription) is unknown") }
      guard !axes.contains(axis) else { throw refused("\(axis.rawValue) stands twice") }
      axes.append(axis)
    }
    // LMCache calls heads and channels in one "channel"; beside an axis of heads it can only be the head's.
    if axes.contains(.head), let at = axes.firstIndex(of: .width) {
      guard !axes.contains(.channel) else { throw refused("head_dim stands beside channel") }
      axes[at] = .channel
    }
    guard axes.contains(.channel) != axes.contains(.width) else { throw refused("one of head_dim and channel is needed") }
    guard axes.contains(.token) != axes.contains(.blocks), axes.contains(.blocks) == axes.contains(.block) else {
      throw refused("token is needed, or blocks and block")
    }
    return axes
  }
}
