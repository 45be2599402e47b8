"""The comparison for readers: a Markdown table with what must be known to read it, and everything as JSON.

Every rate stands with its counts and its 95 % interval; what the hours cannot show is said. It knows nothing of how
they were measured.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.peers.compare import TARGETS_FAH, AsShipped, AtTarget
from bench.peers.results import JUDGED, NO_MODEL, UNHEARD, Cost, Row
from bench.peers.truth import Truth
from uyan.evaluation.intervals import clopper_pearson, poisson_rate
from uyan.files import replacing

TABLE, RESULTS = "peers.md", "peers.json"
MIB = 1024**2
NOT_SUPPORTED = "†"


def markdown(rows: Sequence[Row], truth: Truth, notes: Iterable[str], conditions: Mapping[str, Any]) -> str:
    """The table, then what it was measured on."""
    targets = [f"missed at ≤ {fah:g} FAH" for fah in TARGETS_FAH]
    columns = [
        *("engine", "word", *targets, "as shipped: missed", "false alarms"),
        *("CPU s per audio s", "peak memory", "import", "ready", "installed"),
    ]
    lines = [_line(columns), _line(["---", "---", *["---:"] * (len(columns) - 2)])]
    lines += [_line(_cells(row)) for row in rows]
    said = [f"- {each}" for each in [*_about(truth), *_what_hours_show(truth), *_about_rows(rows), *notes]]
    state = ", ".join(f"{key} {value}" for key, value in conditions.items())
    return "\n".join([*lines, "", *said, "", state, ""])


def save(rows: Sequence[Row], truth: Truth, notes: Sequence[str], conditions: Mapping[str, Any], out: Path) -> str:
    """Write `peers.md` and `peers.json`; the Markdown."""
    text = markdown(rows, truth, notes, conditions)
    stream = {**asdict(truth), "hours": truth.hours, "distinct_hours": truth.distinct_hours}
    found = {"stream": stream, "rows": [asdict(row) for row in rows], "notes": notes, "conditions": conditions}
    with replacing(out / TABLE) as partial:
        partial.write_text(text, encoding="utf-8")
    with replacing(out / RESULTS) as partial:
        partial.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
    return text


def _cells(row: Row) -> list[str]:
    if row.at_fah and row.shipped:
        rates = [_missed(row.at_fah[f"{fah:g}"]) for fah in TARGETS_FAH]
        missed = row.shipped.keywords - row.shipped.hits
        interval = clopper_pearson(missed, row.shipped.keywords)
        shipped = f"{missed}/{row.shipped.keywords} ({100 * interval.low:.0f} – {100 * interval.high:.0f} %)"
        return [row.engine, row.word, *rates, shipped, _alarms(row.shipped), *_costs(row.cost)]
    alarms = _alarms(row.shipped) if row.shipped else ""
    return [row.engine, row.word, row.status.replace("|", "/"), *[""] * len(TARGETS_FAH), alarms, *_costs(row.cost)]


def _missed(at: AtTarget) -> str:
    rate = at.rate
    interval = f"{100 * rate.miss_interval.low:.0f} – {100 * rate.miss_interval.high:.0f} %"
    shown = f"{rate.misses}/{rate.positives} **{100 * rate.miss_rate:.1f} %** ({interval})"
    if not rate.met:
        return f"not met: {rate.false_alarms} alarms at its strictest"
    return shown if at.supported else f"{shown} {NOT_SUPPORTED}"


def _alarms(shipped: AsShipped) -> str:
    low, high = shipped.fah_interval.low, shipped.fah_interval.high
    rate = f"≤ {high:.2g}/h" if not shipped.false_alarms else f"{low:.2g} – {high:.2g}/h"
    return f"{shipped.false_alarms} ({rate})"


def _costs(cost: Cost | None) -> list[str]:
    if cost is None:
        return [""] * 5
    peak = "–" if cost.peak_bytes is None else f"{cost.peak_bytes / MIB:.0f} MiB"
    return [
        f"{cost.cpu_s_per_audio_s:.4f}",
        peak,
        f"{cost.import_s:.2f} s",
        f"{cost.ready_s:.2f} s",
        f"{cost.install_bytes / MIB:.0f} MiB",
    ]


def _about(truth: Truth) -> Iterable[str]:
    takes = {word: sum(k.word == word for k in truth.keywords) for word in {k.word: None for k in truth.keywords}}
    voices = len({k.speaker_id for k in truth.keywords})
    yield (
        f"One stream of {truth.hours:.2f} h for all: {', '.join(f'{n} × {word}' for word, n in takes.items())} by "
        f"{voices} speakers, {100 * truth.speech_s / truth.background_s:.0f} % of the background speech, ambient noise "
        f"{truth.config.snr_db:g} dB below every voice; seed {truth.config.seed}, sha256 {truth.sha256[:12]}."
    )
    if truth.distinct_hours < truth.hours:
        yield (
            f"Recordings repeat: {truth.distinct_speech_s / 3600:.2f} h of {truth.speech_s / 3600:.2f} h of speech and "
            f"{truth.distinct_noise_s / 3600:.2f} h of {truth.hours:.2f} h of noise are distinct. Intervals of false "
            f"alarms take all {truth.hours:.2f} h as new and are too narrow; for claims {truth.distinct_hours:.2f} h "
            "count."
        )
    if truth.limited_voices or truth.clipped_samples:
        yield (
            f"{truth.limited_voices} voices are quieter than the ratio asks, which int16 could not hold; "
            f"{truth.clipped_samples} samples were clipped."
        )
    yield (
        "Thresholds of the first two rates are chosen on this stream, as in the vendor's benchmark: they compare "
        "engines. “As shipped” is what a user gets. Intervals: 95 %, Clopper–Pearson over takes, Poisson over hours."
    )


def _what_hours_show(truth: Truth) -> Iterable[str]:
    least = poisson_rate(0, truth.distinct_hours).high
    for fah in TARGETS_FAH:
        if least > fah:
            yield (
                f"{NOT_SUPPORTED} {truth.distinct_hours:.2f} h cannot show {fah:g} FAH: not one false alarm in them "
                f"would still allow {least:.3g} per hour; {poisson_rate(0, 1.0).high / fah:.0f} h are needed. The miss "
                f"rates in that column are those with at most {int(fah * truth.hours)} alarms on this stream."
            )


def _about_rows(rows: Sequence[Row]) -> Iterable[str]:
    if any(row.status == NO_MODEL for row in rows):
        yield f"“{NO_MODEL}”: the engine was not judged on it; that is no miss."
    for row in rows:
        if row.status == UNHEARD:
            yield (
                f"{row.engine}: cost and false alarms are those of its model for “{row.word}”, of which the stream "
                "holds no take."
            )
    if any(row.status == JUDGED for row in rows):
        yield "What the engines of others were trained on is not known here."


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
