// What the sources of kv.h share.
#pragma once
#include "kv.h"

namespace nc {

void InstallKVBlocksScalar(nc_kv* table);
void InstallKVBlocks(int64_t target, nc_kv* table);
void InstallKVLinearScalar(nc_kv* table);
void InstallKVLinear(int64_t target, nc_kv* table);
void InstallKVSymbolsScalar(nc_kv* table);
void InstallKVSymbols(int64_t target, nc_kv* table);

}  // namespace nc
