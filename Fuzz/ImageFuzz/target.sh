targets=(EntropyCoding Bitstream Tensors Media Networks Metrics LatentCoding Coding Autograd Fitting ImageCodec)
cxx=(Sources/CKernels/*.cpp Sources/CModels/models.c)
maps=(CZlib)
link=(-lz)
