import CKernels

/// The native kernels of one SIMD level. Every level computes the same integers; floats agree to rounding.
package struct Kernels: @unchecked Sendable {
  package enum Level: Int32, CaseIterable, Sendable {
    case scalar = 0
    /// SSE4.2 on x86, NEON on ARM.
    case simd128 = 1
    case avx2 = 2
    case avx512 = 3
  }

  // Points at a table that the C++ side never changes or frees.
  let table: UnsafePointer<nc_kernels>

  /// The best level of this CPU, capped by the environment variable `NCCODEC_SIMD` (scalar, sse4, avx2, avx512).
  package static let current = Kernels(table: nc_kernels_current())

  /// The kernels of a level, or nil where this CPU lacks it.
  package static func at(_ level: Level) -> Kernels? { nc_kernels_at(level.rawValue).map(Kernels.init(table:)) }

  package var level: Level { Level(rawValue: table.pointee.level)! }
  /// "scalar", "sse4", "neon", "avx2" or "avx512".
  package var name: String { String(cString: nc_level_name(table.pointee.level)) }
}

/// What follows a layer's sum; bitstream-spec 6.1.
package enum Epilogue: Sendable {
  case none
  /// `max(v, v >> 2)` in fixed point, `max(v, v / 4)` in float.
  case leaky
}
