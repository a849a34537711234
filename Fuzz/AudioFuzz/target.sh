targets=(EntropyCoding Bitstream Media Coding AudioCodec)
cxx=(Sources/CKernels/*.cpp Sources/CModels/models.c)
maps=(CZlib)
link=(-lz)
