"""Measures audio codecs beside each other. See audio.sh.

    audio.py run RELEASE_FOLDER FOLDER [options]
    audio.py compare ORIGINAL DECODED [--measures ...]
    audio.py report FILE.jsonl
"""
import argparse
import concurrent.futures
import datetime
import hashlib
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import soundfile

from audio_measures import Measures, aligned, cut, resampled
from audio_peers import PEERS, QUIET, Failed, Ours, matching

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Issue 6: against which peer ours is at least equal on each clip, by which measure.
TARGETS = [("mp3", "sisdr"), ("mp3", "visqol"), ("aac", "sisdr"), ("codec2-3200", "stoi"), ("codec2-3200", "pesq")]
GOALS = [("opus", "sisdr"), ("opus", "visqol"), ("opus-6", "stoi"), ("opus-6", "pesq")]
OURS = {"mdct": "--codec mdct", "mdct-mse": "--codec mdct --target mse", "tokens": "--codec tokens"}
TITLES = {"sisdr": "SI-SDR", "lsd": "LSD", "visqol": "ViSQOL", "visqolspeech": "ViSQOL-s", "stoi": "STOI", "pesq": "PESQ-WB"}
# What SI-SDR and ViSQOL may differ by and still count as equal: sizes agree within 1 %, which moves them by about as much.
EQUAL = {"sisdr": 0.05, "visqol": 0.005}


def version(command, pattern):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        return "missing"
    return (re.search(pattern, done.stdout + done.stderr) or ["unknown"])[0]


def read(path):
    samples, rate = soundfile.read(path, dtype="float64", always_2d=True)
    return samples.T, rate


class Cache:
    """Sizes and measures of peers' files in the user's cache, so that a second run takes only what ours needs."""

    def __init__(self, fresh, version):
        folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "neural-codecs"
        folder.mkdir(parents=True, exist_ok=True)
        self.path, self.version, self.known = folder / "audio-peers.jsonl", version, {}
        if self.path.exists() and not fresh:
            for line in self.path.read_text().splitlines():
                try:
                    key, value = json.loads(line)
                    self.known[key] = value
                except ValueError:
                    pass  # a line that was cut by an interruption

    def value(self, key, make):
        key = f"{self.version} {key}"
        if key not in self.known:
            self.known[key] = make()
            line = json.dumps([key, self.known[key]]) + "\n"
            with open(self.path, "a") as file:
                file.write(line)
        return self.known[key]


class Remembering:
    """A peer that does not encode what the cache knows the size of."""

    def __init__(self, peer, cache, digest):
        self.peer, self.cache, self.digest = peer, cache, digest
        self.controls, self.rates, self.beside = peer.controls, peer.rates, peer.beside

    class Size:
        def __init__(self, count):
            self.bytes = count

    def known(self):
        """Sizes by arguments, of earlier runs."""
        start = f"{self.cache.version} size {self.digest} {self.peer.name} "
        return {tuple(k[len(start):].split()): size for k, size in self.cache.known.items() if k.startswith(start)}

    def encode(self, wav, folder, arguments):
        key = f"size {self.digest} {self.peer.name} {' '.join(arguments)}"
        return self.Size(self.cache.value(key, lambda: self.peer.encode(wav, folder, arguments).bytes))


class Clip:
    def __init__(self, path, folder, options):
        self.name, self.speech = path.stem, path.name.startswith("speech")
        if options.speech is not None:
            self.speech = options.speech
        self.wav = folder / "original.wav"
        shorten = ["-t", str(options.seconds)] if options.seconds else []
        rate = ["-ar", str(options.rate)] if options.rate else []
        done = subprocess.run([*QUIET, "-i", str(path), *shorten, *rate, "-map", "0:a:0", "-map_metadata", "-1", "-bitexact",
                               "-c:a", "pcm_s16le", str(self.wav)], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{path}: {done.stderr}")
        self.samples, self.rate = read(self.wav)
        self.digest = hashlib.sha256(self.wav.read_bytes()).hexdigest()[:16]
        self.seconds = self.samples.shape[1] / self.rate

    def judged(self, coded, codec, folder, measures, runs):
        """A row's figures of one coded file."""
        wav = folder / "decoded.wav"
        wall, cpu = codec.decode(coded.path, wav, runs)
        decoded, rate = read(wav)
        if len(decoded) != len(self.samples):
            raise Failed(f"{codec.name} gave {len(decoded)} channels instead of {len(self.samples)}")
        frames = decoded.shape[1]
        if isinstance(codec, Ours):
            if (rate, frames) != (self.rate, self.samples.shape[1]):
                raise Failed(f"{codec.name} gave {frames} frames of {rate} Hz instead of {self.samples.shape[1]} of {self.rate}")
            lag = 0.0
        else:
            decoded = np.stack([resampled(channel, rate, self.rate) for channel in decoded])
            decoded, lag = self.timed(decoded, codec)
        return {"bytes": coded.bytes, "payload": coded.payload, "kbps": coded.bytes * 8 / self.seconds / 1000, "setting": coded.setting,
                "encodeWall": coded.wall, "encodeCPU": coded.cpu, "decodeWall": wall, "decodeCPU": cpu, "lag": lag,
                **measures(self.samples, decoded, self.rate, self.speech)}

    def timed(self, decoded, codec):
        """A peer's sound without its delay, and the delay in samples."""
        if codec.vocoder:
            # Waveforms do not correlate: the delay with the best STOI, in steps of 2.5 ms.
            judge = Measures(["stoi"])
            length, step = self.samples.shape[1], self.rate / 400
            lags = [round(step * k) for k in range(0, 33)]
            best = max(lags, key=lambda lag: judge(self.samples, [cut(c, lag, length) for c in decoded], self.rate, True)["stoi"])
            return np.stack([cut(c, best, length) for c in decoded]), float(best)
        # The first channel's delay is every channel's.
        first, lag = aligned(self.samples[0], decoded[0], int(0.2 * self.rate))
        if len(decoded) == 1:
            return first[None], lag
        return np.stack([aligned(a, b, int(0.2 * self.rate))[0] for a, b in zip(self.samples, decoded)]), lag


def interpolated(low, high, size):
    """A row between two of different sizes, linear in bytes."""
    t = (size - low["bytes"]) / (high["bytes"] - low["bytes"])
    row = {}
    for key, a in low.items():
        b = high[key]
        row[key] = f"{a} ... {b}" if key == "setting" else None if a is None or b is None else a + (b - a) * t
    return {**row, "interpolated": True}


def measured(path, options):
    """All rows of one clip."""
    measures = Measures(options.measures)
    cache = Cache(options.fresh, options.versions["ffmpeg"])
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        try:
            clip = Clip(path, folder, options)
        except Failed as error:
            return [{"clip": path.stem, "failed": str(error)}]

        def peer_point(peer, arguments, measures=measures, runs=options.runs):
            key = f"point {clip.digest} {peer.name} {' '.join(arguments)} {','.join(measures.names)} {clip.speech}"
            return dict(cache.value(key, lambda: clip.judged(peer.encode(clip.wav, folder, list(arguments), runs), peer, folder,
                                                             measures, runs)))

        def quick_point(peer, arguments):
            return peer_point(peer, arguments, Measures(["sisdr"]), 1)

        def add(codec, target, make):
            base = {"clip": clip.name, "kind": "speech" if clip.speech else "music", "codec": codec.name, "target": target,
                    "seconds": clip.seconds, "rate": clip.rate, "channels": len(clip.samples)}
            try:
                rows.append({**base, **make()})
            except Failed as error:
                rows.append({**base, "failed": str(error)})
            return rows[-1]

        for target in options.kbps:
            wanted = None
            for ours in options.ours:
                row = add(ours, target, lambda: clip.judged(ours.encode(clip.wav, folder, target, options.runs), ours, folder, measures,
                                                            options.runs))
                wanted = wanted or row.get("bytes")
            wanted = wanted or target * 1000 / 8 * clip.seconds
            for peer in (p for p in options.peers if p.searched):
                def make():
                    found, between = matching(Remembering(peer, cache, clip.digest), clip.wav, folder, wanted, clip.seconds)
                    if not between and len(found) > 1:
                        found = [max(found, key=lambda a: quick_point(peer, a)["sisdr"] or 0)]
                    points = sorted((peer_point(peer, a) for a in found), key=lambda p: p["bytes"])
                    point = points[0] if len(points) == 1 else interpolated(*points, wanted)
                    return {**point, "mismatch": abs(point["bytes"] / wanted - 1) > 0.01}
                add(peer, target, make)
        for peer in (p for p in options.peers if not p.searched):
            if clip.speech and len(clip.samples) == 1:
                add(peer, None, lambda: peer_point(peer, ()))
    return rows


def mean(values):
    values = [v for v in values if v is not None]
    return sum(values) / len(values) if values else None


def figure(value, digits):
    return "" if value is None else f"{value:.{digits}f}"


def table(rows):
    """Means over clips, as Markdown."""
    names = [n for n in Measures.ALL if any(n in r for r in rows)]
    digits = {"sisdr": 2, "lsd": 2, "visqol": 3, "visqolspeech": 3, "stoi": 3, "pesq": 2}
    done = [r for r in rows if "failed" not in r]
    print(f"| clips | at | codec | kbps | container | {' | '.join(TITLES[n] for n in names)} | encode | decode |")
    print("|---" * (len(names) + 7) + "|")
    codecs = list(dict.fromkeys(r["codec"] for r in done))
    for kind in ("speech", "music"):
        for target in sorted({r["target"] for r in done}, key=lambda t: (t is None, t)):
            for codec in codecs:
                some = [r for r in done if (r["kind"], r["target"], r["codec"]) == (kind, target, codec)]
                if not some:
                    continue
                note = "*" * any(r.get("interpolated") for r in some) + "!" * any(r.get("mismatch") for r in some)
                cells = [f"{len(some)} {kind}", "" if target is None else f"{target:g}", codec + note,
                         figure(mean(r["kbps"] for r in some), 2),
                         f"{100 * mean(1 - r['payload'] / r['bytes'] for r in some):.1f} %"]
                cells += [figure(mean(r.get(n) for r in some), digits[n]) for n in names]
                cells += [f"{sum(r['seconds'] for r in some) / max(1e-9, sum(r[k] for r in some)):.0f}x" for k in ("encodeCPU", "decodeCPU")]
                print(f"| {' | '.join(cells)} |")
    print()
    print("kbps: whole files. container: what of a peer's file is not coded packets (ours: not told apart). encode, decode: seconds of sound")
    print("a second of processor time, whole commands on one core. *: some clips interpolated between two settings (no setting came within")
    print("1 % of our bytes). !: more than 1 % off for want of a setting on one side. AAC: the best by SI-SDR of up to five settings within 1 %.")
    for r in rows:
        if "failed" in r:
            print(f"failed: {r['clip']} {r.get('codec', '')} {r.get('target', '')}: {r['failed'].strip().splitlines()[-1]}")


def verdicts(rows, ours, kinds=(("target", TARGETS), ("goal", GOALS))):
    """Clip by clip against the targets: how many are missed."""
    missed = 0
    at = {(r["clip"], r["target"], r["codec"]): r for r in rows if "failed" not in r}
    for kind, wanted in kinds:
        for peer, name in wanted:
            targets = sorted({t for _, t, c in at if c == ours and t is not None})
            if PEERS[peer].searched is False:
                # A codec of one rate: what tokens do at 3 kbps at most.
                targets = [t for t in targets if t <= 3][-1:]
            for target in targets:
                differences = []
                for (clip, t, codec), row in at.items():
                    other = at.get((clip, t if PEERS[peer].searched else None, peer))
                    if codec == ours and t == target and other and row.get(name) is not None and other.get(name) is not None:
                        differences.append((row[name] - other[name], clip))
                if not differences:
                    continue
                below = [d for d in differences if d[0] < -EQUAL.get(name, 0)]
                missed += len(below) if kind == "target" else 0
                worst = min(differences)
                print(f"{kind}: {ours} against {peer} at {target:g} kbps, {TITLES[name]}: mean {mean(d for d, _ in differences):+.3f}, "
                      f"below by more than {EQUAL.get(name, 0)} on {len(below)} of {len(differences)} clips, worst {worst[0]:+.3f} ({worst[1]})")
    return missed


def run(options):
    paths = sorted(p for p in pathlib.Path(options.folder).rglob("*") if p.suffix.lower() in
                   {".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a"} and re.search(options.only, p.name))
    if options.limit and len(paths) > options.limit:
        paths = [paths[k * len(paths) // options.limit] for k in range(options.limit)]
    if not paths:
        sys.exit(f"{options.folder}: no sound")
    nccodec = pathlib.Path(options.release) / "nccodec"
    encode = options.encode or f"{nccodec} encode --force --quiet {{target}} --kbps {{kbps}} {{input}} {{output}}"
    decode = options.decode or f"{nccodec} decode --force --quiet {{input}} {{output}}"
    options.ours, options.peers = [], []
    for name in options.codecs.split(","):
        if name in PEERS:
            options.peers.append(PEERS[name])
        elif name in OURS:
            options.ours.append(Ours(name, encode.replace("{target}", OURS[name]), decode))
        else:
            sys.exit(f"--codecs: {name} is none of {', '.join(OURS)}, {', '.join(PEERS)}")
    options.ours += [Ours(*line) for line in options.also]
    options.kbps = [float(v) for v in options.kbps.split(",")]
    options.measures = [m for m in options.measures.split(",") if m in Measures.ALL]
    options.versions = {"ffmpeg": version(["ffmpeg", "-version"], r"(?<=ffmpeg version )\S+")}
    commit = version(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], r"\S+")
    processor = (re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text()) or ["", "unknown"])[1]
    about = {"date": datetime.date.today().isoformat(), "commit": commit, "machine": f"{processor}, {os.cpu_count()} cores",
             "match": "whole files", **options.versions,
             "packages": subprocess.run([sys.executable, "-m", "pip", "freeze"], capture_output=True, text=True).stdout.split()}
    rows = []
    out = pathlib.Path(options.out) if options.out else None
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"about": about}) + "\n")
    options.also = []
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(measured, p, options) for p in paths]):
            found = future.result()
            rows += found
            print(f"{found[0]['clip']}: {len(found)} points", file=sys.stderr)
            if out:
                with open(out, "a") as file:
                    file.writelines(json.dumps(r) + "\n" for r in found)
    print(f"{about['date']}, {commit}, {about['machine']}, ffmpeg {about['ffmpeg']}\n")
    return conclude(rows, options.strict)


def conclude(rows, strict):
    rows.sort(key=lambda r: r["clip"])
    table(rows)
    print()
    missed = sum(verdicts(rows, name) for name in dict.fromkeys(r["codec"] for r in rows if "codec" in r) if name not in PEERS)
    return 1 if strict and (missed or any("failed" in r for r in rows)) else 0


def main():
    parser = argparse.ArgumentParser(prog="audio.sh")
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("run")
    one.add_argument("release")
    one.add_argument("folder")
    one.add_argument("--codecs", default="mdct,mp3,aac,opus")
    one.add_argument("--kbps", default="24,48,64")
    one.add_argument("--measures", default=",".join(Measures.ALL))
    one.add_argument("--only", default="", help="clips whose names match this regular expression")
    one.add_argument("--limit", type=int, help="so many clips, evenly spread")
    one.add_argument("--seconds", type=float, help="of each clip at most")
    one.add_argument("--rate", type=int, help="Hz to which clips are resampled first")
    one.add_argument("--speech", action="store_true", default=None, help="all clips are speech (else those named speech...)")
    one.add_argument("--runs", type=int, default=1, help="of each timed command, of which the fastest counts")
    one.add_argument("--jobs", type=int, default=os.cpu_count())
    one.add_argument("--fresh", action="store_true", help="measure peers anew")
    one.add_argument("--encode", help="our encoder: a command with {input}, {output}, {kbps}")
    one.add_argument("--decode", help="our decoder: a command with {input}, {output}")
    one.add_argument("--also", nargs=3, action="append", default=[], metavar=("NAME", "ENCODE", "DECODE"))
    one.add_argument("--out", help="a file for the rows, JSON lines")
    one.add_argument("--strict", action="store_true", help="exit with 1 where a target is missed")
    two = parts.add_parser("compare")
    two.add_argument("original")
    two.add_argument("decoded")
    two.add_argument("--measures", default=",".join(Measures.ALL))
    four = parts.add_parser("program")
    four.add_argument("name", choices=["pesq", "stoi"])
    four.add_argument("original")
    four.add_argument("decoded")
    three = parts.add_parser("report")
    three.add_argument("file")
    options = parser.parse_args()
    if options.part == "run":
        sys.exit(run(options))
    if options.part == "report":
        lines = [json.loads(line) for line in open(options.file)]
        sys.exit(conclude([r for r in lines if "clip" in r], False))
    if options.part == "program":
        options.measures = options.name
    (a, rate), (b, other) = read(options.original), read(options.decoded)
    if (rate, a.shape) != (other, b.shape):
        sys.exit(f"{a.shape} at {rate} Hz and {b.shape} at {other} Hz are not alike")
    values = Measures([m for m in options.measures.split(",") if m in Measures.ALL])(a, b, rate, True)
    if options.part == "program":
        mark = "P.862.2 Prediction (MOS-LQO):  = " if options.name == "pesq" else ""
        print(f"{mark}{values[options.name]}")
        return
    print(json.dumps({k: v if v is None or math.isfinite(v) else str(v) for k, v in values.items()}))


if __name__ == "__main__":
    main()
