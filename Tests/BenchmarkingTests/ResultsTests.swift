import Testing

import Benchmarking

struct ResultsTests {
  static func sample() -> BenchResults {
    let machine = BenchRun.Machine(cpu: "a", cores: 2, simd: "avx2", os: "b")
    var results = BenchResults(
      kind: .image,
      run: BenchRun(started: "2026-11-29T03:00:00Z", command: "nccodec bench", nccodec: "0.1.0", machine: machine, workers: 2))
    results.files = [FileRecord(name: "one", path: "a/one.png", width: 3, height: 2, bytes: 70, sha256: "00")]
    results.codecs = [CodecRecord(name: "jpeg", title: "JPEG", family: .peer, version: "1", settings: "q")]
    results.points = [
      PointRecord(
        file: "one", codec: "jpeg", point: 0, setting: "q:v 31", bytes: 12, bpp: 16,
        measures: ["psnr": .infinity, "msssim": nil, "ssim": 0.5], encodeSeconds: [0.25], decodeSeconds: [0.5, 0.125])
    ]
    return results
  }

  @Test func jsonAndBack() throws {
    let results = Self.sample()
    let bytes = try results.json()
    #expect(try BenchResults(json: bytes, named: "x") == results)
    let text = String(decoding: bytes, as: UTF8.self)
    // Every member is there, null where it has no value.
    for member in ["\"finished\" : null", "\"picture\" : null", "\"psnr\" : \"inf\"", "\"msssim\" : null", "\"summary\" : null"] {
      #expect(text.contains(member), "\(member)")
    }
  }
}
