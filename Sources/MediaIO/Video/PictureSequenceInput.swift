import CLibAV
import Glibc
import Media

/// Names with a number in them, such as `frames/%04d.png`: `%d`, or `%0Nd` for at least N digits; `%%` is a percent sign.
package struct NumberedNames: Sendable {
  private let before: String
  private let after: String
  private let digits: Int
  private let path: String

  /// Nil where the path has no such place, or more than one.
  package init?(_ path: String) {
    var parts = [""]
    var digits: Int?
    var rest = path[...]
    while let character = rest.popFirst() {
      guard character == "%" else {
        parts[parts.count - 1].append(character)
        continue
      }
      if rest.first == "%" {
        rest.removeFirst()
        parts[parts.count - 1].append("%")
        continue
      }
      let width = rest.prefix { $0.isASCII && $0.isNumber }
      guard digits == nil, rest.dropFirst(width.count).first == "d", width.isEmpty || width.first == "0", width.count <= 3 else { return nil }
      digits = Int(width) ?? 0
      rest = rest.dropFirst(width.count + 1)
      parts.append("")
    }
    guard let digits, digits <= 20 else { return nil }
    (before, after, self.digits, self.path) = (parts[0], parts[1], digits, path)
  }

  /// False where a file has the path itself as its name.
  package var isNeeded: Bool { access(path, F_OK) != 0 }

  package subscript(number: Int) -> String {
    let text = String(number)
    return before + String(repeating: "0", count: max(0, digits - text.count)) + text + after
  }

  /// The numbers that files have, ascending. Throws `MediaIOError` (system) for a folder that cannot be read.
  func existing() throws(MediaIOError) -> [Int] {
    // A number in a folder's name would be one picture a folder: found one by one, from 0 or 1 on.
    guard let slash = path.lastIndex(of: "/"), before.contains("/") || !after.contains("/") else {
      return try numbers(in: ".", prefix: before)
    }
    if after.contains("/") {
      var numbers: [Int] = []
      var next = access(self[0], F_OK) == 0 ? 0 : 1
      while access(self[next], F_OK) == 0 {
        numbers.append(next)
        next += 1
      }
      return numbers
    }
    let folder = String(path[..<slash]).replacing("%%", with: "%")
    return try numbers(in: folder.isEmpty ? "/" : folder, prefix: String(before[before.index(after: before.lastIndex(of: "/")!)...]))
  }

  private func numbers(in folder: String, prefix: String) throws(MediaIOError) -> [Int] {
    guard let directory = opendir(folder) else { throw .system(folder) }
    defer { closedir(directory) }
    var numbers: [Int] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self)) }
      guard name.hasPrefix(prefix), name.hasSuffix(after), name.utf8.count > prefix.utf8.count + after.utf8.count else { continue }
      let middle = name.dropFirst(prefix.count).dropLast(after.count)
      // What is written back alike is one of the names, so that 1 and 01 are not mixed up.
      guard middle.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(middle), self[number].hasSuffix(name) else { continue }
      numbers.append(number)
    }
    return numbers.sorted()
  }
}

/// Numbered pictures as a video: from the least number on, each one tick of 1 / rate s. Any of `ImageReader`'s formats.
///
/// All numbers up to the greatest must be there. Alpha is dropped, grey becomes R = G = B; pictures of another size than the first are scaled.
final class PictureSequenceInput: VideoInput {
  let format: VideoFormat
  let frameCount: Int?
  let container = "pictures"
  let codec: String
  let soundTracks: [CopiedTrack] = []
  private(set) var frames = 0
  private(set) var notices: [String]
  private(set) var damagedPackets = 0
  let patchedFrames = 0

  private let names: NumberedNames
  /// Numbers that are wanted; the next one is `position`.
  private let numbers: Range<Int>
  private let origin: Int
  private var position: Int
  private var pending: VideoFrame?
  private let converter: PictureConverter
  private let options: VideoReader.Options
  private let sourceSize: (Int, Int)
  private var resizedFrames = 0
  private var isEnded = false

  /// Throws `MediaIOError`.
  init(_ names: NumberedNames, _ options: VideoReader.Options) throws {
    (self.names, self.options) = (names, options)
    let existing = try names.existing()
    guard let least = existing.first, let greatest = existing.last else {
      throw MediaIOError(.empty, at: names[0], "there is no picture of that name, with any number")
    }
    if greatest - least + 1 != existing.count {
      let gap = zip(existing, existing.dropFirst()).first { $0 + 1 != $1 }!.0 + 1
      throw MediaIOError(.damaged, at: names[gap], "it is missing, and there are later ones")
    }
    let rate = options.rate ?? Rational(exactly: 25, 1)!
    var stretch = VideoStretch(first: 0, isCutAtStart: false, end: nil)
    stretch.cut(options, in: rate.reciprocal)
    let (skipped, count) = (Int(min(stretch.first, 1 << 40)), existing.count)
    let end = min(count, stretch.end.map { Int(min($0, 1 << 41)) } ?? count)
    guard skipped < end else {
      throw MediaIOError(.empty, at: names[least], "no picture begins between the start and the end that were asked for")
    }
    numbers = (least + skipped)..<(least + end)
    origin = least + skipped
    position = numbers.lowerBound
    frameCount = numbers.count

    // The first that can be read says what the others are held against.
    var first: ReadImage?
    while first == nil, position < numbers.upperBound {
      do {
        first = try ImageReader.read(FileIO.read(names[position]), limits: options.limits)
      } catch let error where options.damage == .skip && position + 1 < numbers.upperBound && Self.isDamage(error) {
        damagedPackets += 1
        position += 1
      } catch let error as MediaIOError {
        throw MediaIOError(error.code, at: names[position], error.description)
      }
    }
    guard let first else { throw MediaIOError(.damaged, at: names[position], "none of the pictures can be read") }
    let (width, height) = (first.image.width, first.image.height)
    sourceSize = (width, height)
    let size = options.size ?? (width, height)
    try options.limits.check(width: size.width, height: size.height, named: "scaled")
    let depth = Int(first.image.metadata.sourceBitDepth)
    format = try VideoFormat(
      width: size.width, height: size.height, timeBase: rate.reciprocal, frameRate: rate,
      colour: ColourDescription(primaries: 1, transfer: 13, matrix: 0, isFullRange: true), sourceBitDepth: min(max(depth, 1), 16))
    codec = "\(first.format)".lowercased()
    notices = depth > 8 ? ["\(depth)-bit samples were rounded to 8 bits"] : []
    if options.rate == nil { notices.append("pictures have no rate: 25 a second were assumed") }
    if first.image.alpha != nil { notices.append("alpha was dropped") }
    if first.image.metadata.exif != nil { notices.append("orientation that EXIF may tell of was left out") }
    converter = PictureConverter(try LibAV.load(), width: size.width, height: size.height, named: names[position])
    pending = try frame(first.image)
  }

  func next() throws -> VideoFrame? {
    guard var current = pending else {
      if !isEnded {
        isEnded = true
        if damagedPackets > 0 { notices.append("\(damagedPackets) damaged \(damagedPackets == 1 ? "picture was" : "pictures were") left out") }
        if resizedFrames > 0 { notices.append("\(resizedFrames) of another size \(resizedFrames == 1 ? "was" : "were") scaled to the first one's") }
      }
      return nil
    }
    pending = nil
    while pending == nil, position < numbers.upperBound {
      do {
        pending = try frame(ImageReader.read(FileIO.read(names[position]), limits: options.limits).image)
      } catch let error as MediaIOError {
        guard options.damage == .skip, Self.isDamage(error) else { throw MediaIOError(error.code, at: names[position], error.description) }
        damagedPackets += 1
        position += 1
      }
    }
    current.duration = (pending?.time ?? Int64(numbers.upperBound - origin)) - current.time
    frames += 1
    return current
  }

  func nextSoundPacket() -> (track: Int, packet: CopiedPacket)? { nil }

  /// The picture at `position`, which goes on.
  private func frame(_ image: Image) throws -> VideoFrame {
    if (image.width, image.height) != sourceSize { resizedFrames += 1 }
    defer { position += 1 }
    return try converter.convert(VideoFrame(image, time: Int64(position - origin), duration: 1))
  }

  private static func isDamage(_ error: any Error) -> Bool {
    guard let error = error as? MediaIOError else { return false }
    return [.empty, .truncated, .damaged, .unknownFormat].contains(error.code)
  }
}
