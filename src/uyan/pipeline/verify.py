"""A bundle held against the folder of the run that made it: hash, weights, statistics, threshold, figures, card.

Whoever reads a card need not believe it. Each check recomputes one promise from the files beside the bundle and says
what it found; what cannot be checked is said too, and whatever is wrong with a damaged file fails its check. It knows
nothing of training or of the recordings; repeating the calibration on them is in `recalibrate.py`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Literal
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from uyan import __version__
from uyan.bundle import load
from uyan.container import CHECKSUM_KEY
from uyan.engine.parallel import Progress, silent
from uyan.errors import BundleError, ConfigError, UyanError
from uyan.evaluation.scores import false_alarm_hops, missed
from uyan.evaluation.track_file import load_tracks
from uyan.export.model_card import model_card
from uyan.export.onnx import PARITY_TOLERANCE, check_parity
from uyan.frontend import Cmvn, seconds_to_frames
from uyan.pipeline.export import FIGURES
from uyan.pipeline.recalibrate import recalibrate
from uyan.pipeline.run_folder import CARD, METRICS, STATS, TRACKS, NotThere, RunFolder, Wrong
from uyan.pipeline.workspace import CONFIG
from uyan.training.fit import WEIGHTS

SEALED_END_BYTES = 200
"""The checksum and its key end a bundle; they are shorter."""
CMVN_TOLERANCE = 1e-5
"""Of a statistic in the network's single precision."""
TIME_STAMP = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|UTC|[+-]\d\d:?\d\d))?)?")

State = Literal["ok", "FAILED", "not checked"]


@dataclass(frozen=True)
class Check:
    """One promise."""

    name: str
    state: State
    said: str
    """What was found, or why it was not looked at; one line that can be printed."""


CheckFunction = Callable[[RunFolder], str]
"""What was found; raises Wrong, NotThere, or what reading a damaged file raises."""


def verify(
    path: Path,
    folder: Path | None = None,
    calibration: bool = False,
    base: Path | None = None,
    progress: Progress = silent,
) -> list[Check]:
    """All checks of a bundle against its run's folder, by default the bundle's own.

    `calibration` repeats that stage on the recordings, which the recipe's manifests name relative to `base`. Raises
    BundleError for a file that is no bundle, ConfigError for a folder that is no run's.
    """
    folder = path.parent if folder is None else folder
    checks = {**CHECKS, REPEATED: partial(recalibrate, base=base, progress=progress) if calibration else _not_asked}
    try:
        bundle = load(path)
        _require_run(folder)
        _ = bundle.session
    except BundleError as reason:
        if not _was_sealed(path):
            raise
        _require_run(folder)
        unread = [Check(name, "not checked", "the bundle cannot be read") for name in checks]
        return [Check("bundle", "FAILED", _printable(str(reason))), *unread]
    size = f"{len(bundle.data):,} bytes with the checksum they were sealed with; the network runs"
    run = RunFolder(bundle, folder)
    return [Check("bundle", "ok", size), *(_run(name, function, run) for name, function in checks.items())]


def failed(checks: Sequence[Check]) -> bool:
    """Whether any of them failed."""
    return any(check.state == "FAILED" for check in checks)


def _require_run(folder: Path) -> None:
    if not (folder / CONFIG).is_file():
        raise ConfigError(f"{folder}: not the folder of a run, there is no {CONFIG}; name it with --run")


def _was_sealed(path: Path) -> bool:
    """Whether a file that cannot be loaded ends as a bundle does."""
    try:
        with path.open("rb") as file:
            file.seek(-min(SEALED_END_BYTES, path.stat().st_size), 2)
            return CHECKSUM_KEY.encode() in file.read(SEALED_END_BYTES)
    except OSError:
        return False  # `load` has said why


def _run(name: str, function: CheckFunction, run: RunFolder) -> Check:
    try:
        return Check(name, "ok", _printable(function(run)))
    except NotThere as reason:
        return Check(name, "not checked", _printable(str(reason)))
    except (Wrong, UyanError) as reason:
        return Check(name, "FAILED", _printable(str(reason)))
    except Exception as reason:  # readers of damaged archives, numbers and texts raise what they like
        return Check(name, "FAILED", _printable(f"the files do not fit together ({type(reason).__name__}: {reason})"))


def _printable(text: str) -> str:
    """One line; what a file says must not steer the terminal."""
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(text.split()))


def _configuration(run: RunFolder) -> str:
    digest = run.digest()
    _same("configuration hash", run.bundle.info.config_hash, digest, f"is that of {CONFIG}")
    return f"{digest[:16]}… is the hash of {CONFIG}"


def _settings(run: RunFolder) -> str:
    info, fields = run.bundle.info, run.fields
    _same("label", info.label, fields["keyword"], f"in {CONFIG}")
    _same("front end", asdict(info.frontend), fields["frontend"], f"in {CONFIG}")
    _same("detector", asdict(info.detector), fields["detector"], f"in {CONFIG}")
    window_s = fields["network"]["window_s"]
    if window_s != "auto":
        _same("window, frames", info.window_frames, seconds_to_frames(window_s), f"in {CONFIG}")
    return "label, front end, detector and window are those of the configuration"


def _weights(run: RunFolder) -> str:
    worst = check_parity(run.network, run.bundle)
    cmvn = run.bundle.info.cmvn
    kept = np.concatenate([run.network.mean[:, 0].numpy(), run.network.inverse_deviation[:, 0].numpy()])
    # As `Network.set_cmvn` bounds them.
    named = np.concatenate([cmvn.mean, 1 / np.sqrt(np.maximum(cmvn.variance, 1e-6))])
    if not np.allclose(kept, named, rtol=CMVN_TOLERANCE, atol=CMVN_TOLERANCE):
        raise Wrong(f"training/{WEIGHTS} normalises with other CMVN statistics than the bundle names")
    return f"logits differ from those of training/{WEIGHTS} by {worst:.1e} at most ({PARITY_TOLERANCE:.0e} allowed)"


def _cmvn(run: RunFolder) -> str:
    cmvn = run.bundle.info.cmvn
    if cmvn != Cmvn.from_json(run.text(STATS)):
        raise Wrong(f"the statistics in the bundle are not those of {STATS}")
    return f"the statistics over {cmvn.frames:,} frames are those of {STATS}"


def _operating_point(run: RunFolder) -> str:
    info, calibration = run.bundle.info, run.metrics["calibration"]
    point = calibration["operating_point"]
    _same("temperature", info.temperature, calibration["temperature"], f"in {METRICS}")
    _same("threshold", info.threshold, point["threshold"], f"in {METRICS}")
    _same("averaged threshold", info.tta_threshold, calibration["tta_operating_point"]["threshold"], f"in {METRICS}")
    _same("target FAH", point["target_fah"], run.fields["calibration"]["target_fah"], f"in {CONFIG}")
    return f"temperature {info.temperature:.4f} and threshold {info.threshold:.4f} are those of {METRICS}"


def _figures(run: RunFolder) -> str:
    info, metrics = run.bundle.info, run.metrics
    _same("configuration hash", info.config_hash, metrics["config_hash"], f"in {METRICS}")
    _same("version", info.version, metrics["uyan"], f"in {METRICS}")
    _same("data", info.data, metrics["data"], f"in {METRICS}")
    for name in sorted({*FIGURES, *info.measured}):
        _same(name, info.measured[name], metrics[name], f"in {METRICS}")
    return f"what the bundle says of its data and of what was measured is what {METRICS} says"


def _counts(run: RunFolder) -> str:
    """Misses and false alarms, counted again on the scores of the test split."""
    info, metrics, path = run.bundle.info, run.metrics, run.file(TRACKS)
    with ZipFile(path) as archive:
        if any(entry.compress_type != ZIP_STORED for entry in archive.infolist()):
            raise Wrong(f"{TRACKS} is compressed; uyan writes it plain")
    tracks = load_tracks(path)
    alarms = sum(len(hops) for hops in false_alarm_hops(tracks.negatives, info.threshold, info.detector))
    _same("false alarms", metrics["false_alarms"]["events"], alarms, f"counted in {TRACKS}")
    hours = sum(track.material_s for track in tracks.negatives) / 3600
    _same("hours of negatives", metrics["false_alarms"]["hours"], hours, f"in {TRACKS}")
    _same("conditions", list(metrics["conditions"]), list(tracks.conditions), f"in {TRACKS}")
    for name, positives in tracks.conditions.items():
        found = int(missed(positives, info.threshold, info.detector).sum()), len(positives)
        said = metrics["conditions"][name]["misses"], metrics["conditions"][name]["positives"]
        _same(f"misses and positives, {name}", said, found, f"counted in {TRACKS}")
    return f"counted again in {TRACKS}: the misses, and {alarms} false alarms in {hours:.2f} h, are those of {METRICS}"


def _card(run: RunFolder) -> str:
    info, there = run.bundle.info, run.text(CARD)
    if info.version != __version__:
        raise NotThere(f"made by uyan {info.version}, whose cards may read otherwise; this is {__version__}")
    written, due = (TIME_STAMP.sub("…", text).splitlines() for text in (there, model_card(info, run.metrics)))
    for number, (line, expected) in enumerate(zip_longest(written, due), start=1):
        _same(f"{CARD}, line {number}", line, expected, f"by {METRICS}")
    return f"{CARD} is what {METRICS} and the bundle give, but for time stamps"


def _not_asked(run: RunFolder) -> str:
    raise NotThere("--recalibrate repeats it on the validation split")


def _same(what: str, claimed: object, found: object, where: str) -> None:
    if claimed != found:
        raise Wrong(f"{what}: {_short(claimed)}, but {_short(found)} {where}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:119]}…"


REPEATED = "recalibration"
CHECKS: dict[str, CheckFunction] = {
    "configuration": _configuration,
    "settings": _settings,
    "weights": _weights,
    "CMVN": _cmvn,
    "operating point": _operating_point,
    "figures": _figures,
    "counts": _counts,
    "card": _card,
}
"""By the name they are shown under, in order."""
