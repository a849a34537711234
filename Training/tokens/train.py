"""Trains the token codec.

    python train.py CLIPS --out runs/a --minutes 90 [--device cuda|cpu] [--resume runs/a/checkpoint.pt] [--adversarial]

CLIPS is made by clips.sh. Writes OUT/checkpoint.pt every few minutes (weights, their moving average, optimisers) and
OUT/log.txt. The learning rate is constant, and falls to nothing over the last `--cooldown` share of the minutes; a
checkpoint of before that, OUT/warm.pt, is the better one to resume from. --resume takes weights files of export.py too.
"""
import argparse
import copy
import json
import pathlib
import time

import numpy as np
import torch

import losses
from data import Clips
from discriminators import Discriminators
from model import HOPS, LEVELS, LOWEST_PITCH, PITCHES, TokenCodec, frame_count

# Matrices that Muon trains; AdamW has the rest.
HIDDEN = ("up.weight", "down.weight", "qkv.weight", "attention.out.weight", "encoder.input.weight")
WEIGHTS = {"mel": 1.5, "log": 0.3, "complex": 3.0, "commitment": 0.25, "pitch": 0.4, "adversarial": 0.1, "matching": 0.6}


def pitch_targets(bins, mode):
    """Bins every 240 samples [B, n] -> at the centres of the mode's frames, [B, frames]"""
    hop = HOPS[mode]
    frames = frame_count(bins.shape[1] * 240, hop)
    return bins[:, ((torch.arange(frames) * hop + hop // 2) // 240).clamp(max=bins.shape[1] - 1)]


def filled(bins):
    """Frames without a pitch get the last one before them, or 60 (110 Hz)"""
    out = bins.clone()
    out[:, 0] = torch.where(out[:, 0] < 0, torch.full_like(out[:, 0], 60.0), out[:, 0])
    for t in range(1, out.shape[1]):
        out[:, t] = torch.where(out[:, t] < 0, out[:, t - 1], out[:, t])
    return out


def pitch_loss(logits, wanted):
    """Cross-entropy against a bell of 1 bin around the wanted bins, where there is a pitch: per clip [B]"""
    bell = torch.softmax(-0.5 * (torch.arange(PITCHES, device=logits.device) - wanted[..., None]).square(), -1)
    voiced = wanted >= 0
    return -((bell * torch.log_softmax(logits, -1)).sum(-1) * voiced).sum(1) / logits.shape[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cuda", "cpu"])
    parser.add_argument("--resume")
    parser.add_argument("--adversarial", action="store_true", help="add discriminators; start from a trained checkpoint")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--samples", type=int, default=28800)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--cooldown", type=float, default=0.45)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    clips = Clips(options.clips)
    device = options.device

    codec = TokenCodec().to(device)
    step = 0
    hidden = {n: p for n, p in codec.named_parameters() if n.endswith(HIDDEN)}
    others = [p for n, p in codec.named_parameters() if n not in hidden]
    optimisers = {
        "muon": torch.optim.Muon(hidden.values(), lr=options.rate, weight_decay=1e-3, adjust_lr_fn="match_rms_adamw"),
        "adamw": torch.optim.AdamW(others, lr=options.rate, betas=(0.9, 0.98), weight_decay=1e-3),
    }
    average = copy.deepcopy(codec).eval()
    if options.resume:
        saved = torch.load(options.resume, map_location=device) if options.resume.endswith(".pt") else None
        if saved is None:
            import export
            export.load(codec, options.resume)
            average.load_state_dict(codec.state_dict())
        else:
            codec.load_state_dict(saved["codec"])
            average.load_state_dict(saved["average"])
            for name, optimiser in optimisers.items():
                optimiser.load_state_dict(saved[name])
            step = saved["step"]
    judges = judge_optimiser = None
    if options.adversarial:
        judges = Discriminators().to(device)
        judge_optimiser = torch.optim.AdamW(judges.parameters(), lr=3e-4, betas=(0.5, 0.9))
        if options.resume and saved and saved.get("judges"):
            judges.load_state_dict(saved["judges"])
            judge_optimiser.load_state_dict(saved["judge_optimiser"])

    def save(name):
        target = options.out / name
        state = {"codec": codec.state_dict(), "average": average.state_dict(), "step": step}
        state |= {name: optimiser.state_dict() for name, optimiser in optimisers.items()}
        if judges:
            state |= {"judges": judges.state_dict(), "judge_optimiser": judge_optimiser.state_dict()}
        torch.save(state, str(target) + ".part")
        pathlib.Path(str(target) + ".part").rename(target)

    log = open(options.out / "log.txt", "a")

    def say(**values):
        line = json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in values.items()})
        print(line, flush=True)
        log.write(line + "\n")
        log.flush()

    held = {kind: clips.validation(kind, 8, 72000).to(device) for kind in clips.held}

    @torch.no_grad()
    def validate():
        average.eval()
        out = {}
        for mode in range(len(HOPS)):
            if not average.books[mode].ready:
                continue
            for levels in (1, 4, 8):
                for kind in ("speech-librispeech", "music"):
                    x = held[kind]
                    y, _, _, indices, _ = average(x, mode, torch.full((len(x),), levels, device=device))
                    mel, logs, _ = losses.distances(x, y)
                    out[f"{mode}.{levels}.{kind[:2]}"] = round(float(mel.mean()), 3)
            out[f"{mode}.used"] = [len(indices[..., k].unique()) for k in range(LEVELS)]
        return out

    begun = time.time()
    saved_at = said_at = begun
    sums, counted = {}, 0
    cooling = False
    while (share := (time.time() - begun) / 60 / options.minutes) < 1:
        if share > 1 - options.cooldown and not cooling:
            save("warm.pt")
            cooling = True
        rate = options.rate * min(1.0, (1 - share) / options.cooldown, (step + 1) / 500 if step < 500 else 1.0)
        for optimiser in optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = rate
        mode = 0 if rng.random() < 0.7 else 1
        x, tune = (t.to(device) for t in clips.batch(options.batch, options.samples, rng))
        ready = bool(codec.books[mode].ready)
        if step >= 400 and not ready:
            with torch.no_grad():
                z = [codec.encoder(clips.batch(options.batch, options.samples, rng)[0].to(device), mode).reshape(-1, 32) for _ in range(40)]
            codec.books[mode].start(torch.cat(z))
            average.books[mode].load_state_dict(codec.books[mode].state_dict())
            ready = True
        # One level often (it is the hardest), the others alike.
        levels = torch.from_numpy(np.where(rng.random(options.batch) < 0.25, 1, rng.integers(2, LEVELS + 1, options.batch))).to(device)
        codec.train()
        wanted = pitch_targets(tune, mode)
        # Half of the time the pitch that is there, so that filters are learned before the decoder can tell pitches.
        given = LOWEST_PITCH * 2 ** (filled(wanted) / 60) if rng.random() < 0.5 else None
        y, z, q, _, logits = codec(x, mode, levels if ready else None, given)
        tuning = pitch_loss(logits, wanted)
        mel, logs, phased = losses.distances(x, y)
        # Phases that few bits cannot tell would only make the sound dull.
        trust = (levels / LEVELS).clamp(min=0.25) if ready else torch.ones(len(x), device=device)
        commitment = (z - q).square().mean((1, 2))
        loss = (WEIGHTS["mel"] * mel + WEIGHTS["log"] * logs + WEIGHTS["complex"] * trust * phased + WEIGHTS["commitment"] * commitment + WEIGHTS["pitch"] * tuning).mean()
        parts = {"mel": mel, "log": logs, "complex": phased, "commitment": commitment, "pitch": tuning}
        if judges:
            verdict = judges.judge(x, y)
            judge_optimiser.zero_grad(set_to_none=True)
            verdict.backward()
            judge_optimiser.step()
            adversarial, matching = judges.loss(x, y)
            loss = loss + WEIGHTS["adversarial"] * adversarial + WEIGHTS["matching"] * matching
            parts |= {"verdict": verdict, "adversarial": adversarial, "matching": matching}
        codec.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(codec.parameters(), 3.0)
        if torch.isfinite(norm):
            for optimiser in optimisers.values():
                optimiser.step()
        with torch.no_grad():
            kept = min(0.998, (step + 1) / (step + 10))
            for a, b in zip(average.parameters(), codec.parameters()):
                a.lerp_(b, 1 - kept)
            for a, b in zip(average.buffers(), codec.buffers()):
                a.copy_(b)
        step += 1
        for key, value in ({"loss": loss} | parts).items():
            sums[key] = sums.get(key, 0.0) + float(value.detach().mean())
        counted += 1
        now = time.time()
        if now - said_at > 60:
            say(step=step, minutes=(now - begun) / 60, rate=rate, **{k: v / counted for k, v in sums.items()})
            sums, counted, said_at = {}, 0, now
        if now - saved_at > 240:
            save("checkpoint.pt")
            saved_at = now
            say(step=step, held=validate())
    save("checkpoint.pt")
    say(step=step, held=validate())


if __name__ == "__main__":
    main()
