#!/usr/bin/env python3
"""How much noise in a KV cache hurts the model that made it: input of `nccodec kv calibrate --sensitivity`.

    python sensitivity.py EVAL_FOLDER MODEL.gguf OUT.safetensors text.txt ...      # EVAL_FOLDER holds make_kv.py

Each text gives a prefix of 1,024 tokens, whose cache takes the noise, and 96 tokens after it, which feel it.  OUT holds, all f32,
L layers, H key-value heads of D channels, keys before RoPE and in the RoPE layout of the GGUF (adjacent pairs):

  query_moment  [L, H, D/2]   mean over queries of |q|^2 / 2D per RoPE pair, summed over the query heads that share the head:
                              what a key's noise of unit power adds to a score's variance
  key_gram      [L, H, D, D]  the same with all products, each query turned into the key's frame and weighted by what the score moves
                              in the output, p^2 |Wo (v - o)|^2; scaled to query_moment's trace.  Optional for the codec
  output_gram   [L, H, D, D]  sum of Wo' Wo over the query heads that share the head
  kl_per_noise  [L, 3]        KL in nats per unit of noise power per component, where components are independent under the metric:
                              keys by query_moment, values by output_gram, keys by key_gram; geometric mean over texts

Noise spares token 0, which the codec keeps exact, and is 8 % of the signal, where KL still grows with its power.
"""
import sys
from pathlib import Path
import numpy as np
f32 = np.float32
PREFIX, AFTER = 1024, 96


def root(gram, floor):
    """Symmetric square root of a Gram matrix and its inverse; eigenvalues of at least floor times the largest."""
    w, u = np.linalg.eigh(gram.astype(np.float64))
    w = np.maximum(w, w.max() * floor)
    return (u * np.sqrt(w)) @ u.T, (u / np.sqrt(w)) @ u.T


def forward(m, x, k, v, start=0, inputs=None, hook=None):
    """Log-probabilities after the tokens whose layer-`start` inputs are x, on a cache k, v (keys after RoPE, [L][H, n, D])."""
    n, T, hd, nk, rep = k[0].shape[1], len(x), m.hd, m.n_kv, m.n_head // m.n_kv
    pos = n + np.arange(T)
    mask = np.where(np.arange(n + T)[None] <= pos[:, None], 0, -np.inf).astype(f32)
    for i in range(start, m.n_layer):
        L = m.layers[i]
        if inputs is not None: inputs.append(x)
        h = m.norm(x, L["attn_norm"])
        q = m.rope((h @ L["attn_q"].T).reshape(T, m.n_head, hd).transpose(1, 0, 2), pos) * f32(hd ** -.5)
        kk = np.concatenate([k[i], m.rope((h @ L["attn_k"].T).reshape(T, nk, hd).transpose(1, 0, 2), pos)], 1)
        vv = np.concatenate([v[i], (h @ L["attn_v"].T).reshape(T, nk, hd).transpose(1, 0, 2)], 1)
        o, P = np.empty((T, m.n_head, hd), f32), []
        for j in range(m.n_head):
            s = q[j] @ kk[j // rep].T + mask
            s = np.exp(s - s.max(-1, keepdims=True)); s /= s.sum(-1, keepdims=True)
            o[:, j] = s @ vv[j // rep]; P.append(s)
        if hook: hook(i, q, vv, P, o)
        x = x + o.reshape(T, -1) @ L["attn_output"].T
        h = m.norm(x, L["ffn_norm"]); g = h @ L["ffn_gate"].T
        x = x + ((g / (1 + np.exp(-g))) * (h @ L["ffn_up"].T)) @ L["ffn_down"].T
    x = m.norm(x, m.out_norm) @ m.emb.T
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def main(folder, gguf, out, texts):
    sys.path.insert(0, folder)
    from make_kv import Llama
    from safetensors.numpy import save_file
    m = Llama(gguf); NL, H, D, rep = m.n_layer, m.n_kv, m.hd, m.n_head // m.n_kv
    qm, kg, og = np.zeros((NL, H, D // 2)), np.zeros((NL, H, D, D)), np.zeros((NL, H, D, D))
    wo = [L["attn_output"].reshape(m.d, m.n_head, D) for L in m.layers]
    for i in range(NL):
        for j in range(m.n_head): og[i, j // rep] += wo[i][:, j].T @ wo[i][:, j]
    angle = m.base ** (-np.arange(0, D, 2) / D)
    turn = np.exp(-1j * np.arange(1, PREFIX)[:, None] * angle).astype(np.complex64)          # into the frame of the key at s
    def hook(i, q, vv, P, o):
        for j in range(m.n_head):
            h = j // rep; g = (wo[i][:, j].T @ wo[i][:, j]).astype(f32)
            qm[i, h] += (q[j].reshape(-1, D // 2, 2).astype(float) ** 2).mean((0, 2))          # q already holds 1/sqrt(D)
            z = (q[j][::4, 0::2] + 1j * q[j][::4, 1::2]).astype(np.complex64)
            v1, o1 = vv[h][1:PREFIX], o[::4, j]
            w = P[j][::4, 1:PREFIX] ** 2 * np.maximum(((v1 @ g) * v1).sum(1)[None] - 2 * (o1 @ g) @ v1.T + ((o1 @ g) * o1).sum(1)[:, None], 0)
            for a in range(len(z)):
                y = (turn * z[a]) * np.sqrt(w[a])[:, None]
                y = np.stack([y.real, y.imag], -1).reshape(-1, D); kg[i, h] += y.T @ y
    runs = []
    for t in texts:
        ids = m.tok.encode(Path(t).read_text()).ids[:PREFIX + AFTER]
        kp, k, v, _ = m.prefill(ids[:PREFIX])
        xs = []; lp = forward(m, m.emb[ids[PREFIX:]], k, v, inputs=xs, hook=hook); runs.append((k, v, xs, lp))
        print("moments of", t, flush=True)
    qm /= len(texts)
    kg *= (2 * qm.sum(-1) / np.trace(kg, axis1=2, axis2=3))[..., None, None]
    rng = np.random.default_rng(0); kl = np.zeros((NL, 3))
    for i in range(NL):
        for kind in range(3):
            S = []
            for k, v, xs, lp in runs:
                e = rng.standard_normal((H, PREFIX, D)).astype(f32); ref = (v if kind == 1 else k)[i]
                if kind == 0: e /= np.sqrt(np.repeat(qm[i], 2, -1))[:, None].astype(f32)
                else: e = np.stack([e[h] @ root((og if kind == 1 else kg)[i, h], 1e-4 if kind == 1 else 1e-3)[1].astype(f32) for h in range(H)])
                s = .08 * np.sqrt((ref[:, 1:] ** 2).mean() / (e ** 2).mean()); e *= f32(s); e[:, 0] = 0
                noisy = [*(v if kind == 1 else k)]; noisy[i] = ref + (e if kind == 1 else m.rope(e, np.arange(PREFIX)))
                q = forward(m, xs[i], k if kind == 1 else noisy, noisy if kind == 1 else v, start=i)
                S.append(max((np.exp(lp) * (lp - q)).sum(-1).mean(dtype=float), 1e-8) / s ** 2)
            kl[i, kind] = np.exp(np.mean(np.log(S)))
        print(i, kl[i], flush=True)
    save_file({"query_moment": qm.astype(f32), "key_gram": kg.astype(f32), "output_gram": og.astype(f32), "kl_per_noise": kl.astype(f32)}, out,
              metadata=dict(model=Path(gguf).name, rope_layout="interleaved", prefix=str(PREFIX), after=str(AFTER), texts=" ".join(Path(t).stem for t in texts)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
