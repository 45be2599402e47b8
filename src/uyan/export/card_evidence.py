"""What a model card says of measurements made after the run: cost, other devices, eight bits; and what was not made.

Read from files beside the bundle by whoever calls; each part is as its JSON file has it. It computes nothing.
"""

from collections.abc import Mapping
from typing import Any

COMMANDS = {
    "latency": ("Cost", "uyan evaluate"),
    "shift": ("Other devices", "uyan shift"),
    "int8": ("Eight bits", "uyan export --int8"),
}


def since(evidence: Mapping[str, Any]) -> list[str]:
    """A section for each measurement, then one that names those that are missing."""
    tell = {"latency": _latency, "shift": _shift, "int8": _int8}
    sections = [f"## {COMMANDS[name][0]}\n\n{tell[name](evidence[name])}" for name in tell if name in evidence]
    missing = [f"{title.lower()} (`{command}`)" for name, (title, command) in COMMANDS.items() if name not in evidence]
    return sections + ([f"Not measured here: {', '.join(missing)}."] if missing else [])


def _latency(found: Mapping[str, Any]) -> str:
    onnx, detector = found["onnx"], found["detector"]
    resident = f", {detector['resident_mb']:.0f} MB resident" if detector["resident_mb"] else ""
    return (
        f"On {found['machine']}: a window takes {onnx['median_ms']:.3f} ms on {onnx['threads']} thread (95 % within "
        f"{onnx['p95_ms']:.3f} ms, {onnx['passes']:,} passes); the detector {detector['cpu_s_per_audio_s']:.4f} s of "
        f"CPU time a second of audio in chunks of {detector['chunk_s']:g} s{resident}."
    )


def _shift(found: Mapping[str, Any]) -> str:
    bounds = found["speaker_interval"]
    lines = [
        f"{100 * found['miss_rate']:.1f} % missed over {len(found['cells'])} cells of "
        f"{found['cells'][0]['samples']} samples (95 % over {found['speakers']} speakers {100 * bounds['low']:.1f} – "
        f"{100 * bounds['high']:.1f}); samples repeat {found['recordings']} recordings in other noise.",
        "",
        "| device | rate | SNR | missed |",
        "|---|---|---|---|",
    ]
    for result in found["cells"]:
        cell = result["cell"]
        lines.append(
            f"| {cell['device']} | {cell['rate_hz'] / 1000:g} kHz | {cell['snr_db']:g} dB "
            f"| {100 * result['miss_rate']:.1f} % ({result['misses']}/{result['samples']}) |"
        )
    return "\n".join(lines)


def _int8(found: Mapping[str, Any]) -> str:
    miss, fah = found["miss_rate_change_interval"], found["fah_change_interval"]
    return (
        f"`bundle.int8.onnx`: {found['misses']['int8']} of {found['positives']} missed instead of "
        f"{found['misses']['fp32']}, {100 * found['miss_rate_change']:+.1f} points (95 % over speakers "
        f"{100 * miss['low']:+.1f} to {100 * miss['high']:+.1f}); {found['false_alarms']['int8']} false alarms in "
        f"{found['hours']:.2f} h instead of {found['false_alarms']['fp32']}, {found['fah_change']:+.2f} per hour (95 % "
        f"{fah['low']:+.2f} to {fah['high']:+.2f}). {found['size']:.2f} of the size, {found['window_time']:.2f} of the "
        f"time for a window and {found['pass_time']:.2f} for a long pass."
    )
