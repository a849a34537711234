targets=(EntropyCoding Bitstream Tensors Media Coding KVCodec)
cxx=(Sources/CKernels/*.cpp)
maps=(CZlib)
link=(-lz)
# Needs swift-crypto; KVDigest.swift stands for what profiles need of it.
without=(KVCodec/Store)
