import Testing

/// The table of design.md, and what else keeps the parts apart.
struct LayeringTests {
  /// Lower layers know nothing of higher ones, nor of others of their own layer.
  static let layers: [String: Int] = [
    "CLibAV": 0, "CLibPNG": 0, "CPNGShim": 0, "CZlib": 0, "COpenSSL": 0, "CKernels": 0, "CModels": 0, "CBenchPage": 0,
    "Tensors": 1, "EntropyCoding": 1, "Bitstream": 1, "Media": 1,
    "Autograd": 2, "Networks": 2, "MediaIO": 2, "Metrics": 2,
    "LatentCoding": 3, "Coding": 3, "Fitting": 3,
    "ImageCodec": 4, "AudioCodec": 4, "KVCodec": 4, "VideoCodec": 5,
    "NeuralCodecs": 6,
    "Benchmarking": 7,
    "nccodec": 8,
    // Programs that time and compare the parts.
    "kernelcheck": 9, "kernelbench": 9, "entropybench": 9, "autogradbench": 9, "codecbench": 9, "KVPeers": 9, "kvbench": 10, "overfitprior": 9, "audioprior": 9,
  ]

  /// Swift's own and the system's.
  static let platform: Set = [
    "Swift", "Foundation", "FoundationEssentials", "Dispatch", "Synchronization", "Testing", "Glibc", "Musl", "Darwin",
    "PackageDescription",
  ]

  /// Modules of other packages, and who may use them.
  static let foreign: [String: Set<String>] = ["ArgumentParser": ["nccodec"]]

  @Test func importsPointDownwards() throws {
    let files = try SourceFile.all(in: "Sources")
    #expect(files.count > 60)
    for file in files {
      guard let layer = Self.layers[file.target] else {
        Issue.record("\(file.path): the target is in no layer")
        continue
      }
      for module in file.imports.subtracting(Self.platform) {
        if let users = Self.foreign[module] {
          #expect(users.contains(file.target), "\(file.path) imports \(module)")
        } else {
          let other = try #require(Self.layers[module], "\(file.path) imports \(module), which is unknown")
          #expect(other < layer, "\(file.path), layer \(layer), imports \(module), layer \(other)")
        }
      }
    }
  }

  /// Package.swift lists lower layers first.
  @Test func manifestGoesUpwards() throws {
    let order = try DeclaredTarget.all().filter { $0.kind != .test }.map { try #require(Self.layers[$0.name], "\($0.name)") }
    #expect(order == order.sorted())
    #expect(order.count > 15)
  }

  @Test func declaredDependenciesAreTheImports() throws {
    let targets = try DeclaredTarget.all()
    #expect(targets.count > 20)
    for target in targets where target.kind != .system {
      let files = try SourceFile.all(in: target.path)
      // Targets in C include instead.
      if files.isEmpty { continue }
      let imports = files.reduce(into: Set<String>()) { $0.formUnion($1.imports) }.subtracting(Self.platform)
      let missing = imports.subtracting(target.dependencies).sorted()
      let unused = Set(target.dependencies).subtracting(imports).sorted()
      #expect(missing.isEmpty, "\(target.name) imports \(missing) without declaring it")
      #expect(unused.isEmpty, "\(target.name) declares \(unused) without importing it")
      #expect(Set(target.dependencies).count == target.dependencies.count, "\(target.name) declares something twice")
    }
  }

  /// A decoder is frozen by the specification; encoders, which may change for ever, must not reach into it.
  @Test func decodersKnowNoEncoder() throws {
    let files = try SourceFile.all(in: "Sources")
    let decoding = files.filter { $0.path.contains("/Decoding/") }
    #expect(!decoding.isEmpty)
    for file in decoding {
      #expect(file.imports.isDisjoint(with: ["Autograd", "Fitting"]), "\(file.path)")
      let encoding = files.filter { $0.target == file.target && $0.path.contains("/Encoding/") }
      let types = encoding.reduce(into: Set<Substring>()) { $0.formUnion($1.declaredTypes) }
      #expect(!types.isEmpty)
      #expect(file.words.isDisjoint(with: types), "\(file.path) mentions \(file.words.intersection(types).sorted())")
    }
  }

  /// What feeds an entropy model is integer arithmetic, or files would decode on some machines only.
  @Test func entropyCodingAndDecodersAreIntegers() throws {
    let floats: Set<Substring> = ["Float", "Float16", "Float32", "Float64", "Float80", "Double", "CGFloat"]
    let files = try SourceFile.all(in: "Sources")
    let coding = files.filter { ["EntropyCoding", "LatentCoding"].contains($0.target) }
    #expect(coding.count > 10)
    for file in coding { #expect(file.words.isDisjoint(with: floats), "\(file.path)") }
    // Decoders tell their progress as a Double, and nothing else. Those of KV caches restore floats after the last symbol, by
    // steps that are floats (bitstream-spec 10.5). Those of sound restore samples likewise (11.6, 12.5).
    let restores: Set = [
      "KVSteps.swift", "KVCacheDecoder.swift", "KVChainDecoder.swift", "KVWanted.swift", "AudioDecoder.swift", "GroupDecoder.swift",
      "PartDecoder.swift", "TokenPartDecoder.swift", "TokenNetwork.swift", "TokenSynthesis.swift", "TokenExcitation.swift",
    ]
    for file in files where file.path.contains("/Decoding/") && !restores.contains(where: file.path.hasSuffix) {
      #expect(file.words.isDisjoint(with: floats.subtracting(["Double"])), "\(file.path)")
      for line in file.code.split(separator: "\n") where line.contains("Double") {
        #expect(line.contains("progress"), "\(file.path): \(line)")
      }
    }
  }

  @Test func onlyMediaIOTouchesMediaLibraries() throws {
    for file in try SourceFile.all(in: "Sources") where file.target != "MediaIO" {
      #expect(file.imports.isDisjoint(with: ["CLibAV", "CLibPNG", "CPNGShim"]), "\(file.path)")
    }
    let native = try SourceFile.all(in: "Sources", endings: ["c", "h", "cpp"])
    #expect(native.count > 10)
    for file in native {
      let usesPNG = file.includes.contains { $0.hasPrefix("png") }
      let usesAV = file.includes.contains { $0.hasPrefix("libav") || $0.hasPrefix("libsw") }
      #expect(!usesPNG || ["CLibPNG", "CPNGShim"].contains(file.target), "\(file.path)")
      #expect(!usesAV || file.target == "CLibAV", "\(file.path)")
    }
  }

  @Test func filesStayReadable() throws {
    for file in try SourceFile.all(in: "Sources") + SourceFile.all(in: "Tests") {
      let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false).count
      #expect(lines <= 440, "\(file.path) has \(lines) lines")
    }
  }

  /// The checks above are only as good as what they read.
  @Test func readersReadWhatTheyShould() throws {
    // Put together from lines, or this very file would seem to import them.
    let text = [
      "import A", "@_exported public import B", "internal import struct C.Thing", "// import D", "  import E.F",
      "let x = \"import G\"", "/* Float */", "struct H { struct I {} } // Double", "final class J {}",
    ].joined(separator: "\n")
    let file = SourceFile(path: "", target: "", text: text)
    #expect(file.imports == ["A", "B", "C", "E"])
    #expect(file.declaredTypes == ["H", "J"])
    #expect(file.words.isSuperset(of: ["H", "I", "J"]) && file.words.isDisjoint(with: ["Float", "Double"]))
    let targets = try DeclaredTarget.all()
    #expect(targets.first { $0.name == "nccodec" }?.dependencies.contains("ArgumentParser") == true)
    #expect(targets.first { $0.name == "Media" }?.dependencies == [])
    #expect(targets.first { $0.name == "CLibPNG" }?.kind == .system)
  }
}
