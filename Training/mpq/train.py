#!/usr/bin/env python3
"""Trains the digit classifier of `nccodec bench image --digits` and writes its integers; see README.md.

    pip install numpy torch
    python train.py FOLDER digits-1.bin

FOLDER holds MNIST's four idx files, gzipped or not. The test set is read once, after the weights are written.
"""
import argparse
import gzip
import pathlib

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import integer


def idx(folder, name):
    """An idx file's array: two zero bytes, the type (8: uint8), the number of dimensions, each in 32 bits, the data."""
    path = next(p for p in (folder / (prefix + name + end) for prefix in ("", "mnist-") for end in (".gz", "")) if p.exists())
    data = (gzip.open(path) if path.suffix == ".gz" else open(path, "rb")).read()
    assert data[:3] == b"\0\0\x08", path
    shape = np.frombuffer(data, ">u4", data[3], 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


class Digits(nn.Module):
    """integer.py's network in floats, on pixels 0...1. Activations are kept below 1 by what quantisation cuts."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, k, stride=s, padding=k // 2) for i, o, k, s in integer.CONVS)
        self.last = nn.Linear(integer.FEATURES, 10)

    def forward(self, x):
        for conv in self.convs:
            x = F.relu(conv(x))
        # [C, H, W] to the integers' order [H, W, C].
        return self.last(F.dropout(x.permute(0, 2, 3, 1).flatten(1), 0.3, self.training))


def shifted(images, generator):
    """Each image moved by -1, 0 or 1 pixel both ways: the augmentation, and all of it."""
    padded = F.pad(images, (1, 1, 1, 1))
    out = torch.empty_like(images)
    moves = torch.randint(0, 9, (len(images),), generator=generator)
    for move in range(9):
        which = moves == move
        y, x = divmod(move, 3)
        out[which] = padded[which][:, :, y:y + 28, x:x + 28]
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)  # nor does the result depend on how sums are split
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    generator = torch.Generator().manual_seed(options.seed)

    images = torch.from_numpy(idx(options.folder, "train-images-idx3-ubyte").copy()).float()[:, None] / 255
    labels = torch.from_numpy(idx(options.folder, "train-labels-idx1-ubyte").astype(np.int64))
    # The last 5,000 training digits choose nothing here; they say how training goes without touching the test set.
    train, held = (images[:-5000], labels[:-5000]), (images[-5000:], labels[-5000:])

    net = Digits()
    batch = 128
    steps = options.epochs * (len(train[0]) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for epoch in range(options.epochs):
        net.train()
        order = torch.randperm(len(train[0]), generator=generator)
        total = 0.0
        for start in range(0, len(order) - batch + 1, batch):
            chosen = order[start:start + batch]
            loss = F.cross_entropy(net(shifted(train[0][chosen], generator)), train[1][chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        net.eval()
        with torch.no_grad():
            right = (net(held[0]).argmax(1) == held[1]).float().mean().item()
        print(f"epoch {epoch + 1}: loss {total / (len(order) // batch):.4f}, held out {100 * right:.2f} %", flush=True)

    with torch.no_grad():
        weights = [c.weight.permute(2, 3, 1, 0).numpy().astype(np.float64) for c in net.convs]  # [ky, kx, in, out]
        biases = [c.bias.numpy().astype(np.float64) for c in net.convs]
        network = integer.quantise(
            weights, biases, net.last.weight.numpy().T.astype(np.float64), net.last.bias.numpy().astype(np.float64),
            calibration=(train[0][:2000, 0].numpy() * 255).round().astype(np.uint8))
    options.out.write_bytes(integer.serialised(network))
    print(f"{options.out}: {options.out.stat().st_size} bytes")

    test = idx(options.folder, "t10k-images-idx3-ubyte")
    truth = idx(options.folder, "t10k-labels-idx1-ubyte")
    with torch.no_grad():
        float_right = int((net(torch.from_numpy(test.copy()).float()[:, None] / 255).argmax(1).numpy() == truth).sum())
    print(f"test set: {float_right} of {len(test)} right in floats, "
          f"{int((integer.predict(integer.parsed(options.out.read_bytes()), test) == truth).sum())} in integers")


if __name__ == "__main__":
    main()
