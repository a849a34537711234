"""Trains the hyperprior image codec, time-boxed and resumable.

    python train.py --minutes 12 --out runs/a.pt --entropy-only --total-samples 24000  # entropy networks on DCT latents
    python train.py --minutes 60 --out runs/a.pt --resume runs/a.pt                    # everything; repeat to go on

Muon (Jordan et al. 2024; update size as in 2502.16982) on every pointwise weight, Adam on the rest, weights averaged
(EMA). The quality of each sample in a batch is drawn on its own. The learning rate follows --total-samples, not the
clock, so that a run that was stopped goes on where it was.
"""

import argparse
import json
import math
import os
import time

import numpy as np
import torch

import data
from model import HyperpriorCodec, lagrangian


def newton_schulz(g, steps=5):
    """About the nearest semi-orthogonal matrix to g."""
    x = g / (g.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if tall else x


class MuonAdam:
    """Muon for the parameters in `matrices`, Adam for `others`; one learning rate for both, times `factor(p)`."""

    def __init__(self, matrices, others, factor, momentum=0.95, betas=(0.9, 0.99), matrix_scale=0.2):
        self.matrices, self.others, self.momentum, self.betas, self.scale = matrices, others, momentum, betas, matrix_scale
        self.factor = factor
        self.m = [torch.zeros_like(p) for p in matrices]
        self.a = [torch.zeros_like(p) for p in others]
        self.b = [torch.zeros_like(p) for p in others]
        self.count = 0

    @torch.no_grad()
    def step(self, rate):
        self.count += 1
        for p, m in zip(self.matrices, self.m):
            m.mul_(self.momentum).add_(p.grad, alpha=1 - self.momentum)
            g = p.grad.lerp(m, self.momentum).flatten(1)
            u = newton_schulz(g)
            p.add_(u.view_as(p), alpha=-rate * self.factor(p) * self.scale * math.sqrt(max(g.shape)))
        c1, c2 = 1 - self.betas[0] ** self.count, 1 - self.betas[1] ** self.count
        for p, a, b in zip(self.others, self.a, self.b):
            a.lerp_(p.grad, 1 - self.betas[0])
            b.lerp_(p.grad.square(), 1 - self.betas[1])
            p.addcdiv_(a / c1, (b / c2).sqrt().add_(1e-9), value=-rate * self.factor(p))

    def state(self):
        return {"m": self.m, "a": self.a, "b": self.b, "count": self.count}

    def load(self, state):
        for mine, theirs in ((self.m, state["m"]), (self.a, state["a"]), (self.b, state["b"])):
            for p, q in zip(mine, theirs):
                p.copy_(q)
        self.count = state["count"]


def loss_of(model, x, t):
    """Rate-distortion loss, weighted so that every quality counts about the same relatively."""
    out, bits_y, bits_z = model(x, t)
    pixels = x.shape[2] * x.shape[3]
    weight = lagrangian(t)
    mse = ((out - x) ** 2).mean((1, 2, 3))
    return ((weight * mse + (bits_y + bits_z) / pixels) * (weight / 0.012) ** -0.55).mean()


def rate_of(model, x, t):
    """The rate alone, transforms frozen: a quarter of the work of a full step."""
    with torch.no_grad():
        y = model.analyse(x)
    _, bits_y, bits_z = model.code(y, t, "train")
    return ((bits_y + bits_z) / (x.shape[2] * x.shape[3]) * (lagrangian(t) / 0.012) ** -0.55).mean()


@torch.no_grad()
def validate(model, crops, device):
    """[(quality, bpp, PSNR)] and the mean weighted loss on held-out crops, with hard rounding."""
    model.eval()
    rows, total = [], 0.0
    for q in (0, 25, 50, 75, 100):
        bpp = psnr = 0.0
        for start in range(0, len(crops), 7):
            x = data.to_tensor(crops[start : start + 7], device)
            t = torch.full((len(x),), q / 100, device=device)
            out, by, bz = model(x, t, "hard")
            mse = ((out.round().clamp(0, 255) - x) ** 2).mean((1, 2, 3))
            rate = (by + bz) / (x.shape[2] * x.shape[3])
            bpp += rate.sum().item()
            psnr += (10 * torch.log10(255**2 / mse.clamp_min(1e-4))).sum().item()
            lam = lagrangian(q / 100)
            total += ((lam * mse + rate).sum() * (lam / 0.012) ** -0.55).item()
        rows.append((q, round(bpp / len(crops), 4), round(psnr / len(crops), 3)))
    model.train()
    return rows, total / (5 * len(crops))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    ap.add_argument("--minutes", type=float, default=30)
    ap.add_argument("--resume")
    ap.add_argument("--out", required=True)
    ap.add_argument("--data", nargs="+", default=["../../../shared/data/train-images-small", "../../../shared/data/train-images"])
    ap.add_argument("--cache", help="decoded crops, written on first use")
    ap.add_argument("--batch", type=int, default=8)
    ap.add_argument("--size", type=int, default=192)
    ap.add_argument("--rate", type=float, default=2.5e-3)
    ap.add_argument("--transform-rate", type=float, default=0.4, help="times --rate, for the transforms")
    ap.add_argument("--from-average", action="store_true", help="resume from the averaged weights, optimiser afresh")
    ap.add_argument("--finish", action="store_true", help="bring the learning rate down within --minutes")
    ap.add_argument("--total-samples", type=int, default=160_000, help="length of the cosine schedule")
    ap.add_argument("--threads", type=int, default=os.cpu_count())
    ap.add_argument("--every", type=float, default=5, help="minutes between checkpoints")
    ap.add_argument("--entropy-only", action="store_true", help="first stage: the transforms stay the DCT they start as")
    ap.add_argument("--adam", action="store_true", help="Adam for the matrices too, for comparison")
    args = ap.parse_args()

    torch.set_num_threads(args.threads)
    train, held = data.load(args.data, args.cache)
    saved = torch.load(args.resume, map_location=args.device, weights_only=True) if args.resume else None
    torch.manual_seed(saved["samples"] if saved else 0)
    rng = np.random.default_rng(saved["samples"] if saved else 0)
    model = HyperpriorCodec(None if saved else train[::6]).to(args.device).to(memory_format=torch.channels_last)
    average = HyperpriorCodec().to(args.device).to(memory_format=torch.channels_last)
    if saved:
        model.load_state_dict(saved["average" if args.from_average else "model"])
    average.load_state_dict(saved["average"] if saved else model.state_dict())
    if args.entropy_only:
        for p in model.transforms():
            p.requires_grad_(False)
    trainable = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trainable if p.ndim == 4 and p.shape[1] > 1]
    others = [p for p in trainable if not (p.ndim == 4 and p.shape[1] > 1)]
    slow = {id(p) for p in model.transforms()}
    optimiser = MuonAdam([] if args.adam else matrices, others + (matrices if args.adam else []),
                         lambda p: args.transform_rate if id(p) in slow else 1.0)
    if saved and saved["entropy_only"] == args.entropy_only and not args.from_average:
        optimiser.load(saved["optimiser"])
    seconds, log = (saved["seconds"], saved["log"]) if saved else (0.0, [])
    samples = saved["samples"] if saved and saved["entropy_only"] == args.entropy_only else 0

    started = last = time.time()
    smooth = None

    def checkpoint():
        rows, value = validate(average, held, args.device)
        entry = {"stage": "entropy" if args.entropy_only else "joint", "samples": samples, "seconds": round(seconds + time.time() - started), "loss": round(value, 5), "rd": rows}
        log.append(entry)
        print(json.dumps(entry), flush=True)
        torch.save({"model": model.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state(),
                    "entropy_only": args.entropy_only, "samples": samples, "seconds": entry["seconds"], "log": log}, args.out + ".tmp")
        os.replace(args.out + ".tmp", args.out)

    for step, batch in enumerate(data.batches(train, args.batch, args.size, rng)):
        x = data.to_tensor(batch, args.device)
        t = torch.rand(len(x), device=args.device) * 1.04 - 0.02
        loss = (rate_of if args.entropy_only else loss_of)(model, x, t.clamp(0, 1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        progress = samples / args.total_samples
        if args.finish:
            progress = max(progress, (time.time() - started) / (60 * args.minutes))
        progress = min(1.0, progress)
        warm = min(1.0, (samples + args.batch) / (100 * args.batch))
        optimiser.step(args.rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))))
        model.zero_grad(set_to_none=True)
        samples += args.batch
        with torch.no_grad():
            decay = min(0.999, 1 - 1 / (1 + samples / args.batch / 8))
            for p, q in zip(average.parameters(), model.parameters()):
                p.lerp_(q, 1 - decay)
        smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
        if step % 50 == 0:
            print(f"{samples} {time.time() - started:.0f}s loss {smooth:.4f}", flush=True)
        if time.time() - last > args.every * 60:
            last = time.time()
            checkpoint()
        if time.time() - started > args.minutes * 60 or samples >= args.total_samples:
            break
    checkpoint()


if __name__ == "__main__":
    main()
