import NeuralCodecs

/// Where the bytes of an overfitted picture go, for people and for programs.
struct OverfitReport {
  let details: OverfitDetails

  init(_ details: OverfitDetails) { self.details = details }

  /// What stands below the payload's latents, a line each.
  var lines: [String] {
    var lines: [String] = []
    func add(_ indent: Int, _ name: String, _ bytes: String, _ more: String = "") {
      let line = String(repeating: " ", count: indent) + name
      lines.append("\(line):".padded(to: 34) + "\(bytes) bytes" + (more.isEmpty ? "" : ", \(more)"))
    }
    let d = details
    add(6, "grids", "\(d.symbolBytes)")
    for grid in d.grids {
      let kind = grid.isHyper ? d.areHyperLatentsJoined ? "joined hyper-latents" : "hyper-latents" : "latents"
      add(8, "\(kind) \(grid.level)", fixed(grid.bytes, 1), "\(grid.width)x\(grid.height), magnitudes to \(grid.magnitude)")
    }
    add(6, "network", fixed(d.networkBytes, 1), "\(d.multipliesPerPixel) multiplications/pixel")
    for group in d.parameters {
      add(8, group.name, fixed(group.bytes, 1), "\(group.count) in steps of 2^-\(group.step)")
    }
    add(6, "side information", "\(d.headerBytes + d.sideBytes)", "network included, \(d.headerBytes) of header")
    lines.append(
      "      architecture:".padded(to: 34)
        + "\(d.neighbours) neighbours, \(d.features) features, \(d.hiddenLayers) hidden layers; "
        + "synthesis \(d.synthesisWidth) wide, \(d.convolutions) 3x3 layers")
    return lines
  }

  var json: JSON {
    let d = details
    return .object([
      ("grids", .object([
        ("bytes", .integer(d.symbolBytes)),
        ("list", .list(d.grids.map { grid in
          .object([
            ("level", .integer(grid.level)), ("hyper", .flag(grid.isHyper)),
            ("joined", .flag(grid.isHyper && d.areHyperLatentsJoined)), ("width", .integer(grid.width)),
            ("height", .integer(grid.height)), ("magnitude", .integer(grid.magnitude)), ("bytes", .number(grid.bytes)),
          ])
        })),
      ])),
      ("network", .object([
        ("bytes", .number(d.networkBytes)), ("multipliesPerPixel", .integer(d.multipliesPerPixel)),
        ("neighbours", .integer(d.neighbours)), ("features", .integer(d.features)),
        ("hiddenLayers", .integer(d.hiddenLayers)), ("synthesisWidth", .integer(d.synthesisWidth)),
        ("convolutions", .integer(d.convolutions)),
        ("list", .list(d.parameters.map { group in
          .object([
            ("name", .text(group.name)), ("count", .integer(group.count)), ("step", .integer(group.step)),
            ("bytes", .number(group.bytes)),
          ])
        })),
      ])),
      ("header", .integer(d.headerBytes)), ("side", .integer(d.sideBytes)),
    ])
  }
}
