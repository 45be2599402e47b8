"""`uyan web`: the detector as a page in the browser."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add `web` to the command line."""
    app.command(
        "web",
        help="Listen, and record examples, in the browser: a page on this computer, from which no sound leaves.\n\n"
        "Example: uyan web runs/jarvis/bundle.onnx\n\n"
        "Example: uyan web jarvis.onnx merhaba.onnx --out site",
    )(web)


def web(
    bundles: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE", help="Each a bundle.onnx made by uyan run; several words at once.")
    ],
    tta: Annotated[
        bool,
        typer.Option(
            "--tta/--no-tta", help="Average the scores of five shifts of the window, as uyan listen does: 40 ms later."
        ),
    ] = True,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 takes a free one.")] = 8765,
    show: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the page to a folder, for a static host, and end.")
    ] = None,
) -> None:
    """Serve the page until interrupted, or write it."""
    import webbrowser

    from uyan.bundle import load
    from uyan.runtime.web.server import SiteServer
    from uyan.runtime.web.site import make_site, write_site

    site = make_site([load(path) for path in bundles], tta)
    if out is not None:
        write_site(site, out)
        typer.echo(f"page {out / 'index.html'}; browsers give it the microphone over https:// or from localhost")
        return
    with SiteServer(site, port) as server:
        typer.echo(f"{server.url}  (Ctrl-C ends it)")
        if show:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("stopped")
