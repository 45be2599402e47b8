"""The domain-shift suite as pictures: a heat map of its cells with their counts, and what the devices let through.

In the style of `figures`, without pyplot. The colours grow darker with the miss rate, so that they can be told apart in
grey, and their scale is always 0–100 %: maps of two bundles can be laid side by side. It computes nothing beyond the
axes.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import QuadMesh
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from uyan.audio import SAMPLE_RATE
from uyan.evaluation.devices import DEVICES, RATES_HZ, Device, response_db
from uyan.evaluation.figures import CURVE, MARK, MUTED, canvas
from uyan.evaluation.shift import Cell, CellResult, ShiftResult

COLOURS = colormaps["Blues"]
SCALE = PowerNorm(0.5, 0, 100)
"""A square root: 2 % and 10 % can be told apart as well as 50 % and 75 %."""
BLACK, WHITE = "#000000", "#ffffff"

SHOWN_HZ = np.geomspace(50, 8000, 120)
SHOWN_DB = (-32.0, 4.0)
"""Further down stands what codecs add, measured as if it had come through."""
LINES: dict[Device, tuple[str, str]] = {"phone": (MARK, "-"), "laptop": ("#e0902b", "--"), "mic": (CURVE, "-.")}

Responses = Mapping[str, NDArray[np.float64]]
"""Device → response at `SHOWN_HZ`, dB."""


def heat_map(result: ShiftResult, path: Path) -> None:
    """Write the cells as a picture, rows of device and rate, columns of SNR; cells not measured stay white."""
    rows = [(device, rate_hz) for device in DEVICES for rate_hz in RATES_HZ]
    ratios = sorted({found.cell.snr_db for found in result.cells}, reverse=True)
    by_cell = {found.cell: found for found in result.cells}
    found = [[by_cell.get(Cell(rate_hz, snr_db, device)) for snr_db in ratios] for device, rate_hz in rows]
    percent = np.array([[100 * cell.miss_rate if cell else np.nan for cell in row] for row in found])
    figure, axes = canvas((1.6 * len(ratios) + 2.6, 6.0))
    image = axes.pcolormesh(percent, cmap=COLOURS, norm=SCALE, edgecolors="white", linewidth=2)
    for (row, column), rate in np.ndenumerate(percent):
        cell = found[row][column]
        if cell is not None:
            ink = _ink(rate)
            axes.text(column + 0.5, row + 0.43, _percent(cell), color=ink, ha="center", va="center", fontsize=13)
            counts = f"{cell.misses}/{cell.samples}"
            axes.text(column + 0.5, row + 0.73, counts, color=ink, ha="center", va="center", fontsize=9)
    axes.grid(visible=False)
    axes.set_xticks(np.arange(len(ratios)) + 0.5, [f"{snr_db:g} dB" for snr_db in ratios])
    axes.set_yticks(np.arange(len(rows)) + 0.5, [f"{device}, {rate_hz / 1000:g} kHz" for device, rate_hz in rows])
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("voice to noise, in the air")
    axes.set_title(f"“{result.label}” through other devices: missed, and of how many samples")
    _colour_bar(figure, image)
    figure.text(0.5, -0.01, _beneath(result), ha="center", va="top", fontsize=9, color=MUTED)
    figure.savefig(path, bbox_inches="tight", pad_inches=0.12)


def measured_responses() -> dict[str, NDArray[np.float64]]:
    """Every device's response at `SHOWN_HZ` of shape (frequencies,), in dB; a few seconds."""
    return {device: response_db(device, SHOWN_HZ) for device in DEVICES}


def responses_figure(responses: Responses, path: Path) -> None:
    """Write the devices' responses as a picture; where 8 kHz audio ends is marked."""
    figure, axes = canvas((7.6, 4.8))
    for device, (colour, line) in LINES.items():
        axes.plot(SHOWN_HZ, responses[device], color=colour, linestyle=line, linewidth=2, label=device)
    axes.axvline(min(RATES_HZ) / 2, color=MUTED, linewidth=1.2, linestyle=(0, (4, 4)), label="8 kHz audio ends")
    axes.set_xscale("log")
    ticks = [50, 100, 200, 500, 1000, 2000, 4000, 8000]
    axes.set_xticks(ticks, [f"{hz}" if hz < 1000 else f"{hz // 1000}k" for hz in ticks])
    axes.minorticks_off()
    axes.set_xlim(SHOWN_HZ[0], SAMPLE_RATE / 2)
    axes.set_ylim(SHOWN_DB)
    axes.set_xlabel("frequency, Hz")
    axes.set_ylabel("response relative to 1 kHz, dB")
    axes.set_title("What the devices let through, measured with pink noise")
    figure.legend(loc="outside lower center", ncols=len(LINES) + 1, frameon=False)
    figure.savefig(path)


def _percent(cell: CellResult) -> str:
    """One digit after the point where it says something: 200 samples make steps of half a per cent."""
    return f"{100 * cell.miss_rate:.1f}".removesuffix(".0") + " %"


def _ink(percent: float) -> str:
    """Black or white, whichever stands out more from the colour of that miss rate (WCAG contrast)."""
    channels = np.array(COLOURS(SCALE(percent))[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return BLACK if (luminance + 0.05) ** 2 > 0.05 * 1.05 else WHITE


def _colour_bar(figure: Figure, image: QuadMesh) -> None:
    bar = figure.colorbar(image, ticks=[0, 2, 10, 25, 50, 75, 100], shrink=0.9, pad=0.03)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=MUTED, labelsize=9)
    bar.set_label("miss rate, %", fontsize=10)


def _beneath(result: ShiftResult) -> str:
    interval, first = result.speaker_interval, result.cells[0]
    return (
        f"All {len(result.cells)} cells: {100 * result.miss_rate:.1f} % ({result.misses:,} of {result.samples:,}), "
        f"95 % over speakers {100 * interval.low:.1f}–{100 * interval.high:.1f} %.\n"
        f"{first.samples} samples a cell, made of {first.recordings} distinct recordings of {first.speakers} "
        f"speaker{'s' * (first.speakers > 1)}; threshold {result.threshold:.4f}."
    )
