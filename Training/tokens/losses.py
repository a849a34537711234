"""What the token codec is trained for: multi-resolution log-mel and STFT distances, [B, samples] against [B, samples]."""
import functools
import math

import torch

from model import RATE

MELS = ((2048, 128), (1024, 80), (512, 40), (256, 20))  # window, bands; hop is a quarter


@functools.cache
def mel_bank(window, bands, device):
    """[window/2 + 1, bands]: triangles even on the mel scale (HTK), each of unit peak."""
    mel = lambda f: 2595 * math.log10(1 + f / 700)
    edges = torch.linspace(0, mel(RATE / 2), bands + 2, dtype=torch.float64)
    edges = 700 * (10 ** (edges / 2595) - 1)
    f = torch.arange(window // 2 + 1, dtype=torch.float64)[:, None] * RATE / window
    rise = (f - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - f) / (edges[2:] - edges[1:-1])
    return torch.minimum(rise, fall).clamp(min=0).float().to(device)


@functools.cache
def hann(window, device):
    return torch.hann_window(window, device=device)


def stft(x, window):
    return torch.stft(x, window, window // 4, window=hann(window, x.device), return_complex=True, normalized=True).transpose(1, 2)


def distances(x, y):
    """-> per clip [B]: log-mel, log-magnitude and compressed complex distances, each a mean over its resolutions."""
    mel = log = complex_ = 0
    for window, bands in MELS:
        a, b = stft(x, window), stft(y, window)
        p, q = a.real.square() + a.imag.square() + 1e-9, b.real.square() + b.imag.square() + 1e-9
        bank = mel_bank(window, bands, x.device)
        mel = mel + ((p.sqrt() @ bank + 1e-4).log() - (q.sqrt() @ bank + 1e-4).log()).abs().mean((1, 2))
        if window <= 1024:
            log = log + ((p + 1e-7).log() - (q + 1e-7).log()).abs().mean((1, 2)) / 2
            u, v = p**-0.35, q**-0.35
            complex_ = complex_ + (a.real * u - b.real * v).square().mean((1, 2)) + (a.imag * u - b.imag * v).square().mean((1, 2))
    return mel / len(MELS), log / 3, complex_ / 3
