import ArgumentParser
import Glibc
import MediaIO

/// The command: `nccodec encode | decode | info | verify | kv | bench`.
@main
struct NCCodec: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nccodec",
    abstract: "Small pictures, videos, sounds and KV caches from learned codecs, which decode to the same bits on every machine.",
    discussion: """
      Pictures go in as PNG, JPEG, WebP, BMP, TIFF, QOI or PNM and become .ncb files; those come back as PNG. \
      Video goes in from any file with video and comes back as MP4, MKV, WebM, MOV, AVI, Y4M or pictures. \
      Sound goes in from any file with sound and comes back as WAV, FLAC, Opus, Vorbis, MP3 or AAC. \
      The file name - means standard input or standard output.

      Examples:
        nccodec encode photo.png photo.ncb
        nccodec decode photo.ncb back.png
        nccodec encode film.mp4 film.ncb
        nccodec decode film.ncb film.mkv
        nccodec encode song.flac song.ncb
        nccodec decode song.ncb song.wav
        nccodec info photo.ncb
        nccodec verify photo.ncb

      Exit codes:
        0  success
        1  failure: one line on standard error says why, and no output is left behind
        2  usage: the command line makes no sense
        3  kv store get: nothing of the text is stored
      """,
    version: release,
    subcommands: [
      EncodeCommand.self, DecodeCommand.self, InfoCommand.self, VerifyCommand.self, KVGroup.self, BenchGroup.self,
    ])

  static let release = "0.1.0"

  static func main() {
    // Before anything else, so that Ctrl-C at any time leaves nothing behind.
    AtomicFile.removeTemporariesOnSignals()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let error as Failure {
      Console.error(error.description)
      Glibc.exit(1)
    } catch let code as ExitCode {
      // What there was to say has been said.
      Glibc.exit(code.rawValue)
    } catch {
      switch exitCode(for: error) {
      case .success:  // --help and --version arrive as errors
        Console.print(fullMessage(for: error), to: .standardOutput)
        Glibc.exit(0)
      case .validationFailure:
        Console.error("\(usage(message(for: error))) See 'nccodec\(askedSubcommand) --help'.")
        Glibc.exit(2)
      default:
        Console.error(Failure(error, at: nil).description)
        Glibc.exit(1)
      }
    }
  }

  /// The subcommand that the user typed, with a space before it, or nothing.
  private static var askedSubcommand: String {
    let names = configuration.subcommands.map { $0._commandName }
    return CommandLine.arguments.dropFirst().first { names.contains($0) }.map { " \($0)" } ?? ""
  }

  /// One sentence of a message that may have several lines.
  private static func usage(_ message: String) -> String {
    let line = message.split(separator: "\n").joined(separator: " ")
    return line.hasSuffix(".") || line.hasSuffix("?") ? line : line + "."
  }
}
