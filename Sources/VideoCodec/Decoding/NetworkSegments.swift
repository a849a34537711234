import Coding

/// Segments as this build knows them: networks in integers and embeddings (14.3, 14.4).
package enum NetworkSegments {
  package static let open: SegmentOpener = { _, _ in
    throw CodecError(.unsupported, "this build does not decode segments of video yet.")
  }
}
