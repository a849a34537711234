"""The hyperprior image codec's network (bitstream-spec 8), in float, as it is trained.

Tensors here are [B, C, H, W]; the exporter turns them to the decoder's [H, W, C]. Rates are in bits.
Mean-scale hyperprior: Minnen et al. 2018 (1809.02736); four-pass quad-tree context and per-quality channel scales:
Li et al., DCVC-DC and DCVC-FM (2302.14402, 2402.17414). Every residual branch starts at zero and every resampling at
an orthonormal DCT/Haar transform, so the first step already is a 16x16 block-transform codec.
"""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

STEM, LATENTS, HYPER, WIDTH = 128, 256, 64, 128  # channels at 1/8, 1/16, 1/64; width of the entropy networks
ANCHORS = 9  # knots of the quality curve; between them log-scales are linear
PIXEL_SCALE = 32.0  # pixels enter as (x - 128) / 32
SIGMA_MIN, SIGMA_MAX, SCALES = 0.11, 64.0, 64
LOG_RATIO = math.log(SIGMA_MAX / SIGMA_MIN) / (SCALES - 1)
LAMBDA_LOW, LAMBDA_HIGH = 0.0009, 0.25  # weight of 255^2 * MSE against bits per pixel, at quality 0 and 100
SCALE_UNIT = 10.0  # the network's unit of log-scale, in scale indices: about a factor of e
PASS_MASKS = (0, 3, 1, 2)  # pass k codes channel group (parity XOR PASS_MASKS[k])


def lagrangian(t):
    """lambda for quality t in 0...1."""
    return LAMBDA_LOW * (LAMBDA_HIGH / LAMBDA_LOW) ** t


def dct_matrix(n):
    k, x = np.arange(n)[:, None], np.arange(n)[None, :]
    m = np.cos(np.pi * (2 * x + 1) * k / (2 * n)) * math.sqrt(2 / n)
    m[0] /= math.sqrt(2)
    return m


def transform_matrices(crops):
    """Orthonormal start: [STEM, 192] on unshuffled 8x8 RGB blocks, [LATENTS, 4*STEM] on 2x2 of those, and the
    standard deviations of the resulting channels over `crops` (uint8 [N, H, W, 3])."""
    colour = np.array([[1, 1, 1], [1, 0, -1], [-1, 2, -1]]) / np.sqrt([[3], [2], [6]])
    d = dct_matrix(8)
    basis = np.einsum("uy,vx,kc->kuvyxc", d, d, colour).reshape(192, 192)
    x = (crops.astype(np.float64) - 128) / PIXEL_SCALE
    n, h, w, _ = x.shape
    blocks = x.reshape(n, h // 8, 8, w // 8, 8, 3).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 8, w // 8, 192)
    c = blocks @ basis.T
    keep = np.sort(np.argsort(-(c**2).mean((0, 1, 2)))[:STEM])
    stem, c = basis[keep], c[..., keep]
    c = c.reshape(n, h // 16, 2, w // 16, 2, STEM).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // 16, w // 16, 4 * STEM)
    haar = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]) / 2
    down = np.kron(haar, np.eye(STEM))
    y = c @ down.T
    keep = np.argsort(-(y**2).mean((0, 1, 2)))[:LATENTS]
    keep = keep.reshape(-1, 4).T.reshape(-1)  # each of the four groups gets every fourth: all frequencies in each
    return (stem, down[keep], np.sqrt((c**2).mean((0, 1, 2)).reshape(4, STEM).mean(0)),
            np.sqrt((y[..., keep] ** 2).mean((0, 1, 2))))


class Pointwise(nn.Conv2d):
    """1x1 convolution; few positions go through a matrix product, which on CPUs is up to 1.6 times faster there."""

    def forward(self, x):
        if x.is_cuda or x.shape[0] * x.shape[2] * x.shape[3] > 2048:
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight[:, :, 0, 0], self.bias).permute(0, 3, 1, 2)


def pointwise(cin, cout, gain=1.0):
    conv = Pointwise(cin, cout, 1)
    nn.init.orthogonal_(conv.weight, gain)
    nn.init.zeros_(conv.bias)
    return conv


class Block(nn.Module):
    """x + b(leaky(a(depthwise3x3(x)))): the one residual block of the codec. [B, C, H, W] -> same."""

    def __init__(self, channels, hidden, norm=None):
        super().__init__()
        self.dw = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.a = pointwise(channels, hidden)
        self.b = pointwise(hidden, channels)
        with torch.no_grad():
            self.dw.weight.mul_(0.1)
            self.dw.weight[:, 0, 1, 1] += 1.0
            if norm is not None:
                self.dw.weight.mul_(norm.view(-1, 1, 1, 1))
            self.dw.bias.zero_()
            self.b.weight.zero_()

    def forward(self, x):
        return x + self.b(F.leaky_relu(self.a(self.dw(x)), 0.25))


class Curve(nn.Module):
    """A vector that depends on quality: log-scales (or offsets) at ANCHORS knots, linear between. -> [B, C, 1, 1]."""

    def __init__(self, channels, start=None):
        super().__init__()
        value = torch.zeros(ANCHORS, channels)
        if start is not None:
            value += start
        self.value = nn.Parameter(value)

    def forward(self, t):
        p = t * (ANCHORS - 1)
        i = p.floor().clamp(0, ANCHORS - 2).long()
        f = (p - i).view(-1, 1)
        return (self.value[i] * (1 - f) + self.value[i + 1] * f)[:, :, None, None]


def unshuffle(x, k):
    """[B, C, H, W] -> [B, k*k*C, H/k, W/k], channel order (dy, dx, c) as bitstream-spec 6.4."""
    b, c, h, w = x.shape
    return x.view(b, c, h // k, k, w // k, k).permute(0, 3, 5, 1, 2, 4).reshape(b, k * k * c, h // k, w // k)


def shuffle(x, k):
    b, c, h, w = x.shape
    c //= k * k
    return x.view(b, k, k, c, h, w).permute(0, 3, 4, 1, 5, 2).reshape(b, c, h * k, w * k)


class ContextPass(nn.Module):
    """Mean and scale of the latents that one of the four passes codes, from hyper features and what is decoded."""

    def __init__(self, start_scale):
        super().__init__()
        self.hyper = pointwise(WIDTH, WIDTH)
        self.latents = pointwise(LATENTS, WIDTH, 0.5)
        self.blocks = nn.ModuleList([Block(WIDTH, WIDTH), Block(WIDTH, WIDTH)])
        self.out = pointwise(WIDTH, 2 * LATENTS, 0.01)
        with torch.no_grad():
            self.out.bias[LATENTS:] = start_scale / SCALE_UNIT

    def forward(self, features, decoded):
        """-> mean in standard deviations of the channel, scale index"""
        x = F.leaky_relu(self.hyper(features) + self.latents(decoded), 0.25)
        for block in self.blocks:
            x = block(x)
        mean, scale = self.out(x).split(LATENTS, 1)
        return mean, SCALE_UNIT * scale


class HyperpriorCodec(nn.Module):
    def __init__(self, crops=None):
        super().__init__()
        if crops is None:  # shapes only; a checkpoint brings the values
            stem, down = np.zeros((STEM, 192)), np.zeros((LATENTS, 4 * STEM))
            s8, s16 = np.ones(STEM), np.ones(LATENTS)
        else:
            stem, down, s8, s16 = transform_matrices(crops)
        n8 = torch.tensor(1 / np.sqrt(1 + s8**2), dtype=torch.float32)
        n16 = torch.tensor(1 / np.sqrt(1 + s16**2), dtype=torch.float32)
        self.register_buffer("norm", n16.view(1, -1, 1, 1).clone())

        self.stem = pointwise(192, STEM)
        self.analysis8 = nn.ModuleList([Block(STEM, 2 * STEM, n8) for _ in range(2)])
        self.down = pointwise(4 * STEM, LATENTS)
        self.analysis16 = nn.ModuleList([Block(LATENTS, LATENTS, n16) for _ in range(2)])

        self.synthesis16 = nn.ModuleList([Block(LATENTS, LATENTS, n16) for _ in range(2)])
        self.up = pointwise(LATENTS, 4 * STEM)
        self.synthesis8 = nn.ModuleList([Block(STEM, 2 * STEM, n8) for _ in range(3)])
        self.head = pointwise(STEM, 192)
        with torch.no_grad():
            self.stem.weight.copy_(torch.tensor(stem)[..., None, None])
            self.down.weight.copy_(torch.tensor(down)[..., None, None])
            self.up.weight.copy_(torch.tensor(down.T)[..., None, None])
            self.head.weight.copy_(torch.tensor(stem.T)[..., None, None])

        self.hyper_in = pointwise(LATENTS, WIDTH)
        self.hyper_a16 = Block(WIDTH, WIDTH)
        self.hyper_down32 = pointwise(4 * WIDTH, WIDTH)
        self.hyper_a32 = Block(WIDTH, WIDTH)
        self.hyper_down64 = pointwise(4 * WIDTH, HYPER)
        self.hyper_out = pointwise(HYPER, WIDTH)
        self.hyper_s64 = Block(WIDTH, WIDTH)
        self.hyper_up32 = pointwise(WIDTH, 4 * WIDTH)
        self.hyper_s32 = Block(WIDTH, WIDTH)
        self.hyper_up16 = pointwise(WIDTH, 4 * WIDTH)
        start = torch.tensor(np.log(np.maximum(0.6 * s16, SIGMA_MIN) / SIGMA_MIN) / LOG_RATIO, dtype=torch.float32)
        self.passes = nn.ModuleList([ContextPass(start) for _ in range(4)])

        step = -0.45 * torch.log(torch.tensor([lagrangian(a / (ANCHORS - 1)) for a in range(ANCHORS)]) / 0.012)
        step = step.view(-1, 1)  # log of the quantiser's bin, in units of about 32 levels of an orthonormal transform
        self.latent_gain = Curve(LATENTS, -step)  # encoder: bins per unit
        self.latent_step = Curve(LATENTS, step)  # decoder: units per bin
        self.scale_shift = Curve(LATENTS, -step / LOG_RATIO)  # added to the scale index
        self.hyper_gain = Curve(HYPER)
        self.hyper_step = Curve(HYPER)
        self.hyper_scale = Curve(HYPER, torch.tensor(math.log(1.5 / SIGMA_MIN) / LOG_RATIO))
        self.synthesis_gain = Curve(STEM)
        self.context_bias = Curve(WIDTH)

    def analyse(self, x):
        """x: [B, 3, H, W] in 0...255 with sides multiples of 16 -> latents [B, LATENTS, H/16, W/16]."""
        x = self.stem(unshuffle((x - 128) / PIXEL_SCALE, 8))
        for block in self.analysis8:
            x = block(x)
        x = self.down(unshuffle(x, 2))
        for block in self.analysis16:
            x = block(x)
        return x

    def hyper_analyse(self, y):
        """Latents, zero-padded to multiples of 4 -> hyper-latents [B, HYPER, ceil(h/4), ceil(w/4)]."""
        h, w = y.shape[2:]
        y = F.pad(y * self.norm, (0, -w % 4, 0, -h % 4))
        x = self.hyper_a16(F.leaky_relu(self.hyper_in(y), 0.25))
        x = self.hyper_a32(F.leaky_relu(self.hyper_down32(unshuffle(x, 2)), 0.25))
        return self.hyper_down64(unshuffle(x, 2))

    def hyper_synthesise(self, z, t, h, w):
        x = self.hyper_s64(F.leaky_relu(self.hyper_out(z), 0.25))
        x = self.hyper_s32(F.leaky_relu(shuffle(self.hyper_up32(x), 2), 0.25))
        x = shuffle(self.hyper_up16(x), 2)[:, :, :h, :w]
        return F.leaky_relu(x + self.context_bias(t), 0.25)

    def synthesise(self, y, t):
        for block in self.synthesis16:
            y = block(y)
        x = shuffle(self.up(y), 2) * torch.exp(self.synthesis_gain(t))
        for block in self.synthesis8:
            x = block(x)
        return shuffle(self.head(x), 8) * PIXEL_SCALE + 128

    def forward(self, x, t, rounding="train"):
        """-> (reconstruction, bits of y [B], bits of z [B]). t: quality 0...1, [B]. "train": the rate sees uniform
        noise and the networks see straight-through rounding (Minnen and Singh 2020); "hard": both see rounding."""
        decoded, bits_y, bits_z = self.code(self.analyse(x), t, rounding)
        return self.synthesise(decoded, t), bits_y, bits_z

    def transforms(self):
        """Parameters of everything between pixels and quantised latents: what the entropy stage leaves alone."""
        modules = (self.stem, self.analysis8, self.down, self.analysis16, self.synthesis16, self.up, self.synthesis8,
                   self.head, self.latent_gain, self.latent_step, self.synthesis_gain)
        return [p for m in modules for p in m.parameters()]

    def code(self, y, t, rounding):
        """Latents -> (decoded latents, bits of y [B], bits of z [B])."""
        h, w = y.shape[2:]
        z = self.hyper_analyse(y) * torch.exp(self.hyper_gain(t))
        z_round = z + (torch.round(z) - z).detach()
        hard = rounding == "hard"
        z_rate = z_round if hard else z + torch.rand_like(z) - 0.5
        bits_z = gaussian_bits(z_rate, self.hyper_scale(t)).sum((1, 2, 3))
        features = self.hyper_synthesise(z_round * torch.exp(self.hyper_step(t)), t, h, w)

        step = torch.exp(self.latent_step(t))
        scaled, shift = y * torch.exp(self.latent_gain(t)), self.scale_shift(t)
        masks = parity_masks(h, w, y)
        decoded = torch.zeros_like(y)
        mean_all, index_all = 0, 0
        for k, context in enumerate(self.passes):
            mean, index = context(features, decoded * self.norm)
            mean = mean / self.norm
            m = masks[k]
            centred = scaled - mean / step
            residual = centred + (torch.round(centred) - centred).detach()
            decoded = decoded + m * (residual * step + mean)
            mean_all = mean_all + m * mean
            index_all = index_all + m * (index + shift)
        residual = scaled - mean_all / step
        residual = torch.round(residual) if hard else residual + torch.rand_like(y) - 0.5
        if hard:
            index_all = torch.round(index_all)
        bits_y = gaussian_bits(residual, index_all).sum((1, 2, 3))
        return decoded, bits_y, bits_z


_masks = {}


def parity_masks(h, w, like):
    """[4 passes][1, LATENTS, h, w] of 0/1: at parity p = 2*(y%2) + x%2, pass k codes group p XOR PASS_MASKS[k]."""
    key = (h, w, like.device)
    if key not in _masks:
        p = (2 * (torch.arange(h) % 2)[:, None] + (torch.arange(w) % 2)[None, :])
        group = torch.arange(LATENTS) // (LATENTS // 4)
        _masks[key] = [(group.view(1, -1, 1, 1) == (p ^ m)[None, None]).float().to(like.device) for m in PASS_MASKS]
    return _masks[key]


def gaussian_bits(v, index):
    """Bits of v under the zero-mean Gaussian of scale index `index`, integrated over a unit bin."""
    c = index.clamp(0, SCALES - 1)
    index = c + 0.05 * (index - c)  # a little slope outside, so that a stuck scale can come back
    inv = torch.exp(-(index * LOG_RATIO)) / (SIGMA_MIN * math.sqrt(2))
    a = v.abs()
    p = 0.5 * (torch.erfc((a - 0.5) * inv) - torch.erfc((a + 0.5) * inv))
    return -torch.log2(p.clamp_min(2.0**-17))
