"""Encoders and decoders that audio.py measures: one class per codec. All take and give 16-bit or float WAV files.

A `Coded` says where the bytes are and how long it took. Peers run in ffmpeg, with libav's own wrappers of the well-known encoders.
"""
import os
import pathlib
import resource
import shlex
import subprocess
import time
from dataclasses import dataclass

QUIET = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", "-y"]


class Failed(Exception):
    pass


def one_core():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def timed(arguments):
    """Runs a command on one core: wall and processor seconds, start-up included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, preexec_fn=one_core)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, arguments))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fastest(runs, arguments):
    """Of several runs the one with the least processor time."""
    return min((timed(arguments) for _ in range(max(1, runs))), key=lambda t: t[1])


def payload(path):
    """Bytes of the coded packets alone, without the container's."""
    done = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "packet=size", "-of", "csv=p=0", str(path)],
                          capture_output=True, text=True)
    sizes = [int(line.split(",")[0]) for line in done.stdout.split() if line.split(",")[0].isdigit()]
    if done.returncode or not sizes:
        raise Failed(f"ffprobe {path}: {done.stderr}")
    return sum(sizes)


@dataclass
class Coded:
    path: pathlib.Path
    setting: str
    bytes: int
    payload: int
    wall: float
    cpu: float


class Peer:
    """One of libav's encoders, whose bit rate is searched for."""

    searched = True
    # Whether waveforms are not kept, so that delays show elsewhere.
    vocoder = False
    # Relative rates beside the one that was found, of which the best by SI-SDR counts: for encoders whose quality jumps.
    beside = ()
    def __init__(self, name, suffix, encoder, muxer=(), decoder=(), rates=(6, 320)):
        self.name, self.suffix, self.encoder, self.muxer = name, suffix, list(encoder), list(muxer)
        self.decoder, self.rates = list(decoder), rates

    # Kinds of rate control to search in, best first: arguments for a rate in bits a second.
    controls = [lambda rate: ["-b:a", str(round(rate))]]

    def encode(self, wav, folder, arguments, runs=1):
        out = folder / f"{self.name}{self.suffix}"
        wall, cpu = fastest(runs, [*QUIET, "-i", wav, "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact",
                                   *self.encoder, *arguments, *self.muxer, out])
        return Coded(out, " ".join([*self.encoder[1:], *arguments]), out.stat().st_size, self.payload_of(out), wall, cpu)

    def payload_of(self, path):
        return payload(path)

    def decode(self, coded, wav, runs=1):
        return fastest(runs, [*QUIET, *self.decoder, "-i", coded, "-c:a", "pcm_f32le", wav])


def lame_quality(rate):
    """LAME's -V for a made-up rate: 0 at 160 kbps, 9.999 at 8. The search only needs it to fall as the rate rises."""
    return min(9.999, max(0, 9.999 * (1 - (rate - 8000) / 152000)))


class MP3(Peer):
    # Average rates exist in whole kbps alone, variable ones by a quality without steps.
    controls = [lambda rate: ["-abr", "1", "-b:a", str(round(rate / 1000) * 1000)],
                lambda rate: ["-q:a", f"{lame_quality(rate):.4f}"]]


class ADTS(Peer):
    # At one size libav's encoder may be 10 dB worse than at another 1 % below.
    beside = (0.994, 0.997, 1.003, 1.006)

    def payload_of(self, path):
        """ADTS puts 7 bytes before each frame, which libav counts into packets."""
        data, at, frames = path.read_bytes(), 0, 0
        while at + 7 <= len(data):
            at += (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
            frames += 1
        return len(data) - 7 * frames


class Fixed(Peer):
    """A codec at one setting that is not searched for, such as Codec2 at 3200 bit/s."""

    searched = False

    @property
    def vocoder(self):
        return self.name.startswith("codec2")


PEERS = {
    "mp3": MP3("mp3", ".mp3", ["-c:a", "libmp3lame"], ["-id3v2_version", "0", "-write_xing", "0", "-f", "mp3"]),
    "aac": ADTS("aac", ".aac", ["-c:a", "aac"], ["-f", "adts"]),
    "opus": Peer("opus", ".opus", ["-c:a", "libopus", "-application", "audio"], ["-f", "ogg"], ["-c:a", "libopus"]),
    "opusvoip": Peer("opusvoip", ".opus", ["-c:a", "libopus", "-application", "voip"], ["-f", "ogg"], ["-c:a", "libopus"]),
}
for mode in ("1300", "3200"):
    PEERS[f"codec2-{mode}"] = Fixed(f"codec2-{mode}", ".c2", ["-ar", "8000", "-c:a", "libcodec2", "-mode", mode], ["-f", "codec2"])
# The lowest rate that libopus takes, for rates below it.
PEERS["opus-6"] = Fixed("opus-6", ".opus", ["-c:a", "libopus", "-application", "voip", "-b:a", "6000"], ["-f", "ogg"], ["-c:a", "libopus"])
for q in ("1", "2", "4"):
    PEERS[f"speex-{q}"] = Fixed(f"speex-{q}", ".spx", ["-ar", "16000", "-c:a", "libspeex", "-cbr_quality", q], ["-f", "ogg"])


class Ours:
    """Our codec through its command, or through any other: `encode` with {input}, {output} and {kbps} in it, `decode` with
    {input} and {output}."""

    searched = False

    def __init__(self, name, encode, decode):
        self.name, self.lines = name, (encode, decode)

    def command(self, which, **values):
        return [part.format(**values) for part in shlex.split(self.lines[which])]

    def encode(self, wav, folder, kbps, runs=1):
        out = folder / f"{self.name}.ncb"
        wall, cpu = fastest(runs, self.command(0, input=wav, output=out, kbps=f"{kbps:g}"))
        size = out.stat().st_size
        return Coded(out, f"{kbps:g} kbps", size, size, wall, cpu)

    def decode(self, coded, wav, runs=1):
        return fastest(runs, self.command(1, input=coded, output=wav))


def matching(peer, wav, folder, wanted, seconds, within=0.01):
    """Arguments with which the peer's file comes nearest to `wanted` bytes, and whether to interpolate: of one that is within 1 % (and
    of those beside it which are, too), False; or else of the largest smaller file and the smallest larger one, True; of one alone
    where the peer goes no lower or no higher."""
    sizes = peer.known() if hasattr(peer, "known") else {}
    near = [s for s in sizes if abs(sizes[s] - wanted) <= within / 2 * wanted]
    if near:
        return sorted(near, key=lambda s: abs(sizes[s] - wanted))[:1 + len(peer.beside)], False
    for arguments in peer.controls:
        low, high = (rate * 1000.0 for rate in peer.rates)
        rate = min(high, max(low, wanted * 8 / seconds))
        for step in range(16):
            setting = tuple(arguments(rate))
            if setting not in sizes:
                sizes[setting] = peer.encode(wav, folder, setting).bytes
            if abs(sizes[setting] - wanted) <= within / 4 * wanted or high - low < 20:
                break
            if sizes[setting] < wanted:
                low = rate
            else:
                high = rate
            # Sizes are nearly proportional to true rates, but a made-up one may need halving.
            proportional = rate * wanted / sizes[setting]
            rate = proportional if low < proportional < high and step < 8 else (low + high) / 2
        best = min(sizes, key=lambda s: abs(sizes[s] - wanted))
        if abs(sizes[best] - wanted) <= within * wanted:
            for factor in peer.beside:
                setting = tuple(arguments(rate * factor))
                if setting not in sizes:
                    sizes[setting] = peer.encode(wav, folder, setting).bytes
            near = sorted((s for s in sizes if abs(sizes[s] - wanted) <= within * wanted), key=lambda s: abs(sizes[s] - wanted))
            return near[:1 + len(peer.beside)], False
    below = sorted((s for s in sizes if sizes[s] <= wanted), key=sizes.get)[-1:]
    above = sorted((s for s in sizes if sizes[s] > wanted), key=sizes.get)[:1]
    return below + above, True
