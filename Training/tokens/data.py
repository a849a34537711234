"""Clips that clips.sh made, and their pitch by pitch.py: raw 16-bit sound at 24 kHz. Every 25th recording of each kind is held out for validation."""
import pathlib

import numpy as np
import torch

KINDS = {"speech-librispeech": 0.62, "speech-picovoice": 0.13, "music": 0.25}  # shares of a batch


class Clips:
    def __init__(self, folder):
        self.train, self.held = {}, {}
        for kind in KINDS:
            files = sorted(pathlib.Path(folder).glob(f"{kind}.*.s16"))
            if not files:
                raise SystemExit(f"no {kind} in {folder}: run clips.sh first")
            sounds = [(np.fromfile(f, np.int16), np.fromfile(f.with_suffix(".pitch"), np.uint16)) for f in files]
            self.train[kind] = [s for i, s in enumerate(sounds) if i % 25 != 12]
            self.held[kind] = [s for i, (s, _) in enumerate(sounds) if i % 25 == 12]
        self.odds = {k: np.array([len(s) for s, _ in v], float) / sum(len(s) for s, _ in v) for k, v in self.train.items()}

    def batch(self, count, samples, rng):
        """[count, samples] of random places and gains; pitch [count, samples / 240] in bins, negative for none"""
        out, pitch = np.zeros((count, samples), np.float32), np.full((count, samples // 240), -1, np.float32)
        kinds = rng.choice(list(KINDS), count, p=list(KINDS.values()))
        for row, tune, kind in zip(out, pitch, kinds):
            sounds = self.train[kind]
            s, p = sounds[rng.choice(len(sounds), p=self.odds[kind])]
            at = rng.integers(-samples // 8, max(1, len(s) - samples)) // 240 * 240  # a silent start now and then
            silent = max(0, -at)
            part = s[at + silent : at + samples]
            row[silent : silent + len(part)] = part / 32768
            notes = p[(at + silent) // 240 : (at + samples) // 240]
            tune[silent // 240 : silent // 240 + len(notes)] = np.where(notes > 0, (notes.astype(np.float32) - 16) / 16, -1)
            peak = np.abs(row).max()
            if peak > 0:
                row *= min(0.95, np.exp(rng.uniform(np.log(0.03), np.log(0.95)))) / peak
        return torch.from_numpy(out), torch.from_numpy(pitch)

    def validation(self, kind, count, samples):
        """[n, samples], n at most count, always the same"""
        rows = [s[len(s) // 4 : len(s) // 4 + samples] for s in self.held[kind] if len(s) >= samples * 4 // 3]
        return torch.from_numpy(np.stack(rows[:count]).astype(np.float32) / 32768)
