"""BD-rate of checkpoints on Kodak against JPEG and WebP as Pillow encodes them in the same run.

    python evaluate.py a.pt b.pt [--images ../../../shared/data/kodak]

In float, with ideal code lengths and plain rounding: what nccodec reaches, with its rate-distortion-optimised
quantisation and real files, is Benchmarks/rd.sh's to say. Never used to choose anything in training. Needs scipy.
"""

import argparse
import io
import pathlib

import numpy as np
import torch
from PIL import Image
from scipy.interpolate import PchipInterpolator

import data
from model import HyperpriorCodec

PEERS = {
    "JPEG": ((10, 20, 35, 50, 65, 80, 90, 95), {"subsampling": 2}),
    "WEBP": ((2, 5, 20, 40, 60, 75, 85, 92, 97), {"method": 6}),
}


def bd_rate(anchor, test):
    """Percent, of curves [(rate, quality)] with rising quality."""
    (r1, q1), (r2, q2) = np.array(anchor).T, np.array(test).T
    low, high = max(q1[0], q2[0]), min(q1[-1], q2[-1])
    a, b = PchipInterpolator(q1, np.log(r1)), PchipInterpolator(q2, np.log(r2))
    return 100 * (np.exp((b.integrate(low, high) - a.integrate(low, high)) / (high - low)) - 1)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def peer_curve(pictures, name, settings, options):
    curve = []
    for setting in settings:
        points = []
        for picture in pictures:
            file = io.BytesIO()
            Image.fromarray(picture).save(file, name, quality=setting, **options)
            back = np.asarray(Image.open(file).convert("RGB"))
            points.append((8 * len(file.getvalue()) / (picture.shape[0] * picture.shape[1]), psnr(picture, back)))
        curve.append(np.mean(points, 0))
    return curve


@torch.no_grad()
def our_curve(model, pictures):
    curve = []
    for quality in range(0, 101, 20):
        points = []
        for picture in pictures:
            x = data.to_tensor(picture[None], "cpu")
            out, bits_y, bits_z = model(x, torch.tensor([quality / 100]), "hard")
            out = out.round().clamp(0, 255)[0].permute(1, 2, 0).numpy()
            points.append(((bits_y + bits_z).item() / (picture.shape[0] * picture.shape[1]), psnr(picture, out)))
        curve.append(np.mean(points, 0))
    return curve


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoints", nargs="+")
    ap.add_argument("--images", default="../../../shared/data/kodak")
    args = ap.parse_args()
    pictures = [np.asarray(Image.open(p).convert("RGB")) for p in sorted(pathlib.Path(args.images).glob("*.png"))]
    peers = {name: peer_curve(pictures, name, *how) for name, how in PEERS.items()}
    for name in args.checkpoints:
        saved = torch.load(name, map_location="cpu", weights_only=True)
        model = HyperpriorCodec()
        model.load_state_dict(saved["average"])
        curve = our_curve(model.eval().to(memory_format=torch.channels_last), pictures)
        rates = ", ".join(f"{bd_rate(peer, curve):+.1f} % against {p}" for p, peer in peers.items())
        stage = "entropy" if saved["entropy_only"] else "joint"
        print(f"{name}: {saved['samples']} samples of the {stage} stage: {rates}", flush=True)
        print("   ", "  ".join(f"{r:.3f}/{q:.2f}" for r, q in curve), flush=True)


if __name__ == "__main__":
    main()
