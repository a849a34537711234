"""The decoder's integer arithmetic (bitstream-spec 6 and 8) in PyTorch, exact, as reference for the exporter.

Tensors are [C, H, W] in float64 that holds integers: by the bound of spec 6.1 every partial sum is below 2^31, so
float64 sums are exact in any order. `model` maps the weights file's names to integer tensors.
"""

import torch
import torch.nn.functional as F

PASS_MASKS = (0, 3, 1, 2)


def sat16(x):
    return x.clamp(-32768, 32767)


def leaky(x):
    return torch.maximum(x, torch.floor(x / 4))


def shift_right(a, s):
    """Arithmetic shift by s [C] of a [C, H, W]."""
    return torch.floor(a / (2.0 ** s.double()).view(-1, 1, 1))


def conv(model, name, x, depthwise=False):
    w, b, s = (model[f"{name}.{k}"].double() for k in ("weight", "bias", "shift"))
    if depthwise:
        a = F.conv2d(x[None], w.view(-1, 1, 3, 3), b, padding=1, groups=len(b))[0]
    else:
        a = F.conv2d(x[None], w[:, :, None, None], b)[0]
    assert a.abs().max() < 2**31
    return sat16(shift_right(a, s))


def block(model, name, x):
    h = leaky(conv(model, f"{name}.a", conv(model, f"{name}.depthwise", x, True)))
    return sat16(x + conv(model, f"{name}.b", h))


def blocks(model, stage, x):
    i = 0
    while f"{stage}.{i}.a.weight" in model:
        x = block(model, f"{stage}.{i}", x)
        i += 1
    return x


def shuffle(x, k):
    c, h, w = x.shape
    c //= k * k
    return x.view(k, k, c, h, w).permute(2, 3, 0, 4, 1).reshape(c, h * k, w * k)


def scale(x, m, s):
    """Spec 6.5."""
    return sat16(torch.floor((x * m.double().view(-1, 1, 1) + 2.0 ** (s - 1)) / 2.0**s))


def features(model, z, quality, h, w):
    """Hyper-latent symbols [CZ, hz, wz] -> hyper features [W, h, w]."""
    x = scale(z, model["hyper.step"][quality], int(model["shifts"][0]))
    x = leaky(conv(model, "hyper.in", x))
    x = blocks(model, "hyper.blocks64", x)
    x = leaky(shuffle(conv(model, "hyper.up32", x), 2))
    x = blocks(model, "hyper.blocks32", x)
    x = shuffle(conv(model, "hyper.up16", x), 2)[:, :h, :w]
    return leaky(sat16(x + model["context.bias"][quality].double().view(-1, 1, 1)))


def predict(model, k, f, decoded, quality):
    """Context pass k -> (mean [C, h, w], scale index [C, h, w])."""
    x = leaky(conv(model, f"context.{k}.mix", torch.cat([f, decoded])))
    x = blocks(model, f"context.{k}.blocks", x)
    mean, u = conv(model, f"context.{k}.out", x).chunk(2)
    u = torch.floor((u + model["latent.scale"][quality].double().view(-1, 1, 1) + 32) / 64)
    return mean, u.clamp(0, 63)


def pass_mask(k, c, h, w):
    """Bool [C, h, w]: what pass k codes."""
    parity = 2 * (torch.arange(h) % 2)[:, None] + (torch.arange(w) % 2)[None, :]
    group = torch.arange(c) // (c // 4)
    return group.view(-1, 1, 1) == (parity ^ PASS_MASKS[k])[None]


def reconstruct(model, mean, symbols, quality):
    d = model["latent.step"][quality].double().view(-1, 1, 1)
    s = int(model["shifts"][1])
    return sat16(mean + torch.floor((symbols * d + 2.0 ** (s - 1)) / 2.0**s))


def synthesise(model, y, quality):
    """Latents [C, h, w] -> RGB uint8 [16 h, 16 w, 3]."""
    y = blocks(model, "synthesis16", y)
    x = shuffle(conv(model, "synthesis.up", y), 2)
    x = scale(x, model["synthesis.gain"][quality], int(model["shifts"][2]))
    x = blocks(model, "synthesis8", x)
    x = shuffle(conv(model, "synthesis.head", x), 8)
    s = int(model["shifts"][3])
    x = torch.floor((x + 2.0 ** (s - 1)) / 2.0**s).clamp(0, 255)
    return x.permute(1, 2, 0).to(torch.uint8)


def decode(model, z, symbols_of_pass, quality, h, w):
    """`symbols_of_pass(k, mean, index, mask)` gives the symbols of pass k as [C, h, w], zero outside its mask."""
    f = features(model, z.double(), quality, h, w)
    decoded = torch.zeros(model["latent.step"].shape[1], h, w, dtype=torch.float64)
    for k in range(4):
        mean, index = predict(model, k, f, decoded, quality)
        mask = pass_mask(k, *decoded.shape)
        r = symbols_of_pass(k, mean, index, mask)
        decoded = torch.where(mask, reconstruct(model, mean, r, quality), decoded)
    return synthesise(model, decoded, quality)
