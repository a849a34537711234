// swift-tools-version: 6.1
// The list of targets is the map: lower layers first, and nothing imports upwards (LayeringTests holds us to it).
import PackageDescription

let package = Package(
  name: "neural-codecs",
  products: [
    .library(name: "NeuralCodecs", targets: ["NeuralCodecs"]),
    .executable(name: "nccodec", targets: ["nccodec"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // Layer 0: system libraries, native kernels, embedded weights.
    // No pkgConfig, which would link: libav is loaded when a picture needs it.
    .systemLibrary(name: "CLibAV"),
    .systemLibrary(name: "CLibPNG", pkgConfig: "libpng"),
    // libpng's setjmp cannot be called from Swift, so a few C functions stand between.
    .target(name: "CPNGShim", dependencies: ["CLibPNG"]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib"),
    // SHA-256 of profiles and of the KV store's keys.
    .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto"),
    .target(
      name: "CKernels",
      cxxSettings: [.headerSearchPath(".")],  // a kernel source includes itself once per SIMD level
      linkerSettings: [.linkedLibrary("m")]),
    .target(name: "CModels", exclude: ["Weights"]),
    .target(name: "CBenchPage", exclude: ["Page"]),

    // Layer 1: values and integer machinery.
    .target(name: "Tensors", dependencies: ["CKernels"]),
    .target(name: "EntropyCoding", dependencies: ["CKernels"]),
    .target(name: "Bitstream", dependencies: ["CKernels", "CZlib"]),
    .target(name: "Media"),

    // Layer 2: networks, files, metrics.
    .target(name: "Autograd", dependencies: ["Tensors", "CKernels"]),
    .target(name: "Networks", dependencies: ["Tensors", "Bitstream"]),
    .target(name: "MediaIO", dependencies: ["Media", "CPNGShim", "CLibAV", "CZlib"]),
    .target(name: "Metrics", dependencies: ["Media"]),

    // Layer 3: latents to bytes, and the loop that fits latents and networks to data.
    .target(name: "Fitting", dependencies: ["Autograd"]),
    .target(name: "LatentCoding", dependencies: ["EntropyCoding"]),
    // What all codecs share: errors, progress, threads, and sound that is copied along.
    .target(name: "Coding", dependencies: ["Bitstream", "Media"]),

    // Layer 4: codecs.
    .target(
      name: "ImageCodec",
      dependencies: [
        "LatentCoding", "Coding", "Fitting", "Networks", "Autograd", "Metrics", "EntropyCoding", "Bitstream", "Media", "Tensors", "CModels", "CKernels",
      ]),

    .target(name: "AudioCodec", dependencies: ["Coding", "EntropyCoding", "Networks", "Tensors", "Bitstream", "Media", "CModels"]),

    .target(
      name: "KVCodec",
      dependencies: ["Coding", "EntropyCoding", "Bitstream", "Media", "Tensors", "CKernels", "COpenSSL"]),

    // With the sound beside it.
    .target(
      name: "VideoCodec",
      dependencies: ["AudioCodec", "Coding", "EntropyCoding", "Autograd", "Metrics", "Bitstream", "Media", "Tensors", "CKernels"]),

    // Layer 5: the public library.
    .target(name: "NeuralCodecs", dependencies: ["ImageCodec", "AudioCodec", "KVCodec", "VideoCodec", "Coding", "Media"]),

    // Layer 6: measurements beside other codecs.
    .target(
      name: "Benchmarking",
      dependencies: [
        "NeuralCodecs", "KVCodec", "MediaIO", "Metrics", "Media", "CBenchPage", "CModels",
      ]),

    // Layer 7: the command.
    .executableTarget(
      name: "nccodec",
      dependencies: [
        "NeuralCodecs", "MediaIO", "Benchmarking", "Bitstream",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // One program that holds every kernel against its scalar twin and times it.
    .executableTarget(name: "kernelcheck", dependencies: ["CKernels"]),
    // Times the layers of Tensors for Benchmarks/kernels.sh.
    .executableTarget(name: "kernelbench", dependencies: ["Tensors"]),
    // Times the entropy coders; Benchmarks/entropy.sh runs it beside constriction.
    .executableTarget(name: "entropybench", dependencies: ["EntropyCoding"], path: "Benchmarks/EntropyBench"),
    // Times the operators of Autograd.
    .executableTarget(name: "autogradbench", dependencies: ["Autograd", "Tensors"], path: "Benchmarks/AutogradBench"),
    // Fits the priors of the overfitted codec; see Training/overfit.
    .executableTarget(
      name: "overfitprior",
      dependencies: [
        "ImageCodec", "Fitting", "Autograd", "MediaIO", "Media", "Tensors",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Training/overfit/PriorFit"),
    // Learns what codec 5 knows of coefficients: Training/audio.
    .executableTarget(
      name: "audioprior",
      dependencies: [
        "AudioCodec", "Bitstream", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Training/audio/AudioPrior"),
    // Measures the image codec for Benchmarks/rd.sh and Benchmarks/speed.sh.
    .executableTarget(
      name: "codecbench",
      dependencies: [
        "NeuralCodecs", "ImageCodec", "VideoCodec", "Benchmarking", "Fitting", "Autograd", "Tensors", "MediaIO", "Metrics", "Media", "Bitstream",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Benchmarks/CodecBench"),

    // Times the KV-cache codec beside a copy, a quantiser and zstd for Benchmarks/kv.sh.
    .target(name: "KVPeers", path: "Benchmarks/KVPeers"),
    .executableTarget(
      name: "kvbench",
      dependencies: [
        "NeuralCodecs", "MediaIO", "Media", "KVPeers",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Benchmarks/KVBench"),

    .testTarget(name: "AutogradTests", dependencies: ["Autograd", "Fitting", "Tensors"]),
    .testTarget(name: "TensorsTests", dependencies: ["Tensors"]),
    .testTarget(name: "EntropyCodingTests", dependencies: ["EntropyCoding"]),
    .testTarget(name: "BitstreamTests", dependencies: ["Bitstream"]),
    .testTarget(name: "MediaIOTests", dependencies: ["MediaIO", "Coding", "Bitstream", "Media", "CZlib"]),
    .testTarget(
      name: "ImageCodecTests", dependencies: ["NeuralCodecs", "ImageCodec", "Fitting", "Coding", "Metrics", "Media", "MediaIO"]),
    .testTarget(name: "AudioCodecTests", dependencies: ["AudioCodec", "Coding", "EntropyCoding", "Bitstream", "Media"]),
    .testTarget(name: "VideoCodecTests", dependencies: ["VideoCodec", "AudioCodec", "Coding", "Autograd", "Tensors", "Bitstream", "Media"]),
    .testTarget(name: "KVCodecTests", dependencies: ["KVCodec", "Coding", "Bitstream", "Media"]),
    .testTarget(name: "ConformanceTests", dependencies: ["NeuralCodecs", "CLibAV"], linkerSettings: [.linkedLibrary("avutil")]),
    .testTarget(name: "RobustnessTests", dependencies: ["ImageCodec", "AudioCodec", "KVCodec", "VideoCodec", "Coding", "Networks", "Bitstream", "Media"]),
    .testTarget(name: "MetricsTests", dependencies: ["Metrics", "Media", "MediaIO"], exclude: ["reference.py", "sound_reference.py"]),
    .testTarget(name: "BenchmarkingTests", dependencies: ["Benchmarking", "NeuralCodecs", "MediaIO", "Metrics", "Media"]),
    // Runs the nccodec that `swift test` builds beside it.
    .testTarget(name: "CLITests", dependencies: ["Bitstream", "Media", "MediaIO", "Metrics"]),
    .testTarget(name: "LayeringTests"),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)
