targets=(EntropyCoding Bitstream Tensors Media Networks Metrics LatentCoding Autograd Fitting ImageCodec)
cxx=(Sources/CKernels/*.cpp Sources/CModels/models.c)
maps=(CZlib)
link=(-lz)
