targets=(EntropyCoding)
cxx=(Sources/CKernels/rans_*.cpp)
