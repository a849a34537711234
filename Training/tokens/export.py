"""Turns a checkpoint into the two weights files of the Swift package (bitstream-spec 7 and 12.7).

    python export.py runs/a/checkpoint.pt --model 1 --decoder ../../Sources/CModels/Weights/tokens-1.ncw \
                     --encoder ../../Sources/CModels/Weights/tokens-1-analysis.ncw

Matrices become 8 bits with a scale for each output; the rest is fp16. Books are put in an order in which codes whose indices share
leading bits are alike, which the context model of indices needs.
"""
import argparse
import pathlib
import sys

import numpy as np
import torch

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
from model import CODES, TokenCodec  # noqa: E402
from weights import read, write  # noqa: E402

CODEC = 6
MATRICES = ("input.weight", "up.weight", "down.weight", "out.weight", "qkv.weight")


def shipped_name(name):
    """A parameter's name in the weights file, or None for layer scales, which are folded into `down`."""
    side, rest = name.split(".", 1)
    rest = rest.replace("blocks.", "").replace("input.", "in.").replace("out_norm", "out.norm")
    if rest == "bias":
        rest = "in.bias"
    return None if rest.endswith(".scale") else {"encoder": "enc", "decoder": "dec"}[side] + "." + rest


def folded(codec):
    """name -> tensor of both networks with layer scales folded into `down`"""
    state = {n: p.detach().float().cpu().clone() for n, p in codec.named_parameters()}
    for name in list(state):
        if name.endswith(".scale"):
            stem = name[: -len("scale")]
            state[stem + "down.weight"] *= state[name][:, None]
            state[stem + "down.bias"] *= state[name]
    return state


def tree_order(vectors):
    """Order of codes by halving along the widest direction, again and again: [codes, d] -> permutation"""
    def split(members):
        if len(members) == 1:
            return [int(members[0])]
        x = vectors[members] - vectors[members].mean(0)
        _, _, v = np.linalg.svd(x, full_matrices=False)
        ranked = members[np.argsort(x @ v[0], kind="stable")]
        half = len(ranked) // 2
        return split(ranked[:half]) + split(ranked[half:])
    return np.array(split(np.arange(len(vectors))))


def tensors(codec):
    """-> decoder's tensors, encoder's tensors"""
    out = {"enc": {}, "dec": {}}
    for name, value in folded(codec).items():
        shipped = shipped_name(name)
        if shipped is None:
            continue
        target = out[shipped[:3]]
        if name.endswith(MATRICES):
            scale = (value.abs().amax(1) / 127).clamp(min=2.0**-20).half()
            target[shipped] = (torch.round(value / scale.float()[:, None]).clamp(-127, 127) + 128).to(torch.uint8)
            target[shipped[: -len("weight")] + "scale"] = scale
        elif name.endswith("dw.weight"):
            target[shipped] = value[:, 0].half()
        else:
            target[shipped] = value.half()
    for mode, books in enumerate(codec.books):
        for level in range(len(CODES)):
            v = books.vectors(level).cpu().half()
            out["dec"][f"book.{mode}.{level}"] = v[tree_order(v.float().numpy())].contiguous()
    return out["dec"], out["enc"]


def load(codec, decoder_path):
    """Puts DECODER.ncw, and DECODER-analysis.ncw beside it, into a network; the inverse of what main writes."""
    path = pathlib.Path(decoder_path)
    shipped = read(path) | read(path.with_name(path.stem + "-analysis.ncw"))
    with torch.no_grad():
        for name, p in codec.named_parameters():
            key = shipped_name(name)
            if key is None:
                p.fill_(1.0)
                continue
            value = shipped[key]
            if value.dtype == torch.uint8:
                value = (value.float() - 128) * shipped[key[: -len("weight")] + "scale"].float()[:, None]
            p.copy_(value.float().view(p.shape))
        for mode, books in enumerate(codec.books):
            for level in range(len(CODES)):
                books.vectors(level).copy_(shipped[f"book.{mode}.{level}"].float())
            books.ready.fill_(True)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("--model", type=int, default=1)
    parser.add_argument("--decoder", required=True)
    parser.add_argument("--encoder", required=True)
    options = parser.parse_args()
    codec = TokenCodec()
    codec.load_state_dict(torch.load(options.checkpoint, map_location="cpu")["average"])
    decoder, encoder = tensors(codec)
    print(write(options.decoder, CODEC, options.model, decoder), "bytes of decoder,", write(options.encoder, CODEC, options.model, encoder), "of encoder")


if __name__ == "__main__":
    main()
