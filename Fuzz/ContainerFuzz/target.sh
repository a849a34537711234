targets=(Bitstream)
cxx=(Sources/CKernels/*.cpp)
maps=(CZlib)
link=(-lz)
