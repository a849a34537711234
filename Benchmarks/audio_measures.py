"""What audio.py measures between an original and a decoded sound: arrays [frame] of one channel at one rate, full scale 1."""
import math

import numpy as np
from scipy.signal import resample_poly


def si_sdr(reference, estimate):
    """Scale-invariant signal-to-distortion ratio, dB, over all channels together, each channel's mean removed (Le Roux et al.,
    "SDR - half-baked or well done?", section 2); None where the reference is silent. [frame] or [channel][frame]."""
    s, e = (x - x.mean(axis=-1, keepdims=True) for x in (reference, estimate))
    energy = np.vdot(s, s)
    if energy == 0:
        return None
    target = np.vdot(s, e) / energy * s
    signal, noise = np.vdot(target, target), np.vdot(e - target, e - target)
    return math.inf if noise == 0 else 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def log_spectral_distance(reference, estimate, window=2048, hop=512):
    """Root mean square over bins of the difference of log power spectra, dB, mean over windows. A sine of full scale has 0 dB;
    power below -100 dB counts as -100 dB. The ends are filled up with zeros, half a window before the first sample."""
    w = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    count = len(reference) // hop + 1

    def spectra(x):
        padded = np.concatenate([np.zeros(window // 2), x, np.zeros(window)])
        frames = np.stack([padded[k * hop:k * hop + window] for k in range(count)])
        return 10 * np.log10(np.maximum(np.abs(np.fft.rfft(frames * w, axis=1) / (w.sum() / 2)) ** 2, 1e-10))
    return float(np.mean(np.sqrt(np.mean((spectra(reference) - spectra(estimate)) ** 2, axis=1))))


def resampled(x, rate, wanted):
    if rate == wanted:
        return x
    g = math.gcd(rate, wanted)
    up, down = wanted // g, rate // g
    return resample_poly(x, up, down, window=lowpass(max(up, down)))


def lowpass(most):
    """Windowed sinc, 32 zero crossings each side, cut off at 0.96 of the lower Nyquist frequency: scipy's own begins to fall at half."""
    n = np.arange(-32 * most, 32 * most + 1)
    taps = np.sinc(n / most * 0.96) * np.kaiser(len(n), 9.0)
    return taps / taps.sum()


def shifted(x, delay):
    """x, `delay` samples (a fraction) earlier."""
    spectrum = np.fft.rfft(x, 2 * len(x))
    return np.fft.irfft(spectrum * np.exp(2j * np.pi * np.arange(len(spectrum)) / (2 * len(x)) * delay), 2 * len(x))[:len(x)]


def aligned(reference, estimate, most):
    """The estimate without its delay, of the reference's length, and the delay in samples: the whole number of at most `most` each
    way with the greatest correlation, then the 16th of a sample with the best SI-SDR. Peers get this; we do not."""
    length = len(reference)
    size = 1 << (length + len(estimate)).bit_length()
    correlation = np.fft.irfft(np.fft.rfft(estimate, size) * np.conj(np.fft.rfft(reference, size)), size)
    lags = np.concatenate([np.arange(0, most + 1), np.arange(-most, 0)])
    lag = int(lags[np.argmax(correlation[lags])])
    whole = cut(estimate, lag, length)
    best = (si_sdr(reference, whole) or 0, whole, float(lag))
    for sixteenth in (-8, -4, 4, 8, -2, 2, -1, 1):
        fine = best[2] - lag + sixteenth / 16
        candidate = shifted(whole, fine)
        score = si_sdr(reference, candidate) or 0
        if score > best[0]:
            best = (score, candidate, lag + fine)
    return best[1], best[2]


def cut(x, start, length):
    """`length` samples from `start` on, zeros where x has none."""
    out = np.zeros(length)
    first, last = max(0, start), min(len(x), start + length)
    if last > first:
        out[first - start:last - start] = x[first:last]
    return out


class ViSQOL:
    def __init__(self, mode):
        from visqol.api import VisqolApi
        self.rate = {"audio": 48000, "speech": 16000}[mode]
        self.api = VisqolApi()
        self.api.create(mode=mode)

    def __call__(self, reference, estimate, rate):
        a, b = (resampled(x, rate, self.rate) for x in (reference, estimate))
        return float(self.api.measure_from_arrays(a, b, self.rate).moslqo)


class Measures:
    """All that were asked for, of names in `ALL`; `speech` ones are None of music."""

    ALL = ["sisdr", "lsd", "visqol", "visqolspeech", "stoi", "pesq"]
    SPEECH = {"visqolspeech", "stoi", "pesq"}

    def __init__(self, names):
        self.names = names
        self.visqol = {name: ViSQOL("speech" if "speech" in name else "audio") for name in names if name.startswith("visqol")}

    def one(self, name, reference, estimate, rate):
        if name == "lsd":
            return log_spectral_distance(reference, estimate)
        if name in self.visqol:
            return self.visqol[name](reference, estimate, rate)
        a, b = (resampled(x, rate, 16000) for x in (reference, estimate))
        if name == "stoi":
            from pystoi import stoi
            return float(stoi(a, b, 16000))
        from pesq import NoUtterancesError, pesq
        try:
            return float(pesq(16000, a.astype(np.float32), b.astype(np.float32), "wb"))
        except NoUtterancesError:
            return None

    def __call__(self, reference, estimate, rate, speech):
        """[channel][frame] each; the mean over channels (SI-SDR: over all together)."""
        result = {}
        for name in self.names:
            if name in self.SPEECH and not speech:
                continue
            if name == "sisdr":
                result[name] = si_sdr(np.asarray(reference), np.asarray(estimate))
                continue
            values = [self.one(name, a, b, rate) for a, b in zip(reference, estimate)]
            values = [v for v in values if v is not None]
            result[name] = sum(values) / len(values) if values else None
        return result
