import Synchronization
import Tensors
import Testing

@Suite struct MovesTests {
  @Test(arguments: [2, 8]) func shuffleUndoesUnshuffle(_ k: Int) {
    var random = Random(6)
    let shape = Shape(2 * k, 3 * k, 3)
    let x = Tensor(shape, random.int16s(shape.count))
    let (y, back) = (Tensor<Int16>(uninitialized: shape), Tensor<Int16>(uninitialized: shape))
    x.unshuffle(by: k, into: y, threads: 2)
    #expect(y.shape == Shape(2, 3, 3 * k * k))
    #expect(y[1, 2, (1 * k + 0) * 3 + 2] == x[k + 1, 2 * k, 2])
    y.shuffle(by: k, into: back, threads: 2)
    #expect(back.values == x.values)
    let f = Tensor<Float>(shape, random.floats(shape.count))
    let (g, h) = (Tensor<Float>(uninitialized: shape), Tensor<Float>(uninitialized: shape))
    f.unshuffle(by: k, into: g, threads: 1)
    g.shuffle(by: k, into: h, threads: 1)
    #expect(h.values == f.values)
  }

  @Test(arguments: [(1, 1), (8, 8), (9, 17), (16, 7)], [1, 3]) func bytes(_ size: (Int, Int), channels: Int) {
    let (height, width) = size
    var random = Random(7)
    let shape = Shape((height + 7) / 8, (width + 7) / 8, 64 * channels)
    let x = Tensor(shape, random.int16s(shape.count))
    let flat = Tensor<Int16>(uninitialized: shape)
    x.shuffle(by: 8, into: flat, threads: 1)
    let stride = width * channels + 3
    for threads in [1, 2] {
      var bytes = [UInt8](repeating: 9, count: stride * height)
      bytes.withUnsafeMutableBufferPointer {
        x.shuffle8(
          intoBytes: $0, stride: stride, height: height, width: width, channels: channels, shift: 6, threads: threads)
      }
      for row in 0..<height {
        for i in 0..<stride {
          let want = i < width * channels
            ? min(max((Int(flat[row, i / channels, i % channels]) + 32) >> 6, 0), 255) : 9
          #expect(bytes[row * stride + i] == UInt8(want))
        }
      }
    }
  }

  @Test func scaleAddAndLeaky() throws {
    let shape = Shape(1, 2, 3)
    let x = Tensor<Int16>(shape, [1, -1, 32767, -32768, 5, -6])
    let y = Tensor<Int16>(uninitialized: shape)
    try FixedPointScale(multipliers: [2, 3, 32767], shift: 2).apply(x, into: y, threads: 1)
    #expect(y.values == [1, -1, 32767, -16384, 4, -32768])
    y.add(x)
    #expect(y.values == [2, -2, 32767, -32768, 9, -32768])
    y.applyLeaky()
    #expect(y.values == [2, -1, 32767, -8192, 9, -8192])
  }

  @Test(arguments: [1, 2, 3, 16]) func parallelForRunsEachIndexOnce(_ threads: Int) {
    for count in [0, 1, 2, 1000] {
      let seen = Mutex([Int](repeating: 0, count: count))
      #expect(parallelFor(count, threads: threads) { i in seen.withLock { $0[i] += 1 } })
      #expect(seen.withLock { $0 } == .init(repeating: 1, count: count))
    }
  }

  @Test(arguments: [1, 2]) func parallelForStops(_ threads: Int) {
    let done = Atomic(0)
    let finished = parallelFor(
      1000, threads: threads, isCancelled: { done.load(ordering: .relaxed) >= 10 },
      body: { _ in done.add(1, ordering: .relaxed) })
    #expect(!finished)
    #expect(done.load(ordering: .relaxed) <= 11)
  }

  @Test func reshapeKeepsMemoryWhereItCan() {
    let x = Tensor<Int16>(Shape(4, 4, 4), Array(repeating: 3, count: 64))
    let pointer = x.pointer
    x.reshape(to: Shape(2, 2, 2))
    #expect(x.pointer == pointer && x.values == .init(repeating: 3, count: 8))
    x.reshape(to: Shape(9, 9, 9))
    #expect(x.shape.count == 729 && UInt(bitPattern: x.pointer) % 64 == 0)
  }

  @Test func currentLevelIsOneOfTheTables() {
    #expect(Kernels.at(.scalar)?.name == "scalar")
    #expect(Kernels.at(Kernels.current.level)?.name == Kernels.current.name)
  }
}
