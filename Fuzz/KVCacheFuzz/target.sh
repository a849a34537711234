targets=(EntropyCoding Bitstream Tensors Media Coding KVCodec)
cxx=(Sources/CKernels/*.cpp)
maps=(CZlib COpenSSL)
link=(-lz -lcrypto)
