"""`uyan listen`: hear words in a microphone or in audio files of any length, and do something about it."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from uyan.runtime.session import Options, Session

HELP = """Print one line a detection: live from a microphone, or in audio files of any length.

Arguments that end in .onnx are bundles, several words are heard in one pass; all others are audio files. Without any
file the microphone is opened, until Ctrl-C.

Example: uyan listen runs/jarvis/bundle.onnx

Example: uyan listen jarvis.onnx merhaba.onnx --exec 'aplay ding.wav' --save-clips clips

Example: uyan listen jarvis.onnx kitchen.flac --threshold 0.9 --json"""


def register(app: typer.Typer) -> None:
    """Add `listen` to the command line."""
    app.command("listen", help=HELP)(listen)


def listen(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="BUNDLE|FILE", help="Bundles (.onnx) and, unless a microphone is meant, audio."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="From 0 to 1, for all words; each bundle's operating point by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    tta: Annotated[
        bool,
        typer.Option(
            "--tta/--no-tta",
            help="Average the scores of five shifts of the window, −40 to +40 ms: steadier, at next to no cost, and "
            "detections come 40 ms later. Each bundle has an operating point for either.",
        ),
    ] = True,
    device: Annotated[str | None, typer.Option(metavar="NAME|NUMBER", help="The microphone.")] = None,
    list_devices: Annotated[bool, typer.Option("--list-devices", help="Print the microphones and exit.")] = False,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="CMD",
            help="Run this at each detection, without a shell, with UYAN_WORD, UYAN_TIME_S and UYAN_SCORE in its "
            "environment; what it prints goes to standard error.",
        ),
    ] = None,
    save_clips: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep the audio around detections and near misses, to label and train on."),
    ] = None,
    clips_mb: Annotated[
        float, typer.Option(min=0, help="Of audio in that folder at most; then no more is saved.")
    ] = 200,
    near: Annotated[float, typer.Option(help="A near miss reaches this share of the threshold.")] = 0.5,
) -> None:
    """Choose the source, and who is told of what it brings."""
    from uyan.bundle import load
    from uyan.errors import ConfigError
    from uyan.runtime.session import Options

    if list_devices:
        return _show_devices()
    given = paths or []
    files = [path for path in given if path.suffix.lower() != ".onnx"]
    bundles = [load(path) for path in given if path not in files]
    if not bundles:
        raise ConfigError("no bundle given; name at least one file that ends in .onnx, as uyan run makes it")
    if device is not None and files:
        raise ConfigError(f"either --device or audio files ({files[0]}), not both")
    options = Options(bundles, threshold, tta, command, save_clips, clips_mb, near)
    with _sigterm_as_ctrl_c():
        return _hear_files(options, files, as_json) if files else _hear_microphone(options, device, as_json)


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Whatever ends a service must not cost the clips that wait for their end."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show_devices() -> None:
    from uyan.runtime.devices import devices

    found = devices()
    for each in found:
        default = "  (default)" if each.default else ""
        typer.echo(f"{each.number:3}  {each.name}  {each.host}, {each.channels} channels, {each.rate_hz} Hz{default}")
    if not found:
        typer.echo("no microphone; connect one", err=True)


def _hear_files(options: "Options", files: Sequence[Path], as_json: bool) -> None:
    from uyan.cli.meter import Lines
    from uyan.errors import AudioError
    from uyan.runtime.session import Session

    session = Session(options, _tell, live=False)
    unreadable = []
    for file in files:
        try:
            session.hear_file(file, Lines(as_json, file))
        except AudioError as reason:
            unreadable.append(str(reason))
    session.close()
    _tell_clips(session)
    if unreadable:
        raise AudioError("; ".join(unreadable))


def _hear_microphone(options: "Options", device: str | None, as_json: bool) -> None:
    from uyan.cli.meter import live_lines
    from uyan.runtime.listener import thresholds
    from uyan.runtime.microphone import Microphone
    from uyan.runtime.session import Session

    lines = live_lines(as_json, thresholds(options.bundles, options.threshold, options.tta))
    session = Session(options, lines.tell, live=True)
    microphone = Microphone(device, lines.tell)
    lines.tell(f"listening to {microphone.device.name} for {', '.join(session.thresholds)}; Ctrl-C ends it")
    try:
        session.hear_stream(microphone.chunks(), microphone.device.name, lines)
    except KeyboardInterrupt:
        lines.tell(f"detections: {lines.detections}")
    finally:
        microphone.close()
    session.close()
    _tell_clips(session)


def _tell_clips(session: "Session") -> None:
    if session.folder:
        folder = session.folder.folder
        _tell(f"clips saved in {folder}: {session.folder.saved}; label them with: uyan data label {folder}")


def _tell(line: str) -> None:
    typer.echo(line, err=True)
