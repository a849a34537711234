import Foundation
import Media
import MediaIO
import Testing

/// A video made of formulas: a moving gradient with a block in it, so that order, turning and mirroring show.
struct Film: FrameSource {
  var format: VideoFormat
  /// Of each frame, in ticks.
  var durations: [Int64]
  var start: Int64 = 0
  private var index = 0
  private var time: Int64 = 0

  init(
    _ width: Int = 64, _ height: Int = 48, frames: Int = 12, timeBase: (Int, Int) = (1, 25), rate: (Int, Int)? = (25, 1),
    durations: [Int64]? = nil
  ) throws {
    format = try VideoFormat(
      width: width, height: height, timeBase: #require(Rational(exactly: timeBase.0, timeBase.1)),
      frameRate: rate.flatMap { Rational(exactly: $0.0, $0.1) })
    self.durations = durations ?? [Int64](repeating: 1, count: frames)
  }

  var frameCount: Int? { durations.count }

  mutating func next() throws -> VideoFrame? {
    guard index < durations.count else { return nil }
    defer {
      time += durations[index]
      index += 1
    }
    return try Film.frame(format.width, format.height, number: index, time: start + time, duration: durations[index])
  }

  static func frame(_ width: Int, _ height: Int, number: Int, time: Int64, duration: Int64) throws -> VideoFrame {
    try VideoFrame(width: width, height: height, time: time, duration: duration) { samples in
      let plane = width * height
      for y in 0..<height {
        for x in 0..<width {
          let isBlock = (x - 3 * number % width + width) % width < width / 4 && y < height / 3
          let i = y * width + x
          samples[i] = isBlock ? 230 : UInt8(40 + 120 * x / width)
          samples[plane + i] = isBlock ? 60 : UInt8(60 + 120 * y / height)
          samples[2 * plane + i] = isBlock ? 30 : UInt8((80 + 5 * number) % 200)
        }
      }
    }
  }

  /// All frames of a source.
  static func all(_ source: some FrameSource) throws -> [VideoFrame] {
    var (source, frames) = (source, [VideoFrame]())
    while let frame = try source.next() { frames.append(frame) }
    return frames
  }

  /// Writes all of this to a file.
  @discardableResult
  func write(_ path: String, as file: VideoFileFormat? = nil, _ options: VideoWriter.Options = .init()) throws -> VideoWriter {
    let writer = try VideoWriter(path, as: #require(file ?? VideoFileFormat(path: path)), format: format, options: options)
    var source = self
    while let frame = try source.next() { try writer.append(frame) }
    try writer.finish()
    return writer
  }
}

extension VideoWriter.Options {
  /// By an encoder of libavcodec's.
  init(_ encoder: String, _ options: String = "", _ sampling: VideoSampling? = nil) throws {
    self.init()
    encoding = try VideoEncoding(encoder, options: options, sampling: sampling)
  }

  /// Without any loss.
  static var exact: Self { get throws { try Self("ffv1", "", .rgb) } }
}

/// A file's frames, and what its reader says at the end.
struct WholeVideo {
  let format: VideoFormat
  let frames: [VideoFrame]
  let notices: [String]
  let sound: [(track: Int, packet: CopiedPacket)]
  let tracks: [CopiedTrack]
  let damagedPackets: Int
  let patchedFrames: Int
  let count: Int?

  init(_ path: String, _ options: VideoReader.Options = .init()) throws {
    let reader = try VideoReader(path, options: options)
    var (frames, sound): ([VideoFrame], [(track: Int, packet: CopiedPacket)]) = ([], [])
    while true {
      let frame = try reader.next()
      while let packet = reader.nextSoundPacket() { sound.append(packet) }
      guard let frame else { break }
      #expect(frame.width == reader.format.width && frame.height == reader.format.height && frame.duration > 0)
      if let last = frames.last { #expect(last.time + last.duration == frame.time) }
      frames.append(frame)
    }
    #expect(try reader.next() == nil)
    #expect(reader.frames == frames.count)
    (format, self.frames, notices, self.sound, tracks) = (reader.format, frames, reader.notices, sound, reader.soundTracks)
    (damagedPackets, patchedFrames, count) = (reader.damagedPackets, reader.patchedFrames, reader.frameCount)
  }

  /// Seconds
  var times: [Double] { frames.map { Double($0.time) * format.timeBase.value } }
}

/// The greatest difference of two frames' samples; nil where their sizes differ.
func difference(_ a: VideoFrame, _ b: VideoFrame) -> Int? {
  guard a.width == b.width, a.height == b.height else { return nil }
  return zip(a.samples, b.samples).map { abs(Int($0) - Int($1)) }.max()
}

/// In dB.
func psnr(_ a: VideoFrame, _ b: VideoFrame) -> Double {
  let sum = zip(a.samples, b.samples).reduce(0) { $0 + (Int($1.0) - Int($1.1)) * (Int($1.0) - Int($1.1)) }
  return 10 * log10(255 * 255 * Double(a.samples.count) / Double(max(sum, 1)))
}

extension Fixture {
  /// Of the clips beside the repository; nil, with a word about it, where they are not.
  static func clip(_ name: String) -> String? {
    let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path + "/shared/data/video/" + name
    if FileManager.default.fileExists(atPath: path) { return path }
    print("\(path) is not there: a test is left out")
    return nil
  }

  /// What a program prints; nil, with a word about it, where it is not installed.
  static func output(_ program: String, _ arguments: [String]) throws -> String? {
    let found = ["/usr/bin/", "/usr/local/bin/"].map { $0 + program }.first { FileManager.default.isExecutableFile(atPath: $0) }
    guard let found else {
      print("\(program) is not installed: part of a test is left out")
      return nil
    }
    let process = Process()
    let pipe = Pipe()
    (process.executableURL, process.arguments, process.standardOutput) = (URL(filePath: found), arguments, pipe)
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0, "\(program) \(arguments)")
    return String(decoding: data, as: UTF8.self)
  }
}
