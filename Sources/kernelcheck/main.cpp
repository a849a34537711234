// Holds every kernel at every level of this CPU against its scalar twin, then times it.
//   kernelcheck [--quick] [--time [NAME]]
// --quick: fewer shapes, no times (for CI). --time: times only, of kernels with NAME in
// their name. Exit code 1 on a mismatch, 2 on a wrong option.
#include <cstring>

#include "support.h"

int main(int argc, char** argv) {
  bool quick = false, time_only = false;
  const char* only = nullptr;
  for (int i = 1; i < argc; i++) {
    if (std::strcmp(argv[i], "--quick") == 0) {
      quick = true;
    } else if (std::strcmp(argv[i], "--time") == 0) {
      time_only = true;
      if (i + 1 < argc && argv[i + 1][0] != '-') only = argv[++i];
    } else {
      std::fprintf(stderr, "usage: kernelcheck [--quick] [--time [NAME]]\n");
      return 2;
    }
  }
  bool failed = false;
  if (!time_only) {
    for (int32_t level = 0; level < NC_LEVELS; level++) {
      const nc_kernels* k = nc_kernels_at(level);
      if (k == nullptr) {
        if (level != NC_LEVEL_SCALAR) std::printf("%-7s not on this CPU\n", nc_level_name(level));
        continue;
      }
      Tally tally;
      CheckFixed(k, quick, tally);
      CheckFloat(k, quick, tally);
      CheckPlanes(level, quick, tally);
      CheckOverfit(level, quick, tally);
      CheckTiles(level, quick, tally);
      CheckKV(level, quick, tally);
      CheckNerv(level, quick, tally);
      std::printf("%-7s %zu comparisons, %zu mismatches\n", nc_level_name(level), tally.compared, tally.wrong);
      failed |= tally.wrong != 0;
    }
    Tally moves;
    CheckMoves(moves);
    std::printf("%-7s %zu comparisons, %zu mismatches\n", "moves", moves.compared, moves.wrong);
    failed |= moves.wrong != 0;
    std::printf("current level: %s\n", nc_level_name(nc_kernels_current()->level));
  }
  if (!quick && !failed) PrintTimes(only);
  return failed ? 1 : 0;
}
