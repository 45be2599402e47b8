"""The model card: what the bundle is, what it was made from and what was measured, for a person to read.

Everything on it comes from the bundle's metadata, the run's metrics and what was measured since (`card_evidence`); it
computes nothing.
"""

from collections.abc import Mapping
from typing import Any

from uyan.bundle import BundleInfo
from uyan.evaluation.claims import at_fah_text, fah_claim, miss_bounds, voices_claim
from uyan.export.card_evidence import since
from uyan.export.card_header import card_header


def model_card(info: BundleInfo, metrics: dict[str, Any], evidence: Mapping[str, Any] | None = None) -> str:
    """Markdown with a head for machines; `metrics` of the run, or what the bundle itself repeats of them.

    `evidence` is what was measured of the finished bundle: `latency`, `shift`, `int8`, each as its JSON file has it.
    """
    found = evidence or {}
    sections = (
        f"---\n{card_header(info, metrics)}\n---",
        _head(info, metrics),
        _figures(metrics),
        *([_near_words(metrics["near_words"])] if metrics["near_words"] else []),
        *since(found),
        _speakers(metrics),
        _data(metrics),
        *([_training(metrics)] if "training" in metrics else []),
        _inside(info),
        _use(info),
    )
    return "\n\n".join(sections) + "\n"


def _head(info: BundleInfo, metrics: dict[str, Any]) -> str:
    claim = voices_claim(metrics["conditions"]["clean"]["per_speaker"])
    lines = [
        f"# Wake word “{info.label}”",
        "",
        *([f"**{claim[0].upper()}{claim[1:]}.**", ""] if claim else []),
        *([f"**Not for commercial use: {restricted}.**", ""] if (restricted := metrics["data"]["restricted"]) else []),
        f"Made by uyan {info.version}, configuration `{info.config_hash[:16]}`.",
    ]
    lines += [f"> **Note:** {warning}" for warning in metrics["warnings"]]
    return "\n".join(lines)


def _figures(metrics: dict[str, Any]) -> str:
    alarms, point = metrics["false_alarms"], metrics["calibration"]["operating_point"]
    lines = [
        "## Measured on speakers and audio that were never trained on",
        "",
        f"Threshold {point['threshold']:.4f}, chosen on the validation split for {point['target_fah']:g} false alarms "
        f"per hour ({point['false_alarms']} in {point['hours']:.2f} h there). On the test split: "
        f"**{fah_claim(alarms['events'], alarms['hours'])}**.",
        "",
        "| condition | miss rate at the threshold | misses / recordings / speakers | 95 % interval "
        "| at 0.5 FAH, threshold chosen on test |",
        "|---|---|---|---|---|",
    ]
    for name, c in metrics["conditions"].items():
        low, high = miss_bounds(c).low, miss_bounds(c).high
        lines.append(
            f"| {name} | {c['miss_rate']:.1%} | {c['misses']} / {c['positives']} / {c['speakers']} "
            f"| {low:.1%} – {high:.1%} | {at_fah_text(c['at_fah']['0.5'])} |"
        )
    clip, averaged = metrics["clip_level"], metrics["tta"]
    lines += [
        "",
        "The first column is what ships. The last chooses its threshold on the test split itself, to compare "
        "detectors; "
        f"{alarms['hours']:.2f} h tell no rates below {3 / alarms['hours']:.1f} per hour apart. Intervals resample "
        f"speakers, as recordings of one voice are not independent; where voices show less spread, "
        f"recordings. In noise, {metrics['conditions_note']}.",
        "",
        f"With scores averaged over neighbouring positions (threshold {averaged['threshold']:.4f}, 40 ms later): "
        f"{averaged['claims']['misses, clean']}; {averaged['claims']['false alarms']}.",
        "",
        f"Clip level ({clip['what']}): EER {clip['equal_error_rate']:.2%}, false-alarm rate at 95 % hits "
        f"{clip['fpr_at_tpr_95']:.2%}, partial AUC below 10 % {clip['partial_auc_10']:.4f}.",
    ]
    return "\n".join(lines)


def _near_words(found: Mapping[str, Any]) -> str:
    lines = [
        "## What almost is the word",
        "",
        f"{found['claim']}.",
        "",
        "| category | accepted | 95 % |",
        "|---|---|---|",
    ]
    for name, rate in found["by_category"].items():
        low, high = rate["interval"]["low"], rate["interval"]["high"]
        lines.append(f"| {_cell(name)} | {rate['accepted']} of {rate['recordings']} | {low:.1%} – {high:.1%} |")
    return "\n".join(lines)


def _speakers(metrics: dict[str, Any]) -> str:
    rows = metrics["conditions"]["clean"]["per_speaker"].items()
    worst = sorted(rows, key=lambda row: -row[1][0] / row[1][1])
    lines = ["## Misses by speaker (clean)", "", "| speaker | misses | recordings |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {_cell(speaker)} | {misses} | {count} |" for speaker, (misses, count) in worst)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _data(metrics: dict[str, Any]) -> str:
    data = metrics["data"]
    lines = [
        "## Data",
        "",
        "| split | positives | their speakers | of them synthetic | hours of negatives | of them synthetic "
        "| their speakers |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, s in data["splits"].items():
        lines.append(
            f"| {name} | {s['positives']} | {s['positive_speakers']} "
            f"| {s['synthetic_positives']} / {s['synthetic_speakers']} "
            f"| {s['negative_hours']:.2f} | {s['synthetic_hours']:.2f} | {s['negative_speakers']} |"
        )
    lines += [
        "",
        f"Recordings without a speaker: {data['unknown_speakers']}. Repeated takes, counted once: "
        f"{data['repeated_takes']}. Recordings that could not be used: {data['quarantined']}. "
        f"Licences of the recordings: {'; '.join(data['licenses']) or 'not given'}.",
        *_synthetic(data),
    ]
    lines += [f"- not used: {_cell(path)}: {_cell(reason)}" for path, reason in data["quarantined_first"]]
    return "\n".join(lines)


def _synthetic(data: Mapping[str, Any]) -> list[str]:
    """Which machines spoke to train it; nothing where none did."""
    if not data["synthetic_engines"]:
        return []
    engines, share = ", ".join(map(_cell, data["synthetic_engines"])), data["synthetic_share"]
    return [
        "",
        f"Synthetic voices in training: {engines}; `data.synthetic_share` {'null' if share is None else share}.",
    ]


def _training(metrics: dict[str, Any]) -> str:
    training = metrics["training"]
    lines = [
        "## Training",
        "",
        f"Averaged weights of epoch {training['best_epoch']} of {training['epochs']}, which had the lowest miss rate "
        "at the target FAH on continuous validation audio (mean of clean and noisy positives). Learning rate: "
        f"{training['learning_rate']['verdict']}.",
    ]
    if training["loss_changed"]:
        lines += ["", f"The loss was changed to the focal loss: {training['loss_changed']}."]
    if mined := training["hard_negatives"]:
        last = mined["rounds"][-1]
        found = ", ".join(f"{scan['windows_found']:,}" for scan in mined["rounds"])
        lines += [
            "",
            f"Hard negatives: {mined['windows']:,} windows of {mined['file_count']:,} files, {_rounds(mined)} "
            f"over {last['hours_scanned']:.1f} h and {last['hours_of_variants']:.1f} h of variants; windows "
            f"that scored too high, by round: {found}.",
        ]
    return "\n".join(lines)


def _rounds(mined: Mapping[str, Any]) -> str:
    count = len(mined["rounds"])
    return f"{count} round" if count == 1 else f"{count} rounds"


def _inside(info: BundleInfo) -> str:
    d = info.detector
    mean, deviation = info.cmvn.mean, [variance**0.5 for variance in info.cmvn.variance]
    return (
        "## Inside\n\n"
        f"{info.frontend.mels}-mel log-mel front end `{info.frontend.digest()}`, CMVN over {info.cmvn.frames:,} "
        f"training frames (means {min(mean):.2f} to {max(mean):.2f}, deviations {min(deviation):.2f} to "
        f"{max(deviation):.2f} of natural-log power; all values in the bundle and in `stats.json`), "
        f"window {info.window_frames / 100:.2f} s, "
        f"a score every {d.hop_s:g} s, {d.votes} of {d.ballots} votes, hysteresis {d.hysteresis:g}, "
        f"lockout {d.lockout_s:g} s, temperature {info.temperature:.3f}."
    )


def _use(info: BundleInfo) -> str:
    return (
        "## Use\n\n"
        "```\npip install uyan\nuyan listen bundle.onnx recording.wav\n```\n\n"
        '```python\nimport uyan\n\ndetector = uyan.Detector(uyan.load("bundle.onnx"))\n'
        "for found in detector.push(samples):  # int16 or float32, mono, 16 kHz, chunks of any size\n"
        "    print(found.label, found.time_s, found.score)\n```\n\n"
        f"Meant to notice “{info.label}” in audio you may listen to. Voices, rooms and noises unlike those above were "
        "not measured; it identifies nobody and is no safety device."
    )
