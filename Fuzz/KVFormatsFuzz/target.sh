targets=(Media MediaIO)
cxx=(Sources/CPNGShim/*.c)
# SwiftPM makes the module map of CPNGShim; here it is made beside those of the kernels.
mkdir -p .build-fuzz/KVFormatsFuzz/modules/CPNGShim
printf 'module CPNGShim {\n  umbrella "%s"\n  export *\n}\n' "$PWD/Sources/CPNGShim/include" \
  > .build-fuzz/KVFormatsFuzz/modules/CPNGShim/module.modulemap
maps=(CZlib CLibPNG CLibAV ../.build-fuzz/KVFormatsFuzz/modules/CPNGShim)
link=(-lz -lpng)
