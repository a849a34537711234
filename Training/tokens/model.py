"""The token codec's network (bitstream-spec 12): what Sources/AudioCodec runs, in PyTorch, for training.

Sound is 24 kHz, mono: [B, samples] in -1...1. Two modes share all weights but the books: 75 and 40 frames a second.
STFT in, spectra out, as in Vocos (Siuzdak 2023); residual vector quantisation as in SoundStream (Zeghidour et al. 2021); one
large first book as in WavTokenizer (Ji et al. 2024). Voices are what such decoders learn last, as phases of harmonics have to
agree from frame to frame; so here the decoder also tells a pitch, and filters a pulse train of that pitch and noise (as in
Engel et al. 2020, DDSP, in the STFT domain), beside a part with phases of its own.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

RATE = 24000
WINDOW, BINS, PHASED = 1280, 641, 256
HOPS = (320, 600)
WIDTH, LATENT = 256, 32
PAST, FUTURE = 5, 1
REACH, HEADS = 64, 4
CODES = (4096,) + (512,) * 7
LEVELS = len(CODES)
PITCHES, LOWEST_PITCH = 192, 55.0  # bins, 60 an octave; Hz
HEADS_OUT = (BINS, BINS, BINS, BINS, PITCHES)


def window(device):
    return 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(WINDOW, device=device) / WINDOW)


def frame_count(samples, hop):
    return max(1, -(-samples // hop))


def spectra(x, hop):
    """x [B, samples] -> complex [B, frames, 641]; frame t is centred on sample t*hop + hop/2."""
    frames = frame_count(x.shape[1], hop)
    left = WINDOW // 2 - hop // 2
    right = (frames - 1) * hop + hop // 2 + WINDOW // 2 - x.shape[1]
    blocks = F.pad(x, (left, right)).unfold(1, WINDOW, hop)
    return torch.fft.rfft(blocks * window(x.device)) / (WINDOW / 2)


def features(x, hop):
    """x [B, samples] -> [B, frames, 1153]: compressed magnitudes, then real and imaginary parts of the lowest 256 bins."""
    s = spectra(x, hop)
    g = s.real.square() + s.imag.square() + 1e-10
    low, scale = s[..., :PHASED], g[..., :PHASED] ** -0.35
    return torch.cat([g**0.15, low.real * scale, low.imag * scale], -1)


def overlap_add(blocks, hop):
    """blocks [B, frames, 1280] -> [B, (frames - 1) * hop + 1280]"""
    length = (blocks.shape[1] - 1) * hop + WINDOW
    return F.fold(blocks.transpose(1, 2), (1, length), (1, WINDOW), stride=(1, hop))[:, 0, 0]


def pulses(pitch, hop):
    """Pitch of frames in Hz [B, frames] -> [B, frames * hop]: cosines of all harmonics up to 11.5 kHz, of power 1."""
    b, frames = pitch.shape
    at = (torch.arange(frames * hop, device=pitch.device, dtype=torch.float64) + 0.5) / hop - 0.5
    low = at.floor().clamp(0, max(frames - 2, 0)).long()
    part = (at - low).clamp(0, 1)
    p = pitch.double()
    f = p[:, low] * (1 - part) + p[:, (low + 1).clamp(max=frames - 1)] * part
    phase = torch.cumsum(f / RATE, 1)
    phase = 2 * math.pi * (phase - phase.round())
    harmonics = (11500 / f).floor()
    below = torch.sin(phase / 2)
    ratio = torch.where(below.abs() < 1e-5, 2 * harmonics + 1, torch.sin((harmonics + 0.5) * phase) / below)
    return (0.5 * (ratio - 1) * (2 / harmonics).sqrt()).float()


def pitch_of(logits):
    """[B, frames, PITCHES] -> Hz [B, frames]: the mean bin within 4 of the likeliest one."""
    best = logits.argmax(-1, keepdim=True)
    bins = torch.arange(PITCHES, device=logits.device)
    weights = torch.softmax(logits.masked_fill((bins - best).abs() > 4, -1e9), -1)
    return LOWEST_PITCH * 2 ** ((weights * bins).sum(-1) / 60)


def synthesis(spectra_, hop, samples):
    """[B, frames, 641] -> [B, samples]"""
    blocks = torch.fft.irfft(spectra_, n=WINDOW)
    w = window(blocks.device)
    sound = overlap_add(blocks * (w * (WINDOW / 2)), hop)
    weight = overlap_add((w * w).expand(1, blocks.shape[1], WINDOW), hop)
    left = WINDOW // 2 - hop // 2
    return (sound / weight.clamp(min=1e-3))[:, left : left + samples]


class Block(nn.Module):
    """ConvNeXt block over frames, [B, frames, 256]: seven taps, five of them in the past and one in the future."""

    def __init__(self, hidden, blocks):
        super().__init__()
        self.dw = nn.Conv1d(WIDTH, WIDTH, PAST + 1 + FUTURE, groups=WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.up = nn.Linear(WIDTH, hidden)
        self.down = nn.Linear(hidden, WIDTH)
        self.scale = nn.Parameter(torch.full((WIDTH,), 1.0 / blocks))

    def forward(self, h):
        y = self.dw(F.pad(h.transpose(1, 2), (PAST, FUTURE))).transpose(1, 2)
        return h + self.scale * self.down(F.gelu(self.up(self.norm(y)), approximate="tanh"))


class Attention(nn.Module):
    """Over the last 64 frames, with learned positions: [B, frames, 256]"""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.position = nn.Parameter(torch.zeros(HEADS, REACH))

    def forward(self, h):
        b, t, _ = h.shape
        q, k, v = self.qkv(self.norm(h)).view(b, t, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        ago = torch.arange(t, device=h.device)[:, None] - torch.arange(t, device=h.device)
        seen = (ago >= 0) & (ago < REACH)
        bias = self.position[:, ago.clamp(0, REACH - 1)].masked_fill(~seen, float("-inf"))
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return h + self.out(y.transpose(1, 2).reshape(b, t, WIDTH))


class Encoder(nn.Module):
    def __init__(self, blocks=4, hidden=512):
        super().__init__()
        self.input = nn.Linear(BINS + 2 * PHASED, WIDTH, bias=False)
        self.bias = nn.Parameter(torch.zeros(len(HOPS), WIDTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.blocks = nn.ModuleList(Block(hidden, blocks) for _ in range(blocks))
        self.out_norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.out = nn.Linear(WIDTH, LATENT)

    def forward(self, x, mode):
        """x [B, samples] -> latents [B, frames, 32]"""
        h = self.norm(self.input(features(x, HOPS[mode])) + self.bias[mode])
        for block in self.blocks:
            h = block(h)
        return self.out(self.out_norm(h))


class Decoder(nn.Module):
    def __init__(self, blocks=8, hidden=768):
        super().__init__()
        self.input = nn.Linear(LATENT, WIDTH, bias=False)
        self.bias = nn.Parameter(torch.zeros(len(HOPS), WIDTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.blocks = nn.ModuleList(Block(hidden, blocks) for _ in range(blocks))
        self.attention = Attention()
        self.out_norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.out = nn.Linear(WIDTH, sum(HEADS_OUT))
        with torch.no_grad():
            self.out.bias[: 3 * BINS] = torch.tensor([-3.5, -4.0, -9.0]).repeat_interleave(BINS)  # as loud as speech

    def heads(self, z, mode):
        """z [B, frames, 32] -> log-magnitudes of the filters of pulses and noise and of the free part, the free part's phases, each
        [B, frames, 641]; pitch logits [B, frames, PITCHES]"""
        h = self.norm(self.input(z) + self.bias[mode])
        for i, block in enumerate(self.blocks):
            if i == 2:
                h = self.attention(h)
            h = block(h)
        return self.out(self.out_norm(h)).split(HEADS_OUT, -1)

    def sound(self, heads, mode, samples, pitch=None, noise=None):
        """`pitch` [B, frames] in Hz: instead of what the logits say. `noise` [B, frames * hop], of variance 1. -> [B, samples]"""
        tonal, noisy, free, phases, logits = heads
        hop = HOPS[mode]
        if pitch is None:
            pitch = pitch_of(logits.detach())
        excitation = pulses(pitch, hop)
        if noise is None:
            noise = torch.randn_like(excitation)
        level = lambda l: torch.exp(l.clamp(max=3.0))
        free = level(free)
        s = level(tonal) * spectra(excitation, hop) + level(noisy) * spectra(noise, hop)
        return synthesis(s + torch.complex(free * torch.cos(phases), free * torch.sin(phases)), hop, samples)

    def forward(self, z, mode, samples):
        return self.sound(self.heads(z, mode), mode, samples)


class Books(nn.Module):
    """The residual quantiser's code vectors of one mode, moving averages of what falls to them (van den Oord et al. 2017, A.1)."""

    def __init__(self, decay=0.99):
        super().__init__()
        self.decay = decay
        for level, codes in enumerate(CODES):
            self.register_buffer(f"vectors{level}", torch.zeros(codes, LATENT))
            self.register_buffer(f"uses{level}", torch.ones(codes))
        self.register_buffer("ready", torch.tensor(False))

    def vectors(self, level):
        return getattr(self, f"vectors{level}")

    @staticmethod
    def nearest(x, vectors):
        """x [N, 32] -> [N]"""
        return (vectors.square().sum(1) - 2 * x @ vectors.T).argmin(1)

    @torch.no_grad()
    def start(self, x, rounds=12):
        """k-means on x [N, 32], level after level."""
        residual = x.clone()
        for level, codes in enumerate(CODES):
            v = residual[torch.randperm(len(residual))[:codes]].clone()
            for _ in range(rounds):
                index = self.nearest(residual, v)
                count = torch.bincount(index, minlength=codes).clamp(min=1)
                total = torch.zeros_like(v).index_add_(0, index, residual)
                dead = torch.bincount(index, minlength=codes) == 0
                v = total / count[:, None]
                v[dead] = residual[torch.randint(len(residual), (int(dead.sum()),))]
            self.vectors(level).copy_(v)
            getattr(self, f"uses{level}").fill_(1.0)
            residual = residual - v[self.nearest(residual, v)]
        self.ready.fill_(True)

    def forward(self, z, levels, learn):
        """z [B, T, 32], levels [B] in 1...8 -> quantised z (no gradient), indices [B, T, 8]"""
        b, t, _ = z.shape
        residual = z.detach().reshape(-1, LATENT)
        total = torch.zeros_like(residual)
        indices = []
        for level in range(LEVELS):
            v = self.vectors(level)
            index = self.nearest(residual, v)
            step = v[index]
            if learn:
                self.adapt(level, residual, index)
            total = total + step * (levels > level).repeat_interleave(t)[:, None]
            residual = residual - step
            indices.append(index)
        return total.view(b, t, LATENT), torch.stack(indices, 1).view(b, t, LEVELS)

    @torch.no_grad()
    def adapt(self, level, x, index):
        v, uses = self.vectors(level), getattr(self, f"uses{level}")
        codes = len(v)
        count = torch.bincount(index, minlength=codes).float()
        fair = len(x) / codes  # uses of a code in a batch, were all used alike
        total = torch.zeros_like(v).index_add_(0, index, x)
        # Uses are in units of the fair share; a code moves towards its batch mean by its share of the moving count.
        uses.mul_(self.decay).add_(count / fair, alpha=1 - self.decay)
        rate = ((1 - self.decay) * count / fair / uses.clamp(min=1e-3)).clamp(max=1.0)[:, None]
        mean = total / count.clamp(min=1)[:, None]
        v.copy_(torch.where(count[:, None] > 0, v + rate * (mean - v), v))
        dead = (uses < 0.03).nonzero()[:, 0]
        if len(dead):
            chosen = torch.randint(len(x), (len(dead),))
            v[dead] = x[chosen]
            uses[dead] = 0.3


class TokenCodec(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.books = nn.ModuleList(Books() for _ in HOPS)

    def forward(self, x, mode, levels, pitch=None):
        """x [B, samples], levels [B] or None for no quantisation; pitch as in `Decoder.sound`
        -> sound, latents, quantised latents, indices, pitch logits"""
        z = self.encoder(x, mode)
        q, indices = (z, None) if levels is None else self.books[mode](z, levels, self.training)
        heads = self.decoder.heads(z + (q - z).detach(), mode)
        return self.decoder.sound(heads, mode, x.shape[1], pitch), z, q, indices, heads[-1]
