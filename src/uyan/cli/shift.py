"""`uyan shift`: a finished bundle through phones, laptops and microphones, at two rates, in four levels of noise."""

from typing import TYPE_CHECKING, Annotated

import typer

from uyan.cli.evaluate import BundleArgument, DataOption, JudgedOption, WorkersOption
from uyan.cli.locations import located

if TYPE_CHECKING:
    from uyan.evaluation.shift import ShiftResult


def register(app: typer.Typer) -> None:
    """Add `shift` to the command line."""
    app.command(
        "shift",
        help="Miss rates through other devices: {8, 16 kHz} × {0, 5, 10, 20 dB SNR} × {phone, laptop, microphone}.\n\n"
        "The same samples for the same seed.\n\n"
        "Example: uyan shift runs/jarvis/bundle.onnx --data recordings/manifest.csv",
    )(shift)


def shift(
    bundle: BundleArgument,
    data: DataOption,
    out: JudgedOption = None,
    samples: Annotated[int, typer.Option(metavar="N", min=1, help="Streams in each of the 24 cells.")] = 200,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of noise, rooms and codecs.")] = 42,
    workers: WorkersOption = None,
) -> None:
    """Run the suite and show the cells."""
    from uyan.cli.console import terminal
    from uyan.pipeline.shift import shift_bundle

    folder = out or bundle.resolve().parent / "evaluation"
    with terminal() as shown:
        result, warnings = shift_bundle(bundle, located(data), folder, samples, seed, workers, shown.progress)
    show_cells(result)
    for line in [*result.notes, *(f"warning: {warning}" for warning in warnings)]:
        typer.echo(line)
    typer.echo(f"cells {folder / 'shift.csv'}, heat map {folder / 'shift.png'}, devices {folder / 'shift_devices.png'}")


def show_cells(result: "ShiftResult") -> None:
    """Whose voices judge where that needs saying, a row a device and rate, a column an SNR, then the mean of all."""
    from uyan.cli.console import print_table

    if result.voices:
        typer.secho(result.voices, bold=True)
    found = {(c.cell.device, c.cell.rate_hz, c.cell.snr_db): c for c in result.cells}
    ratios = sorted({snr_db for _, _, snr_db in found}, reverse=True)
    rows = []
    for device, rate_hz in dict.fromkeys((device, rate_hz) for device, rate_hz, _ in found):
        cells = (found[device, rate_hz, snr_db] for snr_db in ratios)
        shares = [f"{cell.miss_rate:.1%} {cell.misses}/{cell.samples}" for cell in cells]
        rows.append((f"{device}, {rate_hz / 1000:g} kHz", *shares))
    columns = ("miss rate", *(f"{snr_db:g} dB SNR" for snr_db in ratios))
    print_table(f"“{result.label}” through other devices, threshold {result.threshold:.4f}", columns, rows)
    low, high = result.speaker_interval.low, result.speaker_interval.high
    typer.echo(
        f"all cells: {result.miss_rate:.1%} missed, {result.misses} of {result.samples} "
        f"(95 % over {result.speakers} speakers {low:.1%} – {high:.1%})"
    )
