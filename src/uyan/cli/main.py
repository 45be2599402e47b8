"""The `uyan` command: collects the commands and turns errors into one line and an exit code.

Each command imports what it needs when it runs, so that `uyan --help` stays quick and `uyan listen` never loads torch.
"""

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from uyan import __version__
from uyan.cli import (
    ablate,
    card,
    curve,
    data,
    demo,
    evaluate,
    export,
    kfold,
    listen,
    pretrain,
    run,
    serve,
    shift,
    tune,
    verify,
    voices,
    web,
)
from uyan.errors import UyanError
from uyan.freed_memory import keep_freed_memory
from uyan.ranks import GroupEnded

ENDED, BAD_INPUT, INTERRUPTED = 1, 2, 130
EXTRAS = {"wyoming": "serve", "zeroconf": "zeroconf"}
"""Of packages that are not for training, the extra that brings them."""


class _Commands(TyperGroup):
    """Answers Ctrl-C itself: typer's own answer is silent, and not the same in all of its versions."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("interrupted; the same command goes on where it stopped", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    cls=_Commands,
    help="Turn recordings into a wake-word detector whose numbers hold on a stream.\n\n"
    "Example: uyan run recipes/jarvis.yaml --out runs/jarvis",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.add_typer(voices.app, name="voices")
COMMANDS = (run, evaluate, shift, kfold, curve, ablate, tune, pretrain, export, card, listen, serve, web, verify, demo)
for command in COMMANDS:
    command.register(app)


@app.callback(invoke_without_command=True)
def _options(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point: exit code 2 for anything the user can mend, 130 when interrupted."""
    # Threads that spin while they wait steal the cores of loader processes; read once, when torch is first loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    try:
        app()
    except UyanError as reason:
        print(f"error: {reason}", file=sys.stderr)
        raise SystemExit(BAD_INPUT) from None
    except GroupEnded:
        raise SystemExit(ENDED) from None
    except OSError as reason:
        print(f"error: {reason}", file=sys.stderr)
        raise SystemExit(BAD_INPUT) from None
    except ModuleNotFoundError as reason:
        extra = EXTRAS.get((reason.name or "").split(".")[0], "train")
        print(f"error: {reason.name} is not installed; pip install 'uyan[{extra}]'", file=sys.stderr)
        raise SystemExit(BAD_INPUT) from None


if __name__ == "__main__":
    main()
