import Autograd
import Tensors
import Testing

struct TapeTests {
  @Test func viewsShareMemory() {
    let whole = Variable("whole", channels: 3, height: 2, width: 5)
    let view = whole.view(1..<3)
    view.load((0..<20).map(Float.init))
    #expect(whole.elements == [Float](repeating: 0, count: 10) + (0..<20).map(Float.init))
    #expect(whole.pitch % 16 == 0 && whole.pitch >= 21)
    #expect(Int(bitPattern: view.value) % 64 == 0)
  }
}
