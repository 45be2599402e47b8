"""How fast negatives are scanned for what the network takes for the keyword, and in how much memory.

Speed from cached features and from audio files, long and short; memory over hours of one made-up recording that plays
as it is scanned, once an hour, as a curve (`mining-memory.csv` and `.png`). The network is the default one, untrained:
its speed does not depend on its weights. Memory is the resident set of this process. Linux only.
"""

import csv
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psutil
import soundfile
import torch

from bench.extraction import CODECS
from bench.material import default_network
from bench.measure import Figure, seconds_of, speech_like
from uyan.audio import SAMPLE_RATE, Samples
from uyan.data.cache import FeatureCache
from uyan.data.pool import Scan
from uyan.frontend import Cmvn, FrontendConfig, log_mel
from uyan.model.network import Network
from uyan.training import scan_tasks
from uyan.training.config import MiningConfig
from uyan.training.dense import ScanSource
from uyan.training.mining import scan, scan_audio
from uyan.training.scan_tasks import AudioSource

CACHED_REAL_TIMES, AUDIO_REAL_TIMES = 5_000.0, 1_500.0
SPEECH_S, CLIP_S = 60.0, 1.0
LONG = "f" * 40
"""Its name in the cache."""
MEMORY_POINTS, POINT_MINUTES = 24, 60
GROWTH_MIB = 16.0
"""Of the resident set after the first hour: no more than a block or two of audio."""
MIB = 1024**2


def mining_speed(seconds: float = 600.0, repeats: int = 5) -> list[Figure]:
    """Real times a core of a scan of `seconds` of long recordings, of clips of 1 s, and of audio files."""
    speech = speech_like(min(seconds, SPEECH_S), np.random.default_rng(42))
    network, copies = network_for(speech), max(1, round(seconds / SPEECH_S))
    figures = []
    with tempfile.TemporaryDirectory(prefix="uyan-bench-") as folder:
        cache = FeatureCache(Path(folder) / "features", FrontendConfig(), 0.0)
        cache.put(LONG, np.tile(log_mel(speech, FrontendConfig()), (1, copies)))
        clips = [f"{n:040x}" for n in range(round(seconds / CLIP_S))]
        for number, key in enumerate(clips):
            start = number * 977 % (speech.size - SAMPLE_RATE)
            cache.put(key, log_mel(speech[start : start + round(CLIP_S * SAMPLE_RATE)], FrontendConfig()))
        for name, keys, target in (("one recording", [LONG], CACHED_REAL_TIMES), ("clips of 1 s", clips, None)):
            sources = [ScanSource(key, key) for key in keys]
            note = "" if target else "each heard in 1.5 s, half a window of its own quiet around it"

            def cached(sources: list[ScanSource] = sources) -> Scan:
                return scan(network, cache, sources, MiningConfig())

            figures.append(_speed(f"mining, cached features, {name}", cached, repeats, target, note))
        for name in CODECS:
            file = Path(folder) / f"long{CODECS[name].suffix}"
            soundfile.write(
                file, np.tile(speech, copies), SAMPLE_RATE, CODECS[name].subtype, format=CODECS[name].container
            )

            def heard(file: Path = file) -> Scan:
                return scan_audio(network, FrontendConfig(), [AudioSource(file, file.name, seconds)], MiningConfig())

            target = AUDIO_REAL_TIMES if name != "Opus" else None
            note = "" if target else "its decoder takes most of it"
            figures.append(_speed(f"mining, {name} file", heard, repeats, target, note))
    return figures


def _speed(name: str, way: Callable[[], Scan], repeats: int, target: float | None, note: str) -> Figure:
    scanned_s = way().scanned_s
    speed = scanned_s / statistics.median(seconds_of(way) for _ in range(repeats))
    return Figure(name, speed, "× real time", target, note=f"{scanned_s:.0f} s{'; ' if note else ''}{note}")


def mining_memory(
    points: int = MEMORY_POINTS, point_minutes: int = POINT_MINUTES, out: Path | None = None
) -> list[Figure]:
    """Growth of the resident set after the first of `points` of one recording; the curve is saved below `out`.

    The recording is made up block by block where a file's blocks would be decoded, and goes all the way through front
    end, network and search.
    """
    speech, resident_mib = speech_like(SPEECH_S, np.random.default_rng(42)), [memory_mib()]

    def play(file: Path) -> Iterator[Samples]:
        for minute in range(point_minutes * points):
            yield np.roll(speech, 16 * minute)
            if (minute + 1) % point_minutes == 0:
                resident_mib.append(memory_mib())

    made_up = AudioSource(Path("made up"), "made up", 60.0 * point_minutes * points)
    with patch.object(scan_tasks, "stream", play):
        found = scan_audio(network_for(speech), FrontendConfig(), [made_up], MiningConfig(), workers=1)
    if out is not None:
        _save_curve(resident_mib, point_minutes / 60, out)
    growth_mib = max(resident_mib[1:]) - resident_mib[1]
    curve = " ".join(f"{value:.0f}" for value in resident_mib)
    note = (
        f"growth after the first {point_minutes} min; resident MiB at the start and every {point_minutes} min: {curve}"
    )
    return [
        Figure(
            f"mining, memory over {found.scanned_s / 3600:.3g} h",
            growth_mib,
            "MiB",
            GROWTH_MIB,
            at_most=True,
            note=note,
        )
    ]


def network_for(speech: Samples) -> Network:
    """The default network with the statistics of what it will hear, which raises about half of the alarms it can."""
    network = default_network().eval()
    cmvn = Cmvn.of(log_mel(speech, FrontendConfig()), FrontendConfig())
    network.set_cmvn(torch.tensor(cmvn.mean), torch.tensor(cmvn.variance))
    return network


def memory_mib() -> float:
    resident: int = psutil.Process().memory_info().rss
    return resident / MIB


def _save_curve(resident_mib: list[float], point_hours: float, out: Path) -> None:
    from matplotlib.figure import Figure as Picture

    out.mkdir(parents=True, exist_ok=True)
    with (out / "mining-memory.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["hours_scanned", "resident_mib"])
        table.writerows([f"{n * point_hours:g}", f"{value:.1f}"] for n, value in enumerate(resident_mib))
    picture = Picture(figsize=(6, 3), layout="constrained")
    axes = picture.subplots()
    axes.plot(np.arange(len(resident_mib)) * point_hours, resident_mib, marker=".")
    axes.set(xlabel="hours of audio scanned", ylabel="resident memory, MiB", ylim=(0, None))
    picture.savefig(out / "mining-memory.png", dpi=120)
