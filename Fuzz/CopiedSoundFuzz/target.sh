targets=(Bitstream Media Coding)
cxx=(Sources/CKernels/*.cpp)
maps=(CZlib)
link=(-lz)
