"""Turns a checkpoint into the two weights files of the Swift package (bitstream-spec 7 and 8).

    python export.py runs/a.pt --decoder ../../Sources/CModels/Weights/hyperprior-1.ncw \
                               --encoder ../../Sources/CModels/Weights/hyperprior-1-analysis.ncw

The decoder's file is integer (spec 6); the encoder's is fp16 and no part of the format. Activation formats come from
the largest values seen on training crops. The integer network is then run beside the float one on held-out crops, and
what the integers cost in PSNR and bits is printed.
"""

import argparse
import json
import math
import pathlib
import sys

import numpy as np
import torch

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))
import data  # noqa: E402
import integer
import reference
from model import LATENTS, PIXEL_SCALE, SCALE_UNIT, SCALES, Block, HyperpriorCodec, gaussian_bits, lagrangian
from weights import read, write

QUALITIES = torch.arange(101) / 100.0
F16, F8, FPIXEL, FSCALE = 7, 8, 6, 6  # fraction bits: latents, trunk at 1/8, pixels, scale index


class Ranges:
    """Largest magnitudes of the float network's tensors, by module."""

    def __init__(self, model):
        self.peak = {}
        for module in model.modules():
            if isinstance(module, (torch.nn.Conv2d, Block)):
                module.register_forward_hook(self.note)

    def note(self, module, inputs, output):
        for key, t in ((module, output), (("in", module), inputs[0])):
            self.peak[key] = max(self.peak.get(key, 0.0), t.abs().max().item())

    def bits(self, *modules, margin=1.6, most=12):
        """Fraction bits that leave `margin` above the largest value seen."""
        return min(most, math.floor(math.log2(32767 / (margin * max(self.peak[m] for m in modules)))))


def quantise(weight, bias, f_in, f_out):
    """weight [O, K...], f_in an int or one per input channel -> int16 weight, int32 bias, uint8 shift by spec 6.1."""
    w = weight.double().flatten(1)
    if not isinstance(f_in, int):
        w = w * 2.0 ** -(f_in.double() - f_in.min()).view(1, -1)
        f_in = int(f_in.min())
    o = len(w)
    out_w, out_b, out_s = torch.zeros_like(w), torch.zeros(o).double(), torch.zeros(o, dtype=torch.uint8)
    for i in range(o):
        for s in range(30, -1, -1):
            total = s + f_out  # fraction bits of the accumulator
            wi = torch.round(w[i] * 2.0 ** (total - f_in))
            bi = torch.round(bias[i].double() * 2.0**total) + (2 ** (s - 1) if s else 0)
            if wi.abs().max() <= 32767 and bi.abs() + 32768 * wi.abs().sum() <= 2**31 - 1:
                out_w[i], out_b[i], out_s[i] = wi, bi, s
                break
        else:
            raise SystemExit("a layer's weights are too large for int16: train longer or lower its format")
    return out_w.view(weight.shape).to(torch.int16), out_b.to(torch.int32), out_s


def fixed(values, bits):
    v = torch.round(values.double() * 2.0**bits)
    assert v.abs().max() <= 32767, (bits, v.abs().max())
    return v.to(torch.int16)


def largest_bits(values, most=14):
    return min(most, math.floor(math.log2(32767 / values.abs().max().item())))


def decoder_tensors(model, ranges):
    t = {}

    def conv(name, module, f_in, f_out, weight=None, bias=None):
        w = module.weight if weight is None else weight
        b = module.bias if bias is None else bias
        w = w.reshape(len(w), 9) if w.ndim == 4 and w.shape[-1] == 3 else w.reshape(len(w), -1)
        t[f"{name}.weight"], t[f"{name}.bias"], t[f"{name}.shift"] = quantise(w.detach(), b.detach(), f_in, f_out)

    def blocks(stage, modules, f):
        for i, m in enumerate(modules):
            fd, fa = ranges.bits(m.dw), ranges.bits(m.a)
            conv(f"{stage}.{i}.depthwise", m.dw, f, fd)
            conv(f"{stage}.{i}.a", m.a, fd, fa)
            conv(f"{stage}.{i}.b", m.b, fa, f)

    with torch.no_grad():
        hyper_step = torch.exp(model.hyper_step(QUALITIES)[..., 0, 0])
        latent_step = torch.exp(model.latent_step(QUALITIES)[..., 0, 0])
        gain = torch.exp(model.synthesis_gain(QUALITIES)[..., 0, 0])
        bias = model.context_bias(QUALITIES)[..., 0, 0]
        index = model.scale_shift(QUALITIES)[..., 0, 0]

        # hyper-latents: symbol * step, to fz fraction bits
        fz = ranges.bits(("in", model.hyper_out), most=8)
        bits = largest_bits(hyper_step)
        t["hyper.step"], hyper_shift = fixed(hyper_step, bits), bits - fz
        f64 = ranges.bits(model.hyper_out, model.hyper_s64)
        conv("hyper.in", model.hyper_out, fz, f64)
        blocks("hyper.blocks64", [model.hyper_s64], f64)
        f32 = ranges.bits(model.hyper_up32, model.hyper_s32)
        conv("hyper.up32", model.hyper_up32, f64, f32)
        blocks("hyper.blocks32", [model.hyper_s32], f32)
        ff = min(ranges.bits(model.hyper_up16), largest_bits(bias))
        conv("hyper.up16", model.hyper_up16, f32, ff)
        t["context.bias"] = fixed(bias, ff)
        t["hyper.scale"] = torch.round(model.hyper_scale(QUALITIES)[..., 0, 0]).clamp(0, SCALES - 1).to(torch.uint8)

        for k, p in enumerate(model.passes):
            fc = ranges.bits(*p.blocks, *[("in", b) for b in p.blocks], p.hyper, p.latents)
            w = torch.cat([p.hyper.weight, p.latents.weight * model.norm], 1)
            f_in = torch.cat([torch.full((p.hyper.weight.shape[1],), ff), torch.full((LATENTS,), F16)])
            conv(f"context.{k}.mix", None, f_in, fc, w, p.hyper.bias + p.latents.bias)
            blocks(f"context.{k}.blocks", p.blocks, fc)
            # rows: means in latent format, then scale indices; one call each, since their formats differ
            unit = torch.cat([1 / model.norm.flatten(), torch.full((LATENTS,), SCALE_UNIT)])
            w, b = p.out.weight.flatten(1) * unit[:, None], p.out.bias * unit
            mean = quantise(w[:LATENTS], b[:LATENTS], fc, F16)
            scale = quantise(w[LATENTS:], b[LATENTS:], fc, FSCALE)
            for part, a, c in zip(("weight", "bias", "shift"), mean, scale):
                t[f"context.{k}.out.{part}"] = torch.cat([a, c])

        bits = largest_bits(latent_step)
        t["latent.step"], latent_shift = fixed(latent_step, bits), bits - F16
        t["latent.scale"] = fixed(index, FSCALE)

        blocks("synthesis16", model.synthesis16, F16)
        conv("synthesis.up", model.up, F16, F8)
        bits = largest_bits(gain)
        t["synthesis.gain"], gain_shift = fixed(gain, bits), bits
        blocks("synthesis8", model.synthesis8, F8)
        conv("synthesis.head", model.head, F8, FPIXEL, model.head.weight * PIXEL_SCALE, model.head.bias * PIXEL_SCALE + 128)
        shifts = (hyper_shift, latent_shift, gain_shift, FPIXEL)
        assert all(1 <= s <= 30 for s in shifts), shifts
        t["shifts"] = torch.tensor(shifts, dtype=torch.uint8)
    return t


COLUMNS = 300  # of the table tensors: 0, magnitudes, escape


def tables(counts=None):
    """[64, COLUMNS] int32 of spec 8.1: widths of 0, of each of +-k, and of the escape. `counts` [64, COLUMNS] are magnitudes
    seen in coding, the last column all larger ones; a scale's normal table (spec 5.3) weighs as much as 400 of them."""
    out = np.zeros((SCALES, COLUMNS), np.int64)
    for i, s in enumerate(reference.S):
        reach, rows = reference.table(s)
        normal = np.zeros(COLUMNS)
        for _, width, value in rows:
            if value is None:
                normal[-1] = width
            elif value >= 0:
                normal[value] = width * (1 if value == 0 else 2)
        p = normal / 65536
        if counts is not None:
            c = np.array(counts[i], float)
            c[-1] += c[reach + 1 : -1].sum()
            c[reach + 1 : -1] = 0
            p = (c + 400 * p) / (c.sum() + 400)
        w = np.maximum(1, np.round(p * 65536 / np.where(np.arange(COLUMNS) % (COLUMNS - 1) == 0, 1, 2))).astype(np.int64)
        w[reach + 1 : -1] = 0
        w[0] += 65536 - w[0] - 2 * w[1:-1].sum() - w[-1]  # what rounding left over goes to the largest interval or near it
        assert w[0] >= 1 and w[-1] >= 1
        out[i] = w
    return torch.from_numpy(out).to(torch.int32)


def encoder_tensors(model, sensitivity):
    """fp16; the encoder may change freely, no file depends on it."""
    t = {}

    def conv(name, module, weight=None, bias=None):
        w = module.weight if weight is None else weight
        t[f"{name}.weight"] = w.detach().reshape(len(w), -1).half()
        t[f"{name}.bias"] = (module.bias if bias is None else bias).detach().half()

    def blocks(stage, modules):
        for i, m in enumerate(modules):
            conv(f"{stage}.{i}.depthwise", m.dw)
            conv(f"{stage}.{i}.a", m.a)
            conv(f"{stage}.{i}.b", m.b)

    with torch.no_grad():
        # pixels enter as 0...255: fold (x - 128) / PIXEL_SCALE into the stem
        w = model.stem.weight / PIXEL_SCALE
        conv("stem", model.stem, w, model.stem.bias - 128 * w.flatten(1).sum(1))
        blocks("analysis8", model.analysis8)
        conv("down", model.down)
        blocks("analysis16", model.analysis16)
        conv("hyper.in", model.hyper_in, model.hyper_in.weight * model.norm)
        blocks("hyper.blocks16", [model.hyper_a16])
        conv("hyper.down32", model.hyper_down32)
        blocks("hyper.blocks32", [model.hyper_a32])
        conv("hyper.down64", model.hyper_down64)
        t["latent.gain"] = torch.exp(model.latent_gain(QUALITIES)[..., 0, 0]).half()
        t["hyper.gain"] = torch.exp(model.hyper_gain(QUALITIES)[..., 0, 0]).half()
        t["lambda"] = lagrangian(QUALITIES).half()
        t["latent.sensitivity"] = sensitivity.half()
    return t


def latent_sensitivity(model, crops):
    """[LATENTS]: squared error summed over all samples of the picture per squared error of one latent (linearised), mid quality:
    E over random sign vectors of |J v|^2, one channel at a time."""
    x = data.to_tensor(crops, "cpu")
    t = torch.full((len(x),), 0.5)
    out = torch.zeros(LATENTS)
    with torch.no_grad():
        y = model.analyse(x)
        base = model.synthesise(y, t)
        for c in range(LATENTS):
            e = torch.zeros_like(y)
            e[:, c, 1::3, 1::3] = 0.25
            out[c] = ((model.synthesise(y + e, t) - base) ** 2).sum() / (e**2).sum()
    return out


@torch.no_grad()
def compare(model, tensors, crops):
    """Integer against float network on crops, same quality: bits per pixel and PSNR of both."""
    model.eval()
    for q in (0, 50, 100):
        rows = []
        for crop in crops:
            x = data.to_tensor(crop[None], "cpu")
            t = torch.tensor([q / 100])
            out, by, bz = model(x, t, "hard")
            y = model.analyse(x)
            h, w = y.shape[2:]
            z = torch.round(model.hyper_analyse(y) * torch.exp(model.hyper_gain(t)))[0].double()
            scaled = (y * torch.exp(model.latent_gain(t)))[0].double()
            step = tensors["latent.step"][q].double().view(-1, 1, 1) / 2.0 ** (int(tensors["shifts"][1]) + F16)
            bits = gaussian_bits(z, tensors["hyper.scale"][q].double().view(-1, 1, 1)).sum()

            def symbols(k, mean, index, mask):
                nonlocal bits
                r = torch.where(mask, torch.round(scaled - mean / 2.0**F16 / step), 0.0)
                bits += gaussian_bits(r[mask], index[mask]).sum()
                return r

            got = integer.decode(tensors, z, symbols, q, h, w).permute(2, 0, 1).float()
            n = crop.shape[0] * crop.shape[1]
            psnr = [10 * math.log10(255**2 / ((o - x[0]) ** 2).mean().item()) for o in (out[0].round().clamp(0, 255), got)]
            rows.append(((by + bz).item() / n, psnr[0], bits.item() / n, psnr[1]))
        r = np.mean(rows, 0)
        print(f"quality {q}: float {r[0]:.4f} bpp {r[1]:.3f} dB; integer {r[2]:.4f} bpp {r[3]:.3f} dB")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("checkpoint")
    ap.add_argument("--decoder", required=True)
    ap.add_argument("--encoder", required=True)
    ap.add_argument("--data", nargs="+", default=["../../../shared/data/train-images-small", "../../../shared/data/train-images"])
    ap.add_argument("--cache")
    ap.add_argument("--counts", metavar="JSON", help="magnitudes by scale index, from `codecbench counts` on training crops")
    ap.add_argument("--slim", metavar="FILE", help="also write the averaged weights in fp16, for train.py --from-average --resume")
    ap.add_argument("--model-id", type=int, default=1, help="number of the model in the registry of spec 8.1")
    args = ap.parse_args()
    train, held = data.load(args.data, args.cache)
    saved = torch.load(args.checkpoint, map_location="cpu", weights_only=True)
    if args.slim:
        keep = {k: saved[k] for k in ("entropy_only", "samples", "seconds", "log")}
        torch.save(keep | {"average": {k: v.half() for k, v in saved["average"].items()}}, args.slim)
    model = HyperpriorCodec()
    model.load_state_dict(saved["average"])
    model.eval()
    ranges = Ranges(model)
    with torch.no_grad():
        for i in range(0, 32, 8):
            x = data.to_tensor(train[i * 40 : i * 40 + 8], "cpu")
            model(x, torch.linspace(0, 1, len(x)), "hard")
    tensors = decoder_tensors(model, ranges)
    counts = json.load(open(args.counts)) if args.counts else {}
    tensors["latent.tables"] = tables(counts.get("latents"))
    tensors["hyper.tables"] = tables(counts.get("hyper"))
    sensitivity = latent_sensitivity(model, train[100:102, 64:192, 64:192])
    size = write(args.decoder, 1, args.model_id, tensors)
    encoder_size = write(args.encoder, 1, args.model_id, encoder_tensors(model, sensitivity))
    print(f"model {args.model_id}, decoder {size} bytes, encoder {encoder_size} bytes")
    compare(model, read(args.decoder), held[:4])


if __name__ == "__main__":
    main()
