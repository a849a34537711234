import Foundation
import Media
import MediaIO
import Testing

import Benchmarking

/// Values of programs and of the classifier: `reference.py` beside this file.
struct MeasureTests {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static let photo = try! ImageReader.read(FileIO.read(root.path + "/Fixtures/Images/photo.png")).image

  static func sixteenLevels() throws -> Image {
    try Image(width: photo.width, height: photo.height, colour: .rgb, samples: photo.samples.map { $0 / 16 * 16 + 8 })
  }

  static func flat(_ width: Int, _ height: Int, _ sample: UInt8) throws -> Image {
    try Image(
      width: width, height: height, colour: .rgb, samples: [UInt8](repeating: sample, count: width * height * 3))
  }

  static func measure(_ name: String, searchPath: String) throws -> any ImageMeasure {
    try #require((ImageMeasures.computed + ToolMeasures.all(searchPath: searchPath)).first { $0.name == name })
  }

  @Test func namesAndOrder() {
    let all = ImageMeasures.all
    #expect(
      all.map(\.name)
        == ["psnr", "psnrYUV", "ssim", "msssim", "ssimulacra2", "ssimulacra", "butteraugli", "vmaf"])
    #expect(all.filter { !$0.isHigherBetter }.map(\.name) == ["ssimulacra", "butteraugli"])
    #expect(all.allSatisfy { !$0.version.isEmpty && !$0.title.isEmpty })
    #expect(all.prefix(4).allSatisfy { $0.missing == nil })
  }

  @Test func computed() throws {
    let other = try Self.sixteenLevels()
    let expected = [34.982991959, 37.615805576, 0.9416329, 0.9912243]
    for (measure, value) in zip(ImageMeasures.computed, expected) {
      let got = try #require(try measure.measure(reference: Self.photo, decoded: other))
      #expect(abs(got - value) < 2e-5, "\(measure.name): \(got)")
    }
  }

  @Test func onePixel() throws {
    let (black, grey) = (try Self.flat(1, 1, 0), try Self.flat(1, 1, 9))
    for measure in ImageMeasures.all where measure.missing == nil {
      let value = try measure.measure(reference: black, decoded: grey)
      #expect((value == nil) == !measure.name.hasPrefix("psnr"), "\(measure.name): \(value as Any)")
    }
  }

  @Test(.enabled(if: ExternalTool("ssimulacra_main", searchPath: ExternalTool.searchPath) != nil))
  func ssimulacra() throws {
    let measure = try Self.measure("ssimulacra", searchPath: ExternalTool.searchPath)
    let value = try #require(try measure.measure(reference: Self.photo, decoded: Self.sixteenLevels()))
    #expect(abs(value - 0.03342988) < 1e-6)
    #expect(try measure.measure(reference: Self.photo, decoded: Self.photo) == 0)
  }

  @Test(.enabled(if: ExternalTool("butteraugli_main", searchPath: ExternalTool.searchPath) != nil))
  func butteraugli() throws {
    let measure = try Self.measure("butteraugli", searchPath: ExternalTool.searchPath)
    let value = try #require(try measure.measure(reference: Self.photo, decoded: Self.sixteenLevels()))
    #expect(abs(value - 1.282070) < 1e-4)
  }

  /// A folder with programs that are shell scripts. Another process copies them there: a file that this one has had open to
  /// write stays "busy" while any thread is just starting a program.
  static func withPrograms(_ scripts: [String: String], _ body: (String) throws -> Void) throws {
    try ExternalTool.withFolder { folder in
      for (name, script) in scripts {
        try FileIO.write(Array("#!/bin/sh\n\(script)\n".utf8), to: "\(folder)/\(name).txt")
        let install = try #require(ExternalTool("install", searchPath: "/usr/bin:/bin"))
        _ = try install.run(["-m", "755", "\(name).txt", name], in: folder, seconds: 60)
      }
      try body(folder)
    }
  }

  static func outcome(_ measure: any ImageMeasure) throws -> Result<Double?, MeasureError> {
    let picture = try flat(16, 16, 7)
    do { return .success(try measure.measure(reference: picture, decoded: picture)) } catch let error as MeasureError {
      return .failure(error)
    }
  }

  @Test func nothingInstalled() throws {
    try Self.withPrograms([:]) { (folder: String) throws in
      for measure in ToolMeasures.all(searchPath: folder) {
        #expect(measure.missing?.contains("on the PATH") == true, "\(measure.name)")
        #expect(try Self.outcome(measure) == .failure(MeasureError(.missing, "")), "\(measure.name)")
      }
    }
  }

  @Test func whatProgramsSay() throws {
    let cases: [(String, Result<Double?, MeasureError>)] = [
      ("echo 71.25", .success(71.25)),
      ("echo; echo ' -3.5'; echo noise >&2", .success(-3.5)),
      ("test -s \"$1\" && test -s \"$2\" && echo 1", .success(1)),
      ("echo seventy", .failure(MeasureError(.unreadable, ""))),
      ("echo nan", .failure(MeasureError(.unreadable, ""))),
      ("true", .failure(MeasureError(.unreadable, ""))),
      ("echo 71.25; echo no such luck >&2; exit 3", .failure(MeasureError(.failed, ""))),
      ("echo 71.25; kill -SEGV $$", .failure(MeasureError(.failed, ""))),
      // More than a pipe holds.
      ("head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 1", .failure(MeasureError(.failed, ""))),
      ("cat; echo 5", .success(5)),
    ]
    for (script, expected) in cases {
      try Self.withPrograms(["ssimulacra2": script]) { (folder: String) throws in
        let measure = try Self.measure("ssimulacra2", searchPath: folder)
        #expect(measure.missing == nil && measure.version.contains(folder))
        #expect(try Self.outcome(measure) == expected, "\(script)")
      }
    }
  }

  @Test func complaintsAreNamed() throws {
    try Self.withPrograms(["ssimulacra2": "echo no such luck >&2; exit 3"]) { (folder: String) throws in
      guard case .failure(let error) = try Self.outcome(Self.measure("ssimulacra2", searchPath: folder)) else {
        Issue.record("it must fail")
        return
      }
      #expect(error.description == "ssimulacra2: exit code 3: no such luck.")
    }
  }

  @Test func timeIsLimited() throws {
    // The first waits for a program of its own, the second ignores the first signal, the third leaves one behind.
    for script in ["sleep 60; true", "trap '' TERM; while :; do sleep 1; done", "sleep 61 & wait"] {
      try Self.withPrograms(["slow": script]) { (folder: String) throws in
        let tool = try #require(ExternalTool("slow", searchPath: folder))
        let start = Date()
        #expect(throws: MeasureError(.timedOut, "")) {
          try tool.run([], in: folder, seconds: 0.3)
        }
        #expect(Date().timeIntervalSince(start) < 30)
      }
    }
  }

  @Test func foldersAndOtherFilesAreNoPrograms() throws {
    try ExternalTool.withFolder { folder in
      try FileManager.default.createDirectory(atPath: "\(folder)/one", withIntermediateDirectories: false)
      try FileIO.write([1, 2, 3], to: "\(folder)/two")
      #expect(ExternalTool("one", searchPath: folder) == nil)
      #expect(ExternalTool("two", searchPath: "\(folder)::relative") == nil)
      // Executable, but nothing that the system can run.
      try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: "\(folder)/two")
      let tool = try #require(ExternalTool("two", searchPath: folder))
      #expect(throws: MeasureError(.failed, "")) { try tool.run([], in: folder, seconds: 10) }
    }
  }

  @Test func foldersGoAway() throws {
    var path = ""
    #expect(throws: MeasureError(.failed, "")) {
      try ExternalTool.withFolder { folder in
        path = folder
        try FileIO.write([1], to: "\(folder)/file")
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o700)
        throw MeasureError(.failed, "")
      }
    }
    #expect(!path.isEmpty && !FileManager.default.fileExists(atPath: path))
  }

  @Test func vmafFromEitherProgram() throws {
    let log = "echo '{\"frames\": [], \"pooled_metrics\": {\"vmaf\": {\"min\": 1, \"mean\": 93.5}}}' > vmaf.json"
    let picture = try Self.flat(40, 32, 9)
    let programs = [
      ["vmaf": "[ \"$1\" = --version ] && echo 3.0.0 && exit; \(log)"],
      ["ffmpeg": "case $1 in -version) echo ffmpeg version 7.0 x;; -v) echo 'Filter libvmaf';; *) \(log);; esac"],
    ]
    for (scripts, version) in zip(programs, ["vmaf 3.0.0, ", "libvmaf in ffmpeg version 7.0, "]) {
      try Self.withPrograms(scripts) { (folder: String) throws in
        let measure = VMAFMeasure(searchPath: folder)
        #expect(measure.missing == nil && measure.version.hasPrefix(version), "\(measure.version)")
        #expect(try measure.measure(reference: picture, decoded: picture) == 93.5)
        #expect(try measure.measure(reference: Self.flat(31, 99, 0), decoded: Self.flat(31, 99, 0)) == nil)
      }
    }
    try Self.withPrograms(["ffmpeg": "echo Unknown filter"]) { (folder: String) throws in
      #expect(VMAFMeasure(searchPath: folder).missing?.contains("was built without libvmaf") == true)
    }
    try Self.withPrograms(["vmaf": "echo oops"]) { (folder: String) throws in
      #expect(throws: MeasureError(.unreadable, "")) {
        try VMAFMeasure(searchPath: folder).measure(reference: picture, decoded: picture)
      }
    }
  }

  /// BT.709's corners in limited range (BT.709-6, item 3.4 and 4.6), and an odd side.
  @Test func frames() throws {
    let header = "YUV4MPEG2 W1 H1 F25:1 Ip A1:1 C420jpeg\nFRAME\n".utf8
    let corners: [([UInt8], [UInt8])] = [
      ([0, 0, 0], [16, 128, 128]), ([255, 255, 255], [235, 128, 128]), ([255, 0, 0], [63, 102, 240]),
      ([0, 255, 0], [173, 42, 26]), ([0, 0, 255], [32, 240, 118]),
    ]
    for (rgb, yuv) in corners {
      let pixel = try Image(width: 1, height: 1, colour: .rgb, samples: rgb)
      #expect(Y4M.frame(of: pixel) == Array(header) + yuv)
    }
    let grey = try Image(width: 3, height: 3, colour: .grey, samples: [UInt8](repeating: 255, count: 9))
    let planes = [UInt8](repeating: 235, count: 9) + [UInt8](repeating: 128, count: 8)
    #expect(Y4M.frame(of: grey).suffix(17) == planes[...])
  }
}
