"""Weights files (bitstream-spec 7): what recipes write and the Swift package reads."""
import math
import struct
import zlib

import numpy as np
import torch

TYPES = {torch.int16: 0, torch.int32: 1, torch.uint8: 2, torch.float16: 3}


def write(path, codec, model_id, tensors):
    """Spec 7. -> bytes written"""
    out = bytearray(b"NCWT" + struct.pack("<BBHH", 1, codec, model_id, len(tensors)))
    for name, t in tensors.items():
        t = t.contiguous()
        out += struct.pack("<B", len(name)) + name.encode("ascii") + struct.pack("<BB", TYPES[t.dtype], t.ndim)
        out += struct.pack(f"<{t.ndim}I", *t.shape) + t.numpy().tobytes()
    out += struct.pack("<I", zlib.crc32(out))
    with open(path, "wb") as f:
        f.write(out)
    return len(out)


def read(path):
    raw = open(path, "rb").read()
    assert raw[:4] == b"NCWT" and zlib.crc32(raw[:-4]) == struct.unpack("<I", raw[-4:])[0]
    kinds = {0: np.int16, 1: np.int32, 2: np.uint8, 3: np.float16}
    at, tensors = 10, {}
    for _ in range(struct.unpack("<H", raw[8:10])[0]):
        n = raw[at]
        name = raw[at + 1 : at + 1 + n].decode()
        at += 1 + n
        kind, rank = raw[at], raw[at + 1]
        shape = struct.unpack(f"<{rank}I", raw[at + 2 : at + 2 + 4 * rank])
        at += 2 + 4 * rank
        a = np.frombuffer(raw, kinds[kind], math.prod(shape), at).reshape(shape)
        at += a.nbytes
        tensors[name] = torch.from_numpy(a.copy())
    return tensors
