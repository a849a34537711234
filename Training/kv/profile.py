#!/usr/bin/env python3
"""Effort 9: KV codec with a profile learned for the model.  Reference implementation (numpy).

    python profile.py calibrate SENSITIVITY OUT.npz cache.safetensors ...
    python profile.py score EVAL_FOLDER WORK PROFILE.npz G[,G...] cache.safetensors ...

A layer's vector x [C] holds the keys before RoPE and the values of all heads at a token.  Layers are decoded in order; c is a state
of R components that sums up all layers so far of the same token, as a Kalman filter's does:

    pred = mu + A' c                    A [R, C]
    d    = G (q - REC sign q)           q [C]: the symbols, G: the token's step
    x    = pred + B d                   B [C, C]
    c    = rint(64 (F' c + K' d)) / 64  F [R, R], K [C, R]; c = 0 before layer 0

Every matrix is int8 with a scale per row and per column.  Token 0 is exact.  Nothing passes from token to token but the symbols'
scales, so chunks of CHUNK tokens decode alone.  Means, matrices and scales follow from second moments: `calibrate`.
"""
import sys
import numpy as np
f32 = np.float32
CHUNK, RATIO, REC, ADAPT, ETA = 256, 1.107, .03, .03, .8
GRID, LG = .06 * RATIO ** np.arange(64), np.log(RATIO)             # scale b of a symbol in steps; standard deviation 1.414 b


def tables():
    """Bits of |q| (sign included), [64, 4096], and E|q|: logistic, of standard deviation 1.414 b."""
    a = np.arange(4096); t = []; e = []
    for b in GRID:
        tail = lambda x: 1 / (1 + np.exp(np.minimum(x / (.7797 * b), 600)))
        p = np.where(a == 0, 1 - 2 * tail(.5), tail(a - .5) - tail(a + .5)); e.append(2 * (p * a).sum())
        c = -np.log2(np.maximum(p, 2. ** -16)); k = np.argmax(c >= 15.99) if (c >= 15.99).any() else len(a)
        c[k:] = 17 + 2 * np.log2(1 + np.arange(len(a) - k))          # escape, Golomb
        t.append(c)
    return np.array(t), np.array(e)


COST, MEAN = tables()
MOVE = np.clip((np.arange(64)[None] - MEAN[:, None]) / (MEAN[:, None] + .15), -1, 4) * ADAPT / LG


# ----------------------------------------------------------------------------- caches and weights
def vectors(k_pre, v):
    """Caches [L, H, T, D] -> x per layer [T, C]."""
    return [np.concatenate([a.transpose(1, 0, 2).reshape(a.shape[1], -1) for a in (k, w)], 1).astype(f32) for k, w in zip(k_pre, v)]


def caches(X, heads):
    split = lambda y: y.reshape(len(y), heads, -1).transpose(1, 0, 2)
    n = X[0].shape[1] // 2
    return np.stack([split(x[:, :n]) for x in X]).astype(np.float16), np.stack([split(x[:, n:]) for x in X]).astype(np.float16)


def weighting(sens, l, key_gram=False):
    """W [C, C]: noise of unit power in every component of x W costs the same KL wherever it is; and its inverse."""
    H, D = sens["output_gram"].shape[1:3]; C = 2 * H * D; W = np.zeros((C, C)); s = np.sqrt(sens["kl_per_noise"][l].astype(float))
    def root(g, floor):
        w, u = np.linalg.eigh(g.astype(float)); return (u * np.sqrt(np.maximum(w, w.max() * floor))) @ u.T
    for h in range(H):
        a, b = slice(h * D, h * D + D), slice((H + h) * D, (H + h) * D + D)
        W[a, a] = s[2] * root(sens["key_gram"][l, h], 1e-3) if key_gram else np.diag(s[0] * np.sqrt(np.repeat(sens["query_moment"][l, h], 2)))
        W[b, b] = s[1] * root(sens["output_gram"][l, h], 1e-4)
    return W, np.linalg.inv(W)


# ----------------------------------------------------------------------------- calibration
def calibrate(X, sens, R=192, G=.045, horizon=(1, .5), ridge=1e-3, key_gram=False, say=None):
    """X[l] [N, C]: calibration vectors, tokens 0 left out.  The layers are coded with step G, so that what follows learns from decoded values."""
    N, C = X[0].shape; L = len(X); P = []; s = None; ahead = {}; eye = np.eye
    moment = lambda a, b: (a.T @ b).astype(np.float64) / N
    for l in range(L):
        for j in range(l, min(l + len(horizon) + 1, L)):            # weighted, centred vectors of this and the next layers
            if j not in ahead:
                mu = X[j].mean(0, dtype=np.float64); W, Wi = weighting(sens, j, key_gram)
                ahead[j] = ((X[j].astype(f32) - mu.astype(f32)) @ W.astype(f32), mu, W, Wi)
        y, mu, W, Wi = ahead.pop(l); A = None
        if s is not None:                                           # predictor: regression on the state
            A = np.linalg.solve(moment(s, s) + ridge * eye(R), moment(s, y)); y = y - s @ A.astype(f32)
        w, u = np.linalg.eigh(moment(y, y)); w, u = w[::-1], u[:, ::-1]      # KLT of the residual
        q = np.rint(y @ (u / G).astype(f32)); d = (q - f32(REC) * np.sign(q)) * f32(G)
        p = dict(mu=mu, B=Wi.T @ u, e=np.sqrt(np.maximum(w, 1e-12)), A=np.zeros((R, C)) if A is None else A @ Wi, F=np.zeros((R, R)), K=np.zeros((C, R)))
        if l < L - 1:                                               # state: reduced-rank regression of the next layers on [c, d]
            f = d if s is None else np.concatenate([s, d], 1); k = f.shape[1] - C
            g, v = np.linalg.eigh(moment(f, f) + np.diag(np.r_[np.full(k, ridge), np.full(C, G * G / 12)])); h = (v / np.sqrt(g)) @ v.T
            M = 0
            for j, a in enumerate(horizon, l + 1):
                if j < L: c = h @ moment(f, ahead[j][0]); M = M + a * c @ c.T
            T = h @ np.linalg.eigh(M)[1][:, ::-1][:, :R]
            s = np.rint(f @ T.astype(f32) * 64) / f32(64); p["K"] = T[k:]
            if k: p["F"] = T[:k]
        P.append(p)
        if say: say(l, np.log2(np.maximum(p["e"] / G * 4.13, 1)).mean())
    return {n: np.stack([p[n] for p in P]) for n in P[0]}


def rounded(M, bits=8):
    """int8 with a scale per row (root mean square, 2^(k/4)) and per column (f16): values, and bytes at the entropy of the integers."""
    out = np.zeros(M.shape, f32); size = 0; top = 2 ** (bits - 1) - 1
    for l, m in enumerate(M.astype(np.float64)):
        if not m.any(): continue
        r = np.exp2(np.rint(np.log2(np.maximum(np.sqrt((m * m).mean(1, keepdims=True)), 1e-20)) * 4) / 4)
        c = np.maximum(np.abs(m / r).max(0, keepdims=True) / top, 6e-8).astype(np.float16).astype(np.float64)
        q = np.rint(m / r / c); out[l] = q * r * c
        n = np.unique(q, return_counts=True)[1]; size += -(n * np.log2(n / n.sum())).sum() / 8 + m.shape[0] + 2 * m.shape[1]
    return out, size


def finish(P, bits=dict(A=8, B=8, F=8, K=8)):
    """The profile as a file holds it: rounded matrices, means in f16, e in 1/8 octaves; and its bytes."""
    Q = {}; size = {}
    for n in "ABFK": Q[n], size[n] = rounded(P[n], bits[n]) if bits else (P[n].astype(f32), 0)
    Q["mu"] = P["mu"].astype(np.float16).astype(f32); size["mu"] = 2 * Q["mu"].size
    Q["e"] = np.exp2(np.rint(np.log2(P["e"]) * 8) / 8); size["e"] = Q["e"].size
    return Q, size


# ----------------------------------------------------------------------------- the codec
class Scales:
    """Table indices of one layer's symbols; all chunks at once, token by token.  Encoder and decoder alike."""
    def __init__(s, e, G, chunks): s.st = np.repeat(np.log(np.maximum(np.sqrt(e * e + G * G / 24) / np.sqrt(2) / G, 1e-9) / GRID[0])[None] / LG, chunks, 0)
    def index(s, energy, shift): return np.clip(np.rint(s.st + np.rint(np.log(energy) * ETA / LG)[:, None] - shift), 0, 63).astype(int)
    def expected(s, shift): return MEAN[np.clip(np.rint(s.st - shift), 0, 63).astype(int)].sum(1)
    def adapt(s, i, a): s.st += MOVE[i, np.minimum(a, 63)]


def choose(z, cost, lam):
    """The symbol that costs least in squared error plus lam x bits; cost [.., 4096-row]."""
    a = np.abs(z); hi = np.floor(a + f32(.5)).astype(int); best = None
    for k in (hi, np.maximum(hi - 1, 0), np.zeros_like(hi)):
        j = (a - k + f32(REC) * (k > 0)) ** 2 + lam * cost(np.minimum(k, 4095))
        if best is None: best, q = j, k
        else: q = np.where(j < best, k, q); best = np.minimum(j, best)
    return (np.sign(z) * q).astype(f32)


def code(x_or_q, P, G, lam=.1, encoder=True, weights=None, fine=(128, .6)):
    """Encoder: x per layer [T, C] -> symbols, decoded x, bits.  Decoder: symbols -> decoded x, bits.  lam: steps^2 per bit.
    The last fine[0] tokens, which the next ones attend to most, have a step of fine[1] G."""
    L = len(x_or_q); T, C = x_or_q[0].shape; n = T - 1; nc = -(-T // CHUNK); s = None; bits = np.zeros(L); Q, Y, noise = [], [], 0
    fold = lambda a, v=0: np.concatenate([np.full((1,) + a.shape[1:], v, a.dtype), a, np.full((nc * CHUNK - T,) + a.shape[1:], v, a.dtype)]).reshape(nc, CHUNK, *a.shape[1:])
    g = np.where(np.arange(n) >= n - fine[0], fine[1], 1).astype(f32)[:, None]; shift = np.rint(np.log(fold(g, 1)) / LG)     # in table indices
    live = fold(np.ones(n, bool)); energy = np.ones((nc, CHUNK))
    for l in range(L):
        A, B, F, K, mu, e = (P[k][l] for k in ("A", "B", "F", "K", "mu", "e"))
        pred = mu + (s @ A if s is not None else 0)
        if encoder: z = fold((x_or_q[l][1:] - pred) @ (np.linalg.inv(B.astype(np.float64)).T / G).astype(f32) / g)
        else: q = fold(x_or_q[l][1:])
        sc = Scales(e, G, nc); out = np.zeros((nc, CHUNK, C), f32); want = np.empty((nc, CHUNK))
        for t in range(CHUNK):
            i = sc.index(energy[:, t], shift[:, t]); want[:, t] = sc.expected(shift[:, t]); m = live[:, t]
            if encoder: out[:, t] = choose(z[:, t], lambda k: COST[i, k], lam) if lam else np.rint(z[:, t])
            else: out[:, t] = q[:, t]
            a = np.minimum(np.abs(out[:, t]), 4095).astype(int); bits[l] += COST[i, a][m].sum()
            st = sc.st.copy(); sc.adapt(i, a); sc.st[~m] = st[~m]
        energy = .5 * energy + .5 * np.clip((np.abs(out).sum(2) + 4) / (want + 4), .3, 3)
        q = out.reshape(-1, C)[1:T]; d = (q - f32(REC) * np.sign(q)) * (f32(G) * g); y = pred + d @ B.T
        s = np.rint(64 * (d @ K + (s @ F if s is not None else 0))).clip(-32767, 32767).astype(f32) / 64
        if encoder and weights is not None: noise += (((x_or_q[l][1:] - y) @ weights[l]) ** 2).sum(1).mean() / (C / 2)
        Q.append(np.concatenate([np.zeros((1, C), f32), q])); Y.append(np.concatenate([x_or_q[l][:1] * encoder, y]))
    return dict(q=Q, x=Y, bits=(bits.sum() + 16 * C * L) / (C * L * T), layers=bits / (C * T), noise=noise)


if __name__ == "__main__":
    from safetensors.numpy import load_file
    if sys.argv[1] == "calibrate":
        sens = load_file(sys.argv[2]); X = None
        for i, path in enumerate(sys.argv[4:]):
            r = load_file(path); x = [a[1 + i % 2::2].astype(np.float16) for a in vectors(r["k_pre"], r["v"])]
            X = [[a] for a in x] if X is None else [b + [a] for a, b in zip(x, X)]
        Q, size = finish(calibrate([np.concatenate(x) for x in X], sens, say=lambda *a: print(*a, flush=True)))
        np.savez(sys.argv[3], **Q); print(size, sum(size.values()), "bytes")
    else:
        sys.path.insert(0, sys.argv[2])
        from eval_kv import Judge
        from make_kv import fetch
        judge, P = Judge(fetch(sys.argv[3])), np.load(sys.argv[4]); P = {k: P[k] for k in P}
        for G in map(float, sys.argv[5].split(",")):
            for path in sys.argv[6:]:
                r = judge.reference(path); o = code(vectors(r["k_pre"], r["v"]), P, G)
                K, V = caches(o["x"], r["v"].shape[1]); K[:, :, 0], V[:, :, 0] = r["k_pre"][:, :, 0], r["v"][:, :, 0]
                print(path, G, round(o["bits"], 4), "bits", judge.score(path, judge.rope_keys(K).astype(np.float16), V)["kl"], "KL", flush=True)
