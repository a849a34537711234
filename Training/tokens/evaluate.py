"""STOI and PESQ-WB of a checkpoint on held-out training speech, or on WAV files, by mode and levels.

    python evaluate.py CLIPS runs/a/checkpoint.pt [--levels 1 2 4 8] [--wav FOLDER]
"""
import argparse
import pathlib

import numpy as np
import torch
from pesq import pesq
from pystoi import stoi
from scipy.signal import resample_poly

import export
from data import Clips
from model import CODES, HOPS, RATE, TokenCodec


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips")
    parser.add_argument("checkpoint", help="a checkpoint, or the decoder's weights file with the encoder's beside it")
    parser.add_argument("--levels", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--modes", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--wav", type=pathlib.Path)
    options = parser.parse_args()
    codec = TokenCodec().eval()
    if options.checkpoint.endswith(".pt"):
        codec.load_state_dict(torch.load(options.checkpoint, map_location="cpu")["average"])
    else:
        export.load(codec, options.checkpoint)
    if options.wav:
        import soundfile
        sounds = [soundfile.read(f, dtype="float32")[0] for f in sorted(options.wav.glob("speech*.wav"))]
    else:
        sounds = [s[: RATE * 8].astype(np.float32) / 32768 for s in Clips(options.clips).held["speech-librispeech"]]
    for mode in options.modes:
        for levels in options.levels:
            rows, used = [], [set() for _ in CODES]
            for x in sounds:
                y, _, _, indices, _ = codec(torch.from_numpy(x)[None], mode, torch.tensor([levels]))
                for level in range(levels):
                    used[level].update(indices[0, :, level].tolist())
                a, b = (resample_poly(s, 2, 3) for s in (x.astype(np.float64), y[0].numpy().astype(np.float64)))
                rows.append((stoi(a, b, 16000), pesq(16000, a, b, "wb")))
            kbps = sum(np.log2(CODES[:levels])) * RATE / HOPS[mode] / 1000
            print(f"mode {mode}, {levels} levels, {kbps:.3f} kbps raw: STOI {np.mean(rows, 0)[0]:.3f} PESQ-WB {np.mean(rows, 0)[1]:.2f}, codes used {[len(u) for u in used[:levels]]}", flush=True)


if __name__ == "__main__":
    main()
