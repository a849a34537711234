"""The token codec in double precision, from bitstream-spec 12 alone, and the vectors that tests compare with:

    python3 Fixtures/Tokens/reference.py        # needs numpy; writes input.f32, indices.MODE.u16, output.MODE.f32 beside itself

It reads the weights in Sources/CModels/Weights, so run it again where they change.
"""
import pathlib
import struct

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
WEIGHTS = HERE.parent.parent / "Sources/CModels/Weights"


def load(path):
    """Tensors by name, matrices of bytes multiplied by their scales; bitstream-spec 7, 12.4."""
    data = path.read_bytes()
    (count,) = struct.unpack("<H", data[8:10])
    at, raw = 10, {}
    for _ in range(count):
        length = data[at]
        name = data[at + 1:at + 1 + length].decode()
        at += 1 + length
        kind, rank = data[at], data[at + 1]
        at += 2
        shape = struct.unpack(f"<{rank}I", data[at:at + 4 * rank])
        at += 4 * rank
        dtype = {0: np.int16, 1: np.int32, 2: np.uint8, 3: np.float16}[kind]
        size = int(np.prod(shape))
        raw[name] = np.frombuffer(data, dtype, size, at).reshape(shape)
        at += size * np.dtype(dtype).itemsize
    weights = {}
    for name, value in raw.items():
        if value.dtype == np.uint8:
            scale = raw[name.removesuffix(".weight") + ".scale"].astype(np.float64)
            weights[name] = (value.astype(np.float64) - 128) * scale[:, None]
        else:
            weights[name] = value.astype(np.float64)
    return weights


def normed(x, w, name):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-6) * w[name + ".weight"] + w[name + ".bias"]


def linear(x, w, name, bias=None):
    return x @ w[name + ".weight"].T + (w[name + ".bias"] if bias is None else bias)


def block(h, w, name):
    padded = np.concatenate([np.zeros((5, 256)), h, np.zeros((1, 256))])
    y = sum(padded[j:j + len(h)] * w[name + ".dw.weight"][:, j] for j in range(7)) + w[name + ".dw.bias"]
    y = linear(normed(y, w, name + ".norm"), w, name + ".up")
    y = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y ** 3)))
    return h + linear(y, w, name + ".down")


WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1280) / 1280)


def encode(x, w, books, mode):
    hop = [320, 600][mode]
    frames = -(-len(x) // hop)
    padded = np.concatenate([np.zeros(640), x, np.zeros(2000)])
    features = []
    for t in range(frames):
        start = t * hop + hop // 2
        spectrum = np.fft.rfft(WINDOW * padded[start:start + 1280]) / 640
        power = np.abs(spectrum) ** 2 + 1e-10
        low = spectrum[:256] * power[:256] ** -0.35
        features.append(np.concatenate([power ** 0.15, low.real, low.imag]))
    h = normed(linear(np.array(features), w, "enc.in", w["enc.in.bias"][mode]), w, "enc.norm")
    for k in range(4):
        h = block(h, w, f"enc.{k}")
    latents = linear(normed(h, w, "enc.out.norm"), w, "enc.out")
    return np.array([search(latent, books, mode) for latent in latents]).T


def search(latent, books, mode, width=8):
    """Level by level, the best beginnings go on."""
    beginnings = [((), latent)]
    for level in range(8):
        book = books[f"book.{mode}.{level}"]
        longer = []
        for path, rest in beginnings:
            errors = ((rest - book) ** 2).sum(1)
            longer += [(errors[i], path + (i,), rest - book[i]) for i in np.argsort(errors, kind="stable")[:width]]
        longer.sort(key=lambda b: b[0])
        beginnings = [(path, rest) for _, path, rest in longer[:width]]
    return beginnings[0][0]


def attention(h, w):
    a = linear(normed(h, w, "dec.attention.norm"), w, "dec.attention.qkv")
    out = np.zeros_like(h)
    for t in range(len(h)):
        s = np.arange(max(0, t - 63), t + 1)
        for head in range(4):
            c = slice(64 * head, 64 * head + 64)
            q, k, v = a[t, :256][c], a[s, 256:512][:, c], a[s, 512:][:, c]
            score = k @ q / 8 + w["dec.attention.position"][head][t - s]
            score = np.exp(score - score.max())
            out[t, c] = score @ v / score.sum()
    return h + linear(out, w, "dec.attention.out")


def pitches(logits):
    """Hz"""
    found = []
    for row in logits:
        best = int(row.argmax())
        bins = np.arange(max(0, best - 4), min(191, best + 4) + 1)
        share = np.exp(row[bins] - row[best])
        found.append(55 * 2 ** ((share * bins).sum() / share.sum() / 60))
    return np.array(found)


def pulses(pitch, hop):
    frames = len(pitch)
    at = (np.arange(frames * hop) + 0.5) / hop - 0.5
    frequency = np.interp(at, np.arange(frames), pitch)
    phase = np.concatenate([np.cumsum(part / 24000) for part in np.split(frequency, range(400 * hop, frames * hop, 400 * hop))])
    angle = 2 * np.pi * (phase - np.floor(phase))
    harmonics = np.floor(11500 / frequency)
    below = np.sin(angle / 2)
    small = np.abs(below) < 1e-5
    ratio = np.where(small, 2 * harmonics + 1, np.sin((harmonics + 0.5) * angle) / np.where(small, 1, below))
    return 0.5 * (ratio - 1) * np.sqrt(2 / harmonics)


def noises(count):
    """Of channel 0."""
    x = np.arange(count, dtype=np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return (((x >> np.uint64(40)).astype(np.float64) + 0.5) * 2.0 ** -23 - 1) * np.sqrt(3)


def decode(indices, w, mode, samples):
    hop = [320, 600][mode]
    z = sum(w[f"book.{mode}.{level}"][index] for level, index in enumerate(indices))
    h = normed(linear(z, w, "dec.in", w["dec.in.bias"][mode]), w, "dec.norm")
    for k in range(8):
        if k == 2:
            h = attention(h, w)
        h = block(h, w, f"dec.{k}")
    y = linear(normed(h, w, "dec.out.norm"), w, "dec.out")
    levels, phases, logits = np.exp(np.minimum(y[:, :1923].reshape(-1, 3, 641), 3)), y[:, 1923:2564], y[:, 2564:]
    padding = np.zeros(640), np.zeros(2000)
    pulse, noise = (np.concatenate([padding[0], x, padding[1]]) for x in (pulses(pitches(logits), hop), noises(len(z) * hop)))
    total = np.zeros(len(z) * hop + 2000)
    weight = np.zeros_like(total)
    for t in range(len(z)):
        start = t * hop + hop // 2
        spectrum = levels[t, 2] * np.exp(1j * phases[t])
        spectrum += levels[t, 0] * np.fft.rfft(WINDOW * pulse[start:start + 1280]) / 640
        spectrum += levels[t, 1] * np.fft.rfft(WINDOW * noise[start:start + 1280]) / 640
        spectrum[0], spectrum[640] = spectrum[0].real, spectrum[640].real
        total[start:start + 1280] += WINDOW * 640 * np.fft.irfft(spectrum, 1280)
        weight[start:start + 1280] += WINDOW ** 2
    return (total / np.maximum(weight, 1e-3))[640:640 + samples]


def sound():
    """A voice of sorts: harmonics of a pitch that moves under formants that move, and some breath."""
    random = np.random.default_rng(7)
    t = np.arange(16_001) / 24_000
    phase = 2 * np.pi * np.cumsum(110 + 30 * np.sin(2 * np.pi * 2.3 * t)) / 24_000
    x = np.zeros_like(t)
    for k in range(1, 30):
        f = k * 115
        gain = np.exp(-((f - 600 - 250 * np.sin(2 * np.pi * 1.7 * t)) / 250) ** 2) + 0.4 * np.exp(-((f - 1900) / 500) ** 2)
        x += gain * np.sin(k * phase)
    x *= 0.12 * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))
    return (x + 0.004 * random.normal(size=len(t))).astype(np.float32)


def main():
    encoder, decoder = load(WEIGHTS / "tokens-1-analysis.ncw"), load(WEIGHTS / "tokens-1.ncw")
    x = sound()
    x.tofile(HERE / "input.f32")
    for mode in (0, 1):
        indices = encode(x.astype(np.float64), encoder, decoder, mode)
        indices.astype("<u2").tofile(HERE / f"indices.{mode}.u16")
        decode(indices, decoder, mode, len(x)).astype("<f4").tofile(HERE / f"output.{mode}.f32")


if __name__ == "__main__":
    main()
