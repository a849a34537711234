#!/usr/bin/env python3
"""Restoring a context's KV cache from .ncb beside prefilling it, with llama-cpp-python.

    kv_restore.py --model model.gguf --text text.txt --nccodec .build/release/nccodec [options] [SETTING ...]

A SETTING is a string of options for `nccodec encode`, such as "--quality 29" (default: "--lossless", "--quality 100",
"--quality 29"). For each, the sequence's state (llama_state_seq_save_file) is encoded, decoded to a state and
loaded (llama_state_seq_load_file), and the model goes on with the text's own next tokens, whose distributions are compared
with those after its own f16 cache: KL in nats, mean over the tokens, and the share of tokens where both find the same one
likeliest. The KL does not fall below some thousandths unless the cache comes back bit by bit, where eval_kv.py, in floats, sees
much less: llama.cpp rounds activations to 8 bits, and any change of a cache is likely to move some by a whole level. Prefilling, encoding, decoding and loading are timed from outside, each the least of --runs; CPU seconds, of all
threads, are there for machines that are busy with other things. Prints a table in Markdown.

What is loaded has no logits: one token has to be evaluated before the first new one, which takes the time given below the
table. Prefilling has them.
"""
import argparse
import ctypes
import datetime
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import llama_cpp as llama
import numpy as np

QUIET = llama.llama_log_callback(lambda level, text, data: None)


class Model:
    """One context with one sequence, which `clear` empties. `model`: its file, or another's `model`; `kind`: what
    its cache holds, as ggml numbers it."""

    def __init__(self, model, tokens, threads, kind=llama.GGML_TYPE_F16, batch=512):
        llama.llama_backend_init()
        llama.llama_log_set(QUIET, None)
        if isinstance(model, Path):
            model, path = llama.llama_model_load_from_file(str(model).encode(), llama.llama_model_default_params()), model
            if not model:
                raise SystemExit(f"{path}: is no model that llama.cpp reads")
        self.model = model
        p = llama.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_threads, p.n_threads_batch = tokens, batch, threads, threads
        p.type_k = p.type_v = kind
        self.context = llama.llama_init_from_model(self.model, p)
        if not self.context:
            raise SystemExit(f"llama.cpp makes no context of {tokens} tokens")
        self.vocabulary = llama.llama_model_get_vocab(self.model)
        self.words = llama.llama_vocab_n_tokens(self.vocabulary)
        self.batch = llama.llama_batch_init(batch, 0, 1)
        self.batch_tokens = batch

    def tokens(self, text):
        data = text.encode()
        out = (llama.llama_token * (len(data) + 8))()
        count = llama.llama_tokenize(self.vocabulary, data, len(data), out, len(out), True, False)
        return list(out[:count])

    def elements(self, tokens):
        """Keys and values of so many tokens."""
        m = self.model
        width = llama.llama_model_n_head_kv(m) * (llama.llama_model_n_embd(m) // llama.llama_model_n_head(m))
        return 2 * llama.llama_model_n_layer(m) * width * tokens

    def clear(self):
        llama.llama_memory_clear(llama.llama_get_memory(self.context), True)

    def evaluate(self, tokens, first, wants_all=False):
        """Logits of the last token, or of all."""
        rows = []
        for start in range(0, len(tokens), self.batch_tokens):
            part = tokens[start : start + self.batch_tokens]
            self.batch.n_tokens = len(part)
            for i, token in enumerate(part):
                self.batch.token[i], self.batch.pos[i] = token, first + start + i
                self.batch.n_seq_id[i], self.batch.seq_id[i][0] = 1, 0
                self.batch.logits[i] = wants_all or start + i == len(tokens) - 1
            if llama.llama_decode(self.context, self.batch) != 0:
                raise SystemExit("llama.cpp does not evaluate the tokens")
            for i in range(len(part)):
                if self.batch.logits[i]:
                    row = llama.llama_get_logits_ith(self.context, i)
                    rows.append(np.ctypeslib.as_array(row, (self.words,)).copy())
        return np.stack(rows)

    def save(self, path, tokens):
        array = (llama.llama_token * len(tokens))(*tokens)
        if not llama.llama_state_seq_save_file(self.context, str(path).encode(), 0, array, len(tokens)):
            raise SystemExit(f"{path}: llama.cpp saves no state")

    def load(self, path, tokens):
        """Throws unless the state is of these tokens."""
        array, count = (llama.llama_token * len(tokens))(), ctypes.c_size_t(0)
        if not llama.llama_state_seq_load_file(self.context, str(path).encode(), 0, array, len(array), ctypes.byref(count)):
            raise SystemExit(f"{path}: llama.cpp loads no such state")
        if list(array[: count.value]) != tokens:
            raise SystemExit(f"{path}: the state is of other tokens")


def logarithms(logits):
    x = logits.astype(np.float64)
    x -= x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


class Seconds:
    """Wall and CPU time, this process's and its children's."""

    def __init__(self, wall, cpu):
        self.wall, self.cpu = wall, cpu

    def __add__(self, other):
        return Seconds(self.wall + other.wall, self.cpu + other.cpu)


def least(runs, body, before=lambda: None):
    """The least of some runs' times."""
    best = Seconds(float("inf"), float("inf"))
    for _ in range(runs):
        before()
        start, cpu = time.perf_counter(), sum(os.times()[:4])
        body()
        best = Seconds(min(best.wall, time.perf_counter() - start), min(best.cpu, sum(os.times()[:4]) - cpu))
    return best


def processor():
    try:
        return next(l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--text", required=True, type=Path)
    parser.add_argument("--nccodec", required=True, type=Path)
    parser.add_argument("--tokens", type=int, default=2048, help="of the context")
    parser.add_argument("--next", type=int, default=256, help="tokens behind it that are judged")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peers", default="q8_0,q4_0", help="llama.cpp's own quantised caches to show besides; may be empty")
    parser.add_argument("settings", nargs="*", default=[], help="options of nccodec encode, each setting one string")
    # Settings begin with dashes as options do, so they are told apart by hand.
    known, settings, words = [], [], sys.argv[1:]
    while words:
        word = words.pop(0)
        if word.split("=")[0] in parser._option_string_actions:
            known.append(word)
            if "=" not in word and word not in ("-h", "--help") and words:
                known.append(words.pop(0))
        else:
            settings.append(word)
    a = parser.parse_args(known)
    settings = settings or ["--lossless", "--quality 100", "--quality 29"]

    model = Model(a.model, a.tokens + a.next + 8, a.threads)
    tokens = model.tokens(a.text.read_text(encoding="utf-8", errors="replace"))
    if len(tokens) < a.tokens + a.next:
        raise SystemExit(f"{a.text}: has {len(tokens)} tokens, and {a.tokens + a.next} are needed")
    context, following = tokens[: a.tokens], tokens[a.tokens : a.tokens + a.next]
    elements = model.elements(a.tokens)

    commit = subprocess.run(["git", "-C", Path(__file__).parent, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    print(
        f"{processor()}, {a.threads} threads, load {os.getloadavg()[0]:.1f}; {datetime.date.today()}; "
        f"{a.model.name}, {a.tokens} tokens of {a.text.name}, KL over the next {a.next}; "
        f"llama-cpp-python {llama.__version__}, nccodec {commit.stdout.strip()}; least of {a.runs} runs.\n")
    head = ["", "bytes", "bits/element", "encode s", "decode s", "load s", "restored s", "CPU s", "at 1 Gbit/s", "at 100 Mbit/s", "KL", "top-1"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))

    def row(name, size, encode, decode, load, logs):
        """`encode`, `decode`: seconds, None where there is nothing to do."""
        restored = decode + load if decode else load
        kl = np.maximum((np.exp(exact) * (exact - logs)).sum(-1), 0).mean()
        cells = [name, f"{size:,}", f"{8 * size / elements:.3f}"] + [f"{x.wall:.2f}" if x else "" for x in (encode, decode, load)]
        cells += [f"{restored.wall:.2f}", f"{restored.cpu:.2f}"] + [f"{restored.wall + 8 * size / rate:.2f}" for rate in (1e9, 1e8)]
        cells += [f"{kl:.2g}", f"{(exact.argmax(-1) == logs.argmax(-1)).mean():.3f}"]
        print("| " + " | ".join(cells) + " |", flush=True)

    with tempfile.TemporaryDirectory() as work:
        state, coded, back = (Path(work) / name for name in ("state.bin", "state.ncb", "back.bin"))
        prefill = least(a.runs, lambda: model.evaluate(context, 0), before=model.clear)
        model.save(state, context)
        exact = logarithms(model.evaluate(following, a.tokens, wants_all=True))
        seconds = f"{prefill.wall:.2f}"
        print(f"| prefill | | | | | | {seconds} | {prefill.cpu:.2f} | {seconds} | {seconds} | 0 | 1 |", flush=True)

        def loaded(path):
            seconds = least(a.runs, lambda: model.load(path, context), before=model.clear)
            return seconds, logarithms(model.evaluate(following, a.tokens, wants_all=True))

        load, logs = loaded(state)
        row("the state as it is", state.stat().st_size, None, None, load, logs)
        model.clear()
        model.load(state, context)
        one = least(1, lambda: model.evaluate(following[:1], a.tokens))
        for setting in settings:
            common = ["--quiet", "--force", "--threads", str(a.threads)]
            options = shlex.split(setting)
            profile = options[options.index("--profile"):][:2] if "--profile" in options else []
            encode = [a.nccodec, "encode", *common, *options, state, coded]
            decode = [a.nccodec, "decode", *common, *profile, "--format", "llama", coded, back]
            encoding = least(a.runs, lambda: subprocess.run(encode, check=True))
            decoding = least(a.runs, lambda: subprocess.run(decode, check=True))
            load, logs = loaded(back)
            row(f"`{setting}`", coded.stat().st_size, encoding, decoding, load, logs)
        for kind in filter(None, a.peers.split(",")):
            peer = Model(model.model, a.tokens + a.next + 8, a.threads, getattr(llama, f"GGML_TYPE_{kind.upper()}"))
            peer.evaluate(context, 0)
            peer.save(back, context)
            load = least(a.runs, lambda: peer.load(back, context), before=peer.clear)
            logs = logarithms(peer.evaluate(following, a.tokens, wants_all=True))
            row(f"llama.cpp's {kind} cache", back.stat().st_size, None, None, load, logs)
            llama.llama_free(peer.context)
    print(f"\nOne token takes {one.wall:.3f} s. Transfer is 8 ms per 10^6 bytes at 1 Gbit/s, 80 ms at 100 Mbit/s.")


if __name__ == "__main__":
    main()
