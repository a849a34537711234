"""Training crops from ../shared/data, decoded once into one uint8 array [N, 256, 256, 3]."""

import io
import pathlib
import tarfile

import numpy as np
import torch
from PIL import Image

VALIDATION = 28  # every 55th crop is held out


def load(folders, cache=None):
    if cache and pathlib.Path(cache).exists():
        crops = np.load(cache)
    else:
        crops = []
        for folder in folders:
            for tar in sorted(pathlib.Path(folder).glob("*.tar")):
                with tarfile.open(tar) as archive:
                    for member in archive:
                        if member.name.endswith(".webp"):
                            image = Image.open(io.BytesIO(archive.extractfile(member).read()))
                            crops.append(np.asarray(image.convert("RGB")))
        crops = np.stack(crops)
        if cache:
            np.save(cache, crops)
    held = np.zeros(len(crops), bool)
    held[:: len(crops) // VALIDATION] = True
    return crops[~held], crops[held]


def to_tensor(batch, device):
    """uint8 [B, H, W, 3] -> float [B, 3, H, W], 0...255."""
    x = torch.from_numpy(np.array(batch)).to(device).permute(0, 3, 1, 2).float()
    return x.contiguous(memory_format=torch.channels_last)


def batches(crops, batch, size, rng):
    """Endless random sub-crops with the eight flips and turns; every crop once per epoch."""
    while True:
        order = rng.permutation(len(crops))
        for start in range(0, len(order) - batch + 1, batch):
            out = np.empty((batch, size, size, 3), np.uint8)
            for j, i in enumerate(order[start : start + batch]):
                y, x = rng.integers(0, crops.shape[1] - size + 1), rng.integers(0, crops.shape[2] - size + 1)
                tile = crops[i, y : y + size, x : x + size]
                if rng.random() < 0.5:
                    tile = tile[:, ::-1]
                if rng.random() < 0.25:  # portraits and landscapes are mostly upright
                    tile = tile.transpose(1, 0, 2)
                out[j] = tile
            yield out
