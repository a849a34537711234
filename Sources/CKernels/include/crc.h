// CRC-32 as in PNG and zlib, most of the way. bitstream-spec 1.5
#ifndef NC_CRC_H
#define NC_CRC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Sums up the first bytes of `bytes`, a multiple of 16, and returns how many: the CRC of what `crc` is the CRC of, followed by
// these, is that of what 0xFFFFFFFF is the CRC of, followed by `rest`. 0 where there are too few, or at level scalar.
size_t nc_crc32_fold(uint32_t crc, const uint8_t* bytes, size_t count, uint8_t rest[16]);

#ifdef __cplusplus
}
#endif

#endif
