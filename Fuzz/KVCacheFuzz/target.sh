targets=(EntropyCoding Bitstream Tensors Media Coding KVCodec)
cxx=(Sources/CKernels/*.cpp)
maps=(CZlib)
link=(-lz)
# Needs swift-crypto, and no fuzzer reaches it.
without=(KVCodec/Store)
