targets=(EntropyCoding Bitstream Tensors Media Networks Coding AudioCodec)
cxx=(Sources/CKernels/*.cpp Sources/CModels/models.c)
maps=(CZlib)
link=(-lz)
