#!/usr/bin/env python3
"""reduce.py - what reducing a cache's tokens (KVReduction, `nccodec encode --keep-tokens`) does to the model.

    python reduce.py attention DATA WORK kv/prose.safetensors out.safetensors
        Writes the cache with two more tensors, [layer, kv_head, token] f32, which KVReduction takes its scores from:
        attention (mean over all queries that see a token) and attention_local (mean over the last 32 queries).
    python reduce.py judge DATA WORK --ref kv/prose.safetensors --dec reduced.safetensors [--bytes N]
        KL, perplexity and top-1 as eval_kv.py has them, of a cache with fewer tokens: keys after RoPE carry their positions, so
        attention over the kept ones needs no others.

DATA is shared/data/kv (eval_kv.py, make_kv.py), WORK the folder with the GGUF. Needs: numpy gguf safetensors tokenizers.
"""
import json
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file


def attention(m, tokens, window=32, chunk=256):
    """Mean attention that each token gets, from all queries that see it and from the last `window` ones: [layer, kv_head, n]."""
    n, hd, nk, rep = len(tokens), m.hd, m.n_kv, m.n_head // m.n_kv
    all_, local = (np.zeros((m.n_layer, nk, n), np.float32) for _ in range(2))
    k = v = None
    for a in range(0, n, chunk):
        x = m.emb[np.asarray(tokens[a:a + chunk])]
        t = len(x)
        pos = a + np.arange(t)
        mask = np.where(np.arange(a + t)[None, :] <= pos[:, None], 0, -np.inf).astype(np.float32)
        recent = pos >= n - window
        K, V = [], []
        for i, w in enumerate(m.layers):
            h = m.norm(x, w["attn_norm"])
            heads = lambda name, count: (h @ w[name].T).reshape(t, count, hd).transpose(1, 0, 2)
            q = m.rope(heads("attn_q", m.n_head), pos) * np.float32(hd ** -0.5)
            ki, vi = m.rope(heads("attn_k", nk), pos), heads("attn_v", nk)
            kk = ki if k is None else np.concatenate([k[i], ki], 1)
            vv = vi if v is None else np.concatenate([v[i], vi], 1)
            K.append(kk)
            V.append(vv)
            o = np.empty((t, m.n_head, hd), np.float32)
            for j in range(m.n_head):
                s = q[j] @ kk[j // rep].T + mask
                s -= s.max(-1, keepdims=True)
                np.exp(s, out=s)
                s /= s.sum(-1, keepdims=True)
                all_[i, j // rep, :a + t] += s.sum(0)
                local[i, j // rep, :a + t] += s[recent].sum(0)
                o[:, j] = s @ vv[j // rep]
            x = x + o.reshape(t, -1) @ w["attn_output"].T
            h = m.norm(x, w["ffn_norm"])
            g = h @ w["ffn_gate"].T
            x = x + ((g / (1 + np.exp(-g))) * (h @ w["ffn_up"].T)) @ w["ffn_down"].T
        k, v = K, V
    seen = n - np.arange(n)
    mean = lambda sums, queries: (sums / (rep * queries)).astype(np.float32)
    return mean(all_, seen), mean(local, np.minimum(seen, window))


def main():
    if len(sys.argv) < 5 or sys.argv[1] not in ("attention", "judge"):
        sys.exit(__doc__)
    command, data, work, rest = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    sys.path.insert(0, data)
    from eval_kv import Judge
    from make_kv import Llama, fetch, log_softmax
    if command == "attention":
        with safe_open(rest[0], "np") as f:
            meta = f.metadata()
        d = load_file(rest[0])
        n = d["k"].shape[2]
        d.pop("k_pre", None)
        d["attention"], d["attention_local"] = attention(Llama(fetch(work)), d["tokens"][:n])
        save_file(d, rest[1], metadata=meta)
        return
    at = rest.index
    refs = rest[at("--ref") + 1:at("--dec")]
    end = at("--bytes") if "--bytes" in rest else len(rest)
    size = int(rest[end + 1]) if "--bytes" in rest else None
    j = Judge(fetch(work))
    for ref, dec in zip(refs, rest[at("--dec") + 1:end]):
        r, d = j.reference(ref), load_file(dec)
        k, v = d["k"], d["v"]
        if "positions" in d:
            assert d["positions"].shape == k.shape[:3] and d["positions"].max() < r["n"]
        q = log_softmax(j.m.step(r["cont"][:-1], k.astype(np.float32), v.astype(np.float32), r["n"])[0])
        kl = np.maximum((np.exp(r["lp"]) * (r["lp"] - q)).sum(-1), 0)
        nxt = r["cont"][1:]
        i = np.arange(len(nxt))
        line = dict(ref=ref, dec=dec, kept=k.shape[2], of=int(r["n"]), kl=float(kl.mean()),
                    ppl_ref=float(np.exp(-r["lp"][i, nxt].mean())), ppl=float(np.exp(-q[i, nxt].mean())),
                    top1=float((r["lp"].argmax(-1) == q.argmax(-1)).mean()))
        if size:
            line["bits_per_original_element"] = 8 * size / (r["k"].size + r["v"].size)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
