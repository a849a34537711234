"""The optional adversarial stage: discriminators on complex spectra of three resolutions, as in EnCodec (Defossez et al. 2022, 3.4), smaller."""
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from losses import stft

WINDOWS = (1024, 512, 256)


class Discriminator(nn.Module):
    def __init__(self, window, width=24):
        super().__init__()
        self.window = window
        conv = lambda i, o, stride: weight_norm(nn.Conv2d(i, o, (3, 9), (1, stride), (1, 4)))
        self.layers = nn.ModuleList([conv(2, width, 1), conv(width, width, 2), conv(width, width, 2), conv(width, width, 2)])
        self.score = weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, x):
        """x [B, samples] -> scores, features of each layer"""
        s = stft(x, self.window)
        g = (s.real.square() + s.imag.square() + 1e-9) ** -0.35
        h, features = torch.stack([s.real * g, s.imag * g], 1), []
        for layer in self.layers:
            h = F.leaky_relu(layer(h), 0.2)
            features.append(h)
        return self.score(h), features


class Discriminators(nn.Module):
    def __init__(self):
        super().__init__()
        self.all = nn.ModuleList(Discriminator(w) for w in WINDOWS)

    def judge(self, x, y):
        """Hinge loss of the discriminators for sound x and decoded y, both [B, samples]"""
        return sum(F.relu(1 - d(x)[0]).mean() + F.relu(1 + d(y.detach())[0]).mean() for d in self.all) / len(WINDOWS)

    def loss(self, x, y):
        """What the codec pays: its scores, and the distance of features"""
        adversarial = matching = 0
        for d in self.all:
            with torch.no_grad():
                wanted = d(x)[1]
            score, got = d(y)
            adversarial = adversarial + F.relu(1 - score).mean() / len(WINDOWS)
            matching = matching + sum((a - b).abs().mean() / (a.abs().mean() + 1e-6) for a, b in zip(wanted, got)) / (4 * len(WINDOWS))
        return adversarial, matching
