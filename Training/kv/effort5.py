#!/usr/bin/env python3
"""Effort 5: self-contained, backward-adaptive KV codec.  Reference implementation (numpy).

encode(k_pre, v, G) -> stream (header: scales f16, first token(s) f16; symbols q[l][t, 384]; code length)
decode(stream)      -> k_pre, v           uses nothing but the stream; Model is shared by both.

Everything the decoder recomputes is in Model.  Integer sums are exact (held in float64 here, |sum| < 2^53;
int32 batches flushed to int64 in the codec); float work is f32.
"""
import numpy as np, scipy.linalg as sl
f32 = np.float32
R = 1.107
GRID = 0.06 * R ** np.arange(64)                       # Laplace b in units of the step
LG = np.log(R)
E1 = np.exp(-.5 / GRID) / (1 - np.exp(-1 / GRID))      # E|q| per scale
SCHED = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536)   # then x1.33/x1.5 on to the segment's end (4,096)
P = dict(G=.5, kvw=1.7, layers=2, m=96, sched=SCHED, pstart=64, alpha=.6, gam=.8, shrink=.3, ad=.03, eta=.8,
         sink=1, sub=16, oi=1, n0=64, fx=128.0, cx=64.0, rec=.06, kexp=-.6)


def cost_table():
    a = np.arange(4096); t = []
    for b in GRID:
        p = np.where(a == 0, 1 - np.exp(-.5 / b), .5 * np.exp(-(a - .5) / b) * (1 - np.exp(-1 / b)))
        c = -np.log2(np.maximum(p, 2.0 ** -16)); k = int(np.argmax(c >= 15.99))
        if c[k] >= 15.99: c[k:] = 17 + 2 * np.log2(1 + np.arange(len(a) - k))       # escape, Golomb
        t.append(c)
    return np.array(t)


COST = cost_table()
AD = np.clip((np.arange(64)[None, :] - E1[:, None]) / (E1[:, None] + .15), -1, 4)    # [scale][|q|], x ad/LG = state move


def orth(M):
    """Columns to unit norm, then Cholesky-QR (f32); the 1e-4 keeps a rank-deficient start going."""
    M = (M / np.maximum(np.sqrt((M * M).sum(0)), f32(1e-20))).astype(f32)
    g = M.T @ M
    g[np.diag_indices(len(g))] += f32(1e-4)
    return sl.blas.strsm(f32(1), sl.cholesky(g, lower=False, check_finite=False), M, side=1, lower=0)


class Layer: pass


class Model:
    def __init__(s, nl, C, par, starts):
        s.p, s.nl, s.C = par, nl, C; s.n = 0; s.L = []; s.sw = 0
        for l in range(nl):
            o = Layer(); o.U = np.eye(C, dtype=f32); o.W = None; o.A = None
            o.sum = np.zeros(C); o.Sxx = np.zeros((C, C)); o.Srr = np.zeros((C, C)); o.S = None; o.Sn = 0.
            o.m = min(par['layers'], l); pd = o.m * par['m']
            o.Myy = np.zeros((pd, pd), f32); o.Mxy = np.zeros((pd, C), f32); o.Mn = 0.
            o.byy = np.zeros((pd, pd)); o.bxy = np.zeros((pd, C)); o.h0 = []
            o.st = np.full(C, np.log(1 / par['G'] / 1.4 / GRID[0]) / LG); o.mu = np.zeros(C, f32)
            s.L.append(o)

    def begin(s, t):
        """Before the sub-chunk that starts at token t: means, early scales, refreshes."""
        p, n, G, C = s.p, s.n, s.p['G'], s.C
        if n == 0: return
        for o in s.L: o.mu = (o.sum / (n * p['fx'])).astype(f32)
        if t < p['sched'][0]:
            for o in s.L:
                va = np.diag(o.Sxx) / n / p['fx'] ** 2 - o.mu.astype(float) ** 2
                o.st = np.log(np.sqrt((np.maximum(va, 0) * n + .6) / (n + 4) + G * G / 12) * 1.1 / G / 1.414 / GRID[0]) / LG
        if t in p['sched']: s.refresh(t)

    def refresh(s, t):
        p, n, G, C, fx2 = s.p, s.n, f32(s.p['G']), s.C, s.p['fx'] ** 2
        I = np.arange(C); first = t == p['sched'][0]; use = p['layers'] > 0 and t >= p['pstart']; Rw = [None] * s.nl
        for l, o in enumerate(s.L):                                        # any order across layers but for Rw
            Sxx = ((o.Sxx - np.outer(o.sum, o.sum) / n) / (n * fx2)).astype(f32); Sxx[I, I] += f32(1e-3)
            if use and l < s.nl - 1:                                       # 1. prediction inputs: leading subspace of Sxx
                if o.W is None:
                    o.W = np.eye(C, dtype=f32)[:, np.argsort(-np.diag(Sxx), kind='stable')[:p['m']]]
                    o.W = orth(Sxx @ orth(Sxx @ o.W)); Rw[l] = None
                else:
                    w = orth(Sxx @ o.W); Rw[l] = o.W.T @ w; o.W = w
            if use and o.m:                                                # 2. predictor
                k = p['m']
                if t == p['pstart']:                                       # first: from the stored first tokens
                    Y = np.concatenate([(np.concatenate(s.L[l - i].h0) / f32(p['fx']) - s.L[l - i].mu) @ s.L[l - i].W for i in range(1, o.m + 1)], 1)
                    X = np.concatenate(o.h0) / f32(p['fx']) - o.mu
                    o.Myy, o.Mxy, o.Mn = Y.T @ Y, Y.T @ X, float(n)
                else:
                    o.Myy += (o.byy / p['cx'] ** 2).astype(f32); o.Mxy += (o.bxy / (p['cx'] * p['fx'])).astype(f32); o.Mn += t - s.sw
                    for i in range(o.m):
                        r = Rw[l - 1 - i]; a = slice(i * k, i * k + k)
                        o.Mxy[a] = r.T @ o.Mxy[a]; o.Myy[a] = r.T @ o.Myy[a]; o.Myy[:, a] = o.Myy[:, a] @ r
                o.byy[:] = 0; o.bxy[:] = 0
                pd = len(o.Myy); M = o.Myy.copy()
                M[np.arange(pd), np.arange(pd)] += f32(np.trace(M) / pd * p['alpha'] * pd / o.Mn + o.Mn * G * G / 12)
                o.A = sl.cho_solve(sl.cho_factor(M, check_finite=False), o.Mxy, check_finite=False).astype(f32)
            if first: o.S, o.Sn = Sxx * f32(n), float(n)                   # 3. basis of the residual
            else: o.S = o.S * f32(p['gam']) + (o.Srr / fx2).astype(f32); o.Sn = o.Sn * p['gam'] + (t - s.sw)
            o.Srr[:] = 0
            lam = f32(min(.5, p['shrink'] * C / o.Sn)); d = np.diag(o.S) / f32(o.Sn)
            S = o.S * ((1 - lam) / f32(o.Sn)); S[I, I] = d + G * G / 12
            if first: o.U = np.eye(C, dtype=f32)[:, np.argsort(-d, kind='stable')]
            for _ in range(p['oi'] + first): o.U = orth(S @ o.U)
            w = np.einsum('ij,ij->j', o.U, S @ o.U)
            o.st = np.log(np.sqrt(np.maximum(w, 1e-6)) / np.sqrt(2) / G / GRID[0]) / LG
        s.sw = t

    def predict(s, l, cc):
        o = s.L[l]
        return o.mu if o.A is None else o.mu + np.concatenate([cc[l - i] for i in range(1, o.m + 1)], 1) @ o.A

    def scales(s, l, a, en):
        """Table index per symbol [tokens, C], moving the states on; a = |q| (the decoder does this token by token)."""
        o, p = s.L[l], s.p; off = np.rint(np.log(en) * p['eta'] / LG); ii = np.empty(a.shape, np.int32)
        for t in range(len(a)):
            ii[t] = i = np.clip(np.rint(o.st + off[t]), 0, 63).astype(np.int32)
            if s.L[0].S is not None: o.st = o.st + p['ad'] / LG * AD[i, np.minimum(a[t], 63)]
        if s.L[0].S is not None:
            e0 = E1[np.clip(np.rint(o.st), 0, 63).astype(int)].sum()
            en = .5 * en + .5 * np.clip((a.sum(1) + 4) / (e0 + 4), .3, 3)
        return ii, en

    def reconstruct(s, l, pred, q, cc):
        """Values of a sub-chunk; files what the history needs."""
        o, p = s.L[l], s.p
        r = ((q - f32(p['rec']) * np.sign(q)).astype(f32) * f32(p['G'])) @ o.U.T
        h = np.clip(np.rint((pred + r) * f32(p['fx'])), -4095, 4095)
        if o.W is not None: cc[l] = np.rint((h / f32(p['fx']) - o.mu) @ o.W * f32(p['cx'])) / f32(p['cx'])
        o.new = h, np.rint(r * f32(p['fx']))
        return pred + r

    def end(s, cc):
        """After the sub-chunk: exact integer sums."""
        p = s.p
        for l, o in enumerate(s.L):
            h, r = o.new; H = h.astype(np.float64)
            o.sum += H.sum(0); o.Sxx += H.T @ H
            if s.L[0].S is not None: r = r.astype(np.float64); o.Srr += r.T @ r
            if o.h0 is not None:
                o.h0.append(h)
            if o.A is not None:
                c = np.concatenate([cc[l - i] for i in range(1, o.m + 1)], 1).astype(np.float64) * p['cx']
                o.byy += c.T @ c; o.bxy += c.T @ (H - np.rint(o.mu * p['fx']))
        s.n += len(h)
        if s.n >= p['pstart']:
            for o in s.L: o.h0 = None


def subchunks(T, p):
    a = sorted({p['sink'], *(t for t in (2, 4, 8, 16) if t > p['sink']), *range(p['sub'], T, p['sub']), *p['sched']})
    a = [t for t in a if p['sink'] <= t < T]
    return list(zip(a, a[1:] + [T]))


def rows(x, l): return x[l].transpose(1, 0, 2).reshape(x.shape[2], -1).astype(f32)


def channel_scales(sc, pw):
    return np.concatenate([sc[0] * np.exp2(np.repeat(pw, 2) / 8.), np.full(2 * len(pw), sc[1])]).astype(f32)


def encode(k_pre, v, keep=None, **kw):
    p = {**P, **kw}; nl, nk, T, hd = k_pre.shape; nC = nk * hd
    X = [np.concatenate([rows(k_pre, l), rows(v, l)], 1) for l in range(nl)]; s0, n0 = p['sink'], p['n0']
    sc = np.array([[np.sqrt((x[s0:s0 + n0, :nC] ** 2).mean()), np.sqrt((x[s0:s0 + n0, nC:] ** 2).mean()) * p['kvw']] for x in X]).astype(np.float16).astype(f32)
    sc = np.maximum(sc, f32(1e-4)); pw = np.zeros((nl, nC // 2), np.int8)          # per RoPE pair: 2^(pw/8), energy^(kexp/2), geometric mean 1
    for l in range(nl):
        e = np.log2((X[l][s0:s0 + n0, :nC].astype(float) ** 2).mean(0).reshape(-1, 2).mean(1) + 1e-3) * p['kexp'] / 2; pw[l] = np.rint((e - e.mean()) * 8)
    S = [channel_scales(sc[l], pw[l]) for l in range(nl)]; X = [x / c for x, c in zip(X, S)]
    m = Model(nl, 2 * nC, p, None); q = [np.zeros((T, 2 * nC), np.int16) for _ in range(nl)]; bits = 16. * 2 * nC * nl * s0 + (32 + 4 * nC) * nl; bt = np.zeros(T); bt[:s0]=16*2*nC*nl
    for c0, c1 in subchunks(T, p):
        m.begin(c0); cc = [None] * nl; en = np.ones(c1 - c0)
        for l in range(nl):
            pr = m.predict(l, cc); z = (X[l][c0:c1] - pr) @ m.L[l].U / f32(p['G'])
            s = np.rint(z).astype(np.int16); q[l][c0:c1] = s; a = np.minimum(np.abs(s), 4095).astype(np.int32)
            ii, en = m.scales(l, a, en); ct = COST[ii, a].sum(1); bt[c0:c1] += ct
            y = m.reconstruct(l, pr, s, cc)
            if keep is not None: keep[l][c0:c1] = y * S[l]
        m.end(cc)
    bits += bt[s0:].sum()
    return dict(p=p, shape=k_pre.shape, scales=sc, pw=pw, first=[(k_pre[:, :, :s0], v[:, :, :s0])], mse=0, q=q, bits=bits / (2 * nC * nl * T), bt=bt / (2 * nC * nl))


def decode(s):
    p = s['p']; nl, nk, T, hd = s['shape']; nC = nk * hd; m = Model(nl, 2 * nC, p, None); Y = [np.zeros((T, 2 * nC), f32) for _ in range(nl)]
    for c0, c1 in subchunks(T, p):
        m.begin(c0); cc = [None] * nl; en = np.ones(c1 - c0)
        for l in range(nl):
            pr = m.predict(l, cc); q = s['q'][l][c0:c1]                    # here: entropy decoding with m.scales
            _, en = m.scales(l, np.minimum(np.abs(q), 4095).astype(np.int32), en)
            Y[l][c0:c1] = m.reconstruct(l, pr, q, cc) * channel_scales(s['scales'][l], s['pw'][l])
        m.end(cc)
    un = lambda y: y.reshape(T, nk, hd).transpose(1, 0, 2)
    K = np.stack([un(y[:, :nC]) for y in Y]); V = np.stack([un(y[:, nC:]) for y in Y]); fk, fv = s['first'][0]
    K[:, :, :p['sink']] = fk; V[:, :, :p['sink']] = fv
    return K.astype(np.float16), V.astype(np.float16)


if __name__ == '__main__':
    # effort5.py EVAL_FOLDER WORK cache.safetensors ...: folder of eval_kv.py, folder of the GGUF, caches with k_pre
    import sys
    sys.path.insert(0, sys.argv[1])
    from eval_kv import Judge
    from make_kv import fetch
    judge = Judge(fetch(sys.argv[2]))
    for path in sys.argv[3:]:
        r = judge.reference(path)
        s = encode(r['k_pre'], r['v'])
        K, V = decode(s)
        print(path, round(s['bits'], 4), 'bits', judge.score(path, judge.rope_keys(K).astype(np.float16), V)['kl'], 'KL', flush=True)
