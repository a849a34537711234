targets=(Bitstream Tensors Networks)
cxx=(Sources/CKernels/*.cpp)
maps=(CZlib)
link=(-lz)
