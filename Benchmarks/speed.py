"""Times whole commands of nccodec beside CompressAI's mbt2018-mean. See speed.sh.

    speed.py run RELEASE_FOLDER KODAK_FOLDER [options]
    speed.py peer PICTURE STREAM   answers a line "encode" or "decode" with one call's wall and CPU seconds
    speed.py peer-decode STREAM OUT  the peer's whole command: a pickled stream to a PNG
    speed.py mosaic FOLDER OUT     a 4000x3000 PNG of the folder's pictures side by side

The first form imports nothing large: Linux counts the memory of the process that starts a command as the command's.
"""
import argparse
import datetime
import json
import os
import pathlib
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time

# Of whole commands on two cores (issue 2): milliseconds, MB, and how many times faster than the peer.
TARGETS = {"decode": 100, "encode": 200, "memory": 200, "large memory": 1500, "ratio": 10}


def peer_model():
    """mbt2018-mean of qualities 1 to 4 (N=128, M=192) with random weights, always the same, on every core."""
    import warnings

    warnings.filterwarnings("ignore")
    import torch
    from compressai.models import MeanScaleHyperprior

    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(1)
    model = MeanScaleHyperprior(128, 192).eval()
    model.update()
    return model


def peer_decode(stream, out):
    import numpy
    model = peer_model()
    import torch
    from PIL import Image

    with torch.inference_mode():
        x = model.decompress(**pickle.loads(pathlib.Path(stream).read_bytes()))["x_hat"]
    picture = (x[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    Image.fromarray(numpy.ascontiguousarray(picture)).save(out, compress_level=1)


def peer(path, out):
    model = peer_model()
    import compressai
    import numpy
    import torch
    from PIL import Image

    picture = numpy.asarray(Image.open(path).convert("RGB"))
    x = torch.from_numpy(picture.astype(numpy.float32) / 255).permute(2, 0, 1)[None]
    with torch.inference_mode():
        stream = model.compress(x)
        model.decompress(**stream)
        pathlib.Path(out).write_bytes(pickle.dumps(stream))
        print(json.dumps({"torch": torch.__version__, "compressai": compressai.__version__, "bytes":
                          sum(len(s[0]) for s in stream["strings"])}), flush=True)
        for line in sys.stdin:
            start, cpu = time.perf_counter(), time.process_time()
            if line.strip() == "encode":
                model.compress(x)
            else:
                model.decompress(**stream)
            print(time.perf_counter() - start, time.process_time() - cpu, flush=True)


def mosaic(folder, out):
    import numpy
    from PIL import Image

    files = sorted(pathlib.Path(folder).glob("*.png"))
    canvas = numpy.empty((3000, 4000, 3), numpy.uint8)
    number = 0
    for y in range(0, 3000, 512):
        for x in range(0, 4000, 768):
            tile = numpy.asarray(Image.open(files[number % len(files)]).convert("RGB"))
            if tile.shape[0] > tile.shape[1]:
                tile = tile.transpose(1, 0, 2)
            part = canvas[y:y + 512, x:x + 768]
            part[:] = numpy.resize(tile, (512, 768, 3))[:part.shape[0], :part.shape[1]]
            number += 1
    Image.fromarray(canvas).save(out, compress_level=1)


class Command:
    """A command and the wall milliseconds, CPU milliseconds and peak MB of each of its runs."""

    def __init__(self, name, arguments):
        self.name, self.arguments, self.runs = name, [str(a) for a in arguments], []

    def run(self, counted=True):
        with tempfile.TemporaryFile() as output:
            start = time.perf_counter()
            process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                sys.exit(f"{' '.join(self.arguments)}: status {process.returncode}\n{output.read().decode()}")
        if counted:
            self.runs.append((wall * 1e3, (usage.ru_utime + usage.ru_stime) * 1e3, usage.ru_maxrss * 1024 / 1e6))

    def summary(self):
        wall, cpu, memory = zip(*self.runs)
        return {"median_ms": statistics.median(wall), "least_ms": min(wall), "most_ms": max(wall),
                "cpu_ms": statistics.median(cpu), "peak_mb": max(memory), "runs": len(wall)}


class Peer:
    def __init__(self, picture, stream):
        self.process = subprocess.Popen([sys.executable, __file__, "peer", picture, stream], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.about = json.loads(self.process.stdout.readline() or "null")
        if self.about is None:
            raise RuntimeError("CompressAI did not start")
        self.seconds = {"encode": [], "decode": []}

    def run(self, task):
        self.process.stdin.write(task + "\n")
        self.seconds[task].append([float(word) for word in self.process.stdout.readline().split()])

    def finish(self):
        self.process.stdin.close()
        _, _, usage = os.wait4(self.process.pid, 0)
        self.about["peak_mb"] = usage.ru_maxrss * 1024 / 1e6
        for task, seconds in self.seconds.items():
            for name, values in zip(("ms", "cpu_ms"), zip(*seconds)):
                self.about[f"{task}_{name}"] = statistics.median(values) * 1e3
        return self.about


def commands(release, folder, picture, quality):
    """Ours, for one picture: encode, then decode of its output."""
    program = release / "nccodec"
    source, coded, back = picture, folder / f"{picture.stem}.ncb", folder / f"{picture.stem}.out.png"
    return [
        Command("encode", [program, "encode", source, coded, "--quality", quality, "--force", "--quiet"]),
        Command("decode", [program, "decode", coded, back, "--force", "--quiet"]),
    ]


def stages(release, picture, coded, quality, runs):
    """The codec's stages inside one process, on one thread and on two."""
    tables = []
    for source in (picture, coded):
        for threads in (1, 2):
            answer = subprocess.run(
                [release / "codecbench", "time", source, "--quality", str(quality), "--threads", str(threads), "--runs",
                 str(runs), "--json"], check=True, capture_output=True)
            tables.append(json.loads(answer.stdout))
    return tables


def show(report):
    def line(name, s):
        print(f"{name:32} {s['median_ms']:8.1f} ms ({s['least_ms']:.1f} to {s['most_ms']:.1f}), "
              f"CPU {s['cpu_ms']:.0f} ms, peak {s['peak_mb']:.0f} MB, {s['runs']} runs")

    print(f"{report['date']}; {report['machine']}; quality {report['quality']}")
    print("\nWhole commands, start-up and PNG included: median (least to most)")
    for task in ("encode", "decode"):
        line(f"nccodec {task} {report['picture']}", report["kodak"][task])
    for task, s in report.get("large", {}).items():
        line(f"nccodec {task} 4000x3000", s)
    if "peer" in report:
        p = report["peer"]
        print(f"\nCompressAI {p['compressai']} (torch {p['torch']}) mbt2018-mean, N=128, M=192, random weights, warm, "
              "only the call, no start-up and no PNG:")
        print(f"  compress {p['encode_ms']:.0f} ms (CPU {p['encode_cpu_ms']:.0f}), decompress {p['decode_ms']:.0f} ms "
              f"(CPU {p['decode_cpu_ms']:.0f}), peak {p['peak_mb']:.0f} MB")
        line("its whole decode command", p["whole"])
    print("\nStages in one process, ms: first run, then median of the others")
    for table in report["stages"]:
        print(f"  {table['task']}, {table['threads']} threads, peak {table['peakMiB']:.0f} MiB")
        for s in table["stages"] + [table["total"]]:
            print(f"    {s['stage']:24} {s['first']:8.2f} {s['median']:8.2f}")
    print("\nTargets")
    for name, value, limit, met in report["targets"]:
        verdict = "" if limit == "no target" else "met" if met else "MISSED"
        print(f"  {name:58} {value:8.1f} ({limit})  {verdict}")


def processor():
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.machine()


def run(options):
    release, folder = options.release.resolve(), options.folder.resolve()
    picture = folder / f"{options.picture}.png"
    report = {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
              "machine": f"{processor()}, {os.cpu_count()} cores", "quality": options.quality, "picture": picture.name}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        ours = commands(release, scratch, picture, options.quality)
        for command in ours:
            command.run(counted=False)
        # In turn, so that both meet the same noise.
        neighbour = None if options.no_peer else Peer(str(picture), scratch / "peer.pickle")
        for _ in range(options.runs):
            for command in ours:
                command.run()
                if neighbour:
                    neighbour.run(command.name)
        report["kodak"] = {c.name: c.summary() for c in ours}
        if neighbour:
            report["peer"] = neighbour.finish()
            whole = Command("peer decode", [
                sys.executable, __file__, "peer-decode", scratch / "peer.pickle", scratch / "peer.png"])
            for _ in range(2):
                whole.run()
            report["peer"]["whole"] = whole.summary()
        if not options.no_large:
            large = scratch / "large.png"
            subprocess.run([sys.executable, __file__, "mosaic", folder, large], check=True)
            big = commands(release, scratch, large, options.quality)
            for _ in range(2):
                for command in big:
                    command.run()
            report["large"] = {c.name: c.summary() for c in big}
        report["stages"] = stages(release, picture, scratch / f"{picture.stem}.ncb", options.quality, options.runs)

    kodak = report["kodak"]
    report["targets"] = targets = []
    for task in ("decode", "encode"):
        value = kodak[task]["median_ms"]
        targets.append((f"{task} of a Kodak picture, whole command, ms", value, f"at most {TARGETS[task]}",
                        value <= TARGETS[task]))
    binding = []
    value = max(s["peak_mb"] for s in kodak.values())
    binding.append(("peak memory, Kodak picture, MB", value, f"below {TARGETS['memory']}", value < TARGETS["memory"]))
    if "large" in report:
        value = max(s["peak_mb"] for s in report["large"].values())
        binding.append(("peak memory, 4000x3000, MB", value, f"at most {TARGETS['large memory']}",
                        value <= TARGETS["large memory"]))
    if "peer" in report:
        peer_ms, whole_ms = report["peer"]["decode_ms"], report["peer"]["whole"]["median_ms"]
        # The decoding call inside a warm process: all but what reads and writes files.
        warm = next(t for t in report["stages"] if t["task"] == "decode" and t["threads"] == 2)
        call_ms = warm["total"]["median"] - sum(s["median"] for s in warm["stages"] if s["stage"] == "write PNG")
        for name, value in [("warm decoding call, peer / ours", peer_ms / call_ms),
                            ("whole decode command, peer / ours", whole_ms / kodak["decode"]["median_ms"])]:
            binding.append((name, value, f"at least {TARGETS['ratio']}", value >= TARGETS["ratio"]))
        value = peer_ms / kodak["decode"]["median_ms"]
        targets.append(("peer's warm call / our whole command with start-up and PNG", value, "no target", True))
    targets += binding
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    sys.exit(1 if options.strict and not all(t[3] for t in binding) else 0)


def main():
    if sys.argv[1:2] == ["peer"]:
        return peer(sys.argv[2], sys.argv[3])
    if sys.argv[1:2] == ["peer-decode"]:
        return peer_decode(sys.argv[2], sys.argv[3])
    if sys.argv[1:2] == ["mosaic"]:
        return mosaic(sys.argv[2], sys.argv[3])
    parser = argparse.ArgumentParser()
    parser.add_argument("task", choices=["run"])
    parser.add_argument("release", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--picture", default="kodim05")
    parser.add_argument("--quality", type=int, default=50)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--no-large", action="store_true")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
