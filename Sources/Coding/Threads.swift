import Glibc

package enum Threads {
  /// The number of threads that an option asks for: nil means one per core.
  // Not Foundation's count: loading Foundation costs every start of the command some milliseconds.
  package static func resolve(_ wanted: Int?) -> Int { max(1, wanted ?? sysconf(Int32(_SC_NPROCESSORS_ONLN))) }
}
