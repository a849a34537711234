#!/usr/bin/env python3
"""Makes every file in this folder. Needs numpy and safetensors 0.8; run it here.

The contents are numbers from a formula (`bits`), so they are ours, CC0 1.0. safetensors and NumPy files are written by
those libraries; llama.cpp states by `state`, after the layout that llama.cpp's llama-kv-cache.cpp writes
(`state_write`, as in llama-cpp-python 0.3.36), as a real one has 23 kB per token of the smallest model.
"""
import pathlib
import struct

import numpy as np
from safetensors import TensorSpec, serialize_file
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).resolve().parent
L, H, T, D = 2, 2, 6, 4


def bits(layers=L, heads=H, tokens=T, channels=D):
    """[kv, layer, head, token, channel] uint16: 16-bit floats of either kind, all normal."""
    n = np.arange(2 * layers * heads * tokens * channels).reshape(2, layers, heads, tokens, channels)
    return (0x3000 + n * 37 % 4096).astype(np.uint16)


F16 = bits().view(np.float16)
TOKENS = np.arange(100, 100 + T + 2, dtype=np.int32)
META = dict(model="toy", rope_layout="interleaved", rope_base="100000.0", text="prose")


def tensors_bf16(name, arrays, metadata=None):
    """NumPy has no bfloat16, so its bits are handed over."""
    arrays = {n: np.ascontiguousarray(a) for n, a in arrays.items()}
    serialize_file({n: TensorSpec(dtype="bfloat16", shape=list(a.shape), data_ptr=a.ctypes.data, data_len=a.nbytes)
                    for n, a in arrays.items()}, HERE / name, metadata)


def safetensors_files():
    k, v = np.ascontiguousarray(F16[0]), np.ascontiguousarray(F16[1])
    save_file(dict(k=k, v=v, tokens=TOKENS), HERE / "stacked.safetensors",
              dict(META, axes="layer,kv_head,token,head_dim"))
    save_file(dict(k=k, k_pre=v, v=v), HERE / "both.safetensors")
    save_file(dict(k_pre=k, v=v), HERE / "unrotated.safetensors")
    # Values of another width, in float32.
    save_file(dict(k=k, v=v[..., :3].astype(np.float32)), HERE / "unlike.safetensors")
    order = lambda a: np.ascontiguousarray(a.transpose(0, 2, 1, 3))
    save_file(dict(k=order(k), v=order(v)), HERE / "token-first.safetensors", dict(axes="layer,token,kv_head,head_dim"))
    order = lambda a: np.ascontiguousarray(a.transpose(3, 2, 0, 1))
    save_file(dict(k=order(k), v=order(v)), HERE / "dim-first.safetensors", dict(axes="head_dim,token,layer,kv_head"))
    b = bits()
    tensors_bf16("huggingface.safetensors",
                 {f"{n}_cache.{i}": b[j, i][None] for i in range(L) for j, n in enumerate(["key", "value"])})
    save_file({f"past_key_values.{i}.{n}": F16[j, i][None].copy() for i in range(L) for j, n in enumerate(["key", "value"])},
              HERE / "past.safetensors")
    lm = np.ascontiguousarray(F16.transpose(0, 1, 3, 2, 4)).reshape(2, L, T, H * D)
    save_file(dict(kv=lm), HERE / "lmcache.safetensors", dict(axes="kv,layer,token,channel", kv_heads=str(H)))
    vllm = np.ascontiguousarray(F16.transpose(1, 0, 3, 2, 4)).reshape(L, 2, 2, T // 2, H, D)
    save_file({f"layers.{i}.kv_cache": vllm[i].copy() for i in range(L)}, HERE / "vllm.safetensors")


def numpy_files():
    np.save(HERE / "fused.npy", F16)
    k, v = np.ascontiguousarray(F16[0]), np.ascontiguousarray(F16[1])
    extra = dict(tokens=TOKENS, words=np.array(["alpha", "beta"]))
    np.savez(HERE / "stored.npz", k=k, v=v, **extra)
    np.savez_compressed(HERE / "deflated.npz", k=k, v=v, **extra)
    np.savez(HERE / "bits.npz", k=bits()[0], v=bits()[1])
    np.save(HERE / "fortran.npy", np.asfortranarray(F16))
    np.save(HERE / "big-endian.npy", F16.astype(">f2"))


# ------------------------------------------------------------------------------------------------------ llama.cpp
F32_TYPE, F16_TYPE, Q4_0, Q4_1, Q8_0 = 0, 1, 2, 3, 8


def q8_0(rows):
    """[token, width] float -> bytes: per 32, the scale in f16 and signed bytes."""
    out = b""
    for block in np.asarray(rows, np.float32).reshape(-1, 32):
        d = np.float16(np.abs(block).max() / 127)
        out += d.tobytes() + np.round(block / np.float32(d)).clip(-127, 127).astype(np.int8).tobytes()
    return out


def q4_0(rows):
    out = b""
    for block in np.asarray(rows, np.float32).reshape(-1, 32):
        d = np.float16(np.abs(block).max() / 8)
        q = (np.round(block / np.float32(d)) + 8).clip(0, 15).astype(np.uint8)
        out += d.tobytes() + (q[:16] | q[16:] << 4).tobytes()
    return out


def strong():
    """[kv, layer 1, head 1, token 8, channel 128] with a few channels of high energy, as keys have."""
    kv, t, c = np.ogrid[:2, :8, :128]
    return ((t * 7 + c * 3 + kv) % 11 - 5) / 16. + np.where(c % 50 == 9, 6, 0)


def turn(x, block):
    """llama.cpp's rotation (its pull request 21038): each block times the orthonormal Hadamard matrix."""
    h = np.ones((1, 1))
    while len(h) < block:
        h = np.block([[h, h], [h, -h]])
    return (x.reshape(*x.shape[:-1], -1, block) @ h / np.sqrt(block)).reshape(x.shape)


def rows_of(x):
    """[head, token, channel] -> [token, head * channel]."""
    return np.ascontiguousarray(x.transpose(1, 0, 2)).reshape(x.shape[1], -1)


def rows(x, kind=F16_TYPE):
    r = rows_of(x)
    data = {F16_TYPE: lambda: r.tobytes(), F32_TYPE: lambda: r.astype(np.float32).tobytes(), Q8_0: lambda: q8_0(r),
            Q4_0: lambda: q4_0(r), Q4_1: lambda: bytes(20 * r.size // 32)}[kind]()
    return struct.pack("<iQ", kind, len(data) // len(r)) + data


def elements(x):
    r = rows_of(x)
    return struct.pack("<iII", F16_TYPE, 2, r.shape[1]) + np.ascontiguousarray(r.T).tobytes()


def section(kv, first=0, streams=1, stream=0, transposed=False, kind=F16_TYPE, ext=b"", ids=(0,), values=True, positions=None):
    """kv [kv, layer, head, token, channel]."""
    _, layers, _, tokens, _ = kv.shape
    out = struct.pack("<I", streams) if streams else b""
    for s in range(max(streams, 1)):
        if s != stream:
            out += struct.pack("<I", 0)
            continue
        out += struct.pack("<I", tokens)
        for t in range(tokens):
            pos = first + t if positions is None else positions[t]
            out += struct.pack("<iI", pos, len(ids)) + ext + struct.pack(f"<{len(ids)}i", *ids)
        out += struct.pack("<II", transposed, layers)
        out += b"".join(rows(k, kind) for k in kv[0])
        if values:
            out += b"".join(elements(v) if transposed else rows(v, kind) for v in kv[1])
    return out


def state(name, *sections, version=2, tokens=TOKENS[:T], magic=0x67677371):
    (HERE / name).write_bytes(struct.pack("<III", magic, version, len(tokens)) + tokens.tobytes() + b"".join(sections))


def llama_files():
    wide = bits(heads=2, channels=32).view(np.float16)
    state("plain.ggsq", section(F16))
    state("transposed.ggsq", section(F16, transposed=True), version=3)
    state("no-streams.ggsq", section(F16, streams=0, ids=(3,)))
    state("four-streams.ggsq", section(F16, streams=4, stream=2, ids=(2,)))
    state("ids.ggsq", section(F16, ids=(0, 5)))
    state("extension.ggsq", section(F16, ext=struct.pack("<iii", 1, 2, 7)), version=3)
    state("latent.ggsq", section(F16, values=False))
    # Sliding windows: a second memory with fewer, later tokens.
    state("window.ggsq", section(F16), section(bits(layers=3, tokens=4).view(np.float16), first=2))
    state("f32.ggsq", section(F16, kind=F32_TYPE))
    state("q8_0.ggsq", section(wide, kind=Q8_0))
    state("q4_0.ggsq", section(wide, kind=Q4_0))
    kv = strong()[:, None, None]
    state("unturned.ggsq", section(kv, kind=Q8_0))
    state("turned.ggsq", section(np.stack([turn(kv[0], 128), turn(kv[1], 64)]), kind=Q8_0), version=3)
    state("broken-type.ggsq", section(wide, kind=Q4_1))
    state("broken-order.ggsq", section(F16, positions=[0, 1, 2, 4, 3, 5]))
    state("broken-version.ggsq", section(F16), version=1)
    (HERE / "session.ggsn").write_bytes(struct.pack("<IIII", 0x6767736E, 9, 5, 0) + b"llama" + section(F16))


if __name__ == "__main__":
    safetensors_files()
    numpy_files()
    llama_files()
