targets=(EntropyCoding)
cxx=(Sources/CKernels/rans_scalar.cpp Sources/CKernels/rans_decode.cpp)
