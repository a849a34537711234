"""The digit classifier in integers: what Sources/Benchmarking/Measures/DigitClassifier.swift computes, bit for bit.

Layers of (channels in, out, side of the window, stride), padded with zeros by half a window, then one dense layer over
[H, W, C]. Pixels and activations are 0...255; weights -127...127 with a scale for each output channel.
  activation = clamp((sum + bias) * multiplier + 2^23 >> 24, 0, 255)
  score      = sum * multiplier + bias
The file, little endian: per layer the weights, int8 [ky, kx, in, out]; then int32 bias [out] and int32 multiplier [out].
The dense layer alike, its weights [in, 10].
"""
import numpy as np

CONVS = [(1, 16, 3, 2), (16, 32, 3, 2), (32, 32, 3, 1)]
FEATURES = 7 * 7 * 32
SHIFT = 24


def columns(x, k, stride):
    """[N, H, W, C] to windows [N, H', W', k * k * C]."""
    x = np.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    n, h, w, c = x.shape
    out_h, out_w = (h - k) // stride + 1, (w - k) // stride + 1
    parts = [x[:, y:y + stride * out_h:stride, i:i + stride * out_w:stride][:, :out_h, :out_w]
             for y in range(k) for i in range(k)]
    return np.concatenate(parts, axis=-1)


def quantise(weights, biases, last, last_bias, calibration):
    """weights: [ky, kx, in, out] each, of a network on pixels 0...1; calibration: training digits, uint8 [N, 28, 28]."""
    network = []
    x = calibration[..., None].astype(np.float64) / 255
    scale = 1 / 255  # of an activation's step
    for (_, out, k, stride), weight, bias in zip(CONVS, weights, biases):
        x = np.maximum(columns(x, k, stride) @ weight.reshape(-1, out) + bias, 0)
        out_scale = np.quantile(x[x > 0], 0.9995) / 255
        steps = np.abs(weight).max(axis=(0, 1, 2)) / 127
        q = np.rint(weight / steps).astype(np.int8)
        accumulator = scale * steps
        network.append((q.reshape(-1, out), np.rint(bias / accumulator).astype(np.int32),
                        np.rint(accumulator / out_scale * 2 ** SHIFT).astype(np.int32)))
        scale = out_scale
    steps = np.abs(last).max(axis=0) / 127
    unit = scale * steps.max() / 2 ** 10  # of a score's step
    network.append((np.rint(last / steps).astype(np.int8), np.rint(last_bias / unit).astype(np.int32),
                    np.rint(scale * steps / unit).astype(np.int32)))
    return network


def predict(network, images):
    """uint8 [N, 28, 28] to digits; of equal scores the first."""
    return scores(network, images).argmax(1)


def scores(network, images):
    """uint8 [N, 28, 28] to [N, 10]."""
    out = []
    for start in range(0, len(images), 1000):
        x = images[start:start + 1000, :, :, None].astype(np.int64)
        for (_, _, k, stride), (weight, bias, multiplier) in zip(CONVS, network):
            # Exact in doubles, which are fast.
            total = (columns(x, k, stride).astype(np.float64) @ weight.astype(np.float64)).astype(np.int64)
            x = np.clip((total + bias) * multiplier + (1 << (SHIFT - 1)) >> SHIFT, 0, 255)
        weight, bias, multiplier = network[-1]
        total = (x.reshape(len(x), -1).astype(np.float64) @ weight.astype(np.float64)).astype(np.int64)
        out.append(total * multiplier + bias)
    return np.concatenate(out)


def serialised(network):
    return b"".join(w.astype("i1").tobytes() + b.astype("<i4").tobytes() + m.astype("<i4").tobytes()
                    for w, b, m in network)


def parsed(data):
    network, at = [], 0

    def take(kind, *shape):
        nonlocal at
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        at += size
        return np.frombuffer(data, kind, count=int(np.prod(shape)), offset=at - size).reshape(shape)
    for rows, out in [(k * k * i, o) for i, o, k, _ in CONVS] + [(FEATURES, 10)]:
        network.append((take("i1", rows, out), take("<i4", out).astype(np.int64), take("<i4", out).astype(np.int64)))
    assert at == len(data)
    return network
