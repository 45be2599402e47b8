"""One call of `uyan listen`: bundles, and all that is done about what they hear, over files and microphones.

It puts together listener, commands and clips. It knows nothing of terminals.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from uyan.bundle import Bundle
from uyan.detector import Detection
from uyan.runtime.clip_folder import ClipFolder
from uyan.runtime.clips import ClipSaver
from uyan.runtime.commands import Commands
from uyan.runtime.files import file_chunks, listen_to_file
from uyan.runtime.listener import Chunk, Listener, Watcher, hear
from uyan.runtime.near_misses import NearMisses


class Shown(Watcher, Protocol):
    """A watcher that shows detections, and can be given one alone."""

    def detected(self, found: Detection) -> None:
        """One detection."""


@dataclass(frozen=True)
class Options:
    """What to hear and what to do about it."""

    bundles: list[Bundle]
    threshold: float | None
    """None means each bundle's operating point."""
    tta: bool
    command: str | None
    """Run at each detection."""
    clips: Path | None
    """Where to keep clips."""
    clips_mb: float
    near: float
    """The share of its threshold that makes a score a near miss."""


class Session:
    """Hears streams, one after the other."""

    def __init__(self, options: Options, tell: Callable[[str], None], live: bool) -> None:
        """`tell` hears what the user should know; a `live` stream does not wait for commands.

        Raises ConfigError for options that cannot be.
        """
        self._options = options
        self.thresholds = self._listener().thresholds
        self._near_misses()
        self._commands = Commands(options.command, tell, patient=not live) if options.command is not None else None
        self.folder = ClipFolder(options.clips, options.clips_mb, tell) if options.clips else None

    def hear_file(self, path: Path, shown: Shown) -> None:
        """A whole file, densely where nobody needs to see every hop. Raises AudioError as `listen_to_file` does."""
        if self.folder:
            return self.hear_stream(file_chunks(path), str(path), shown)
        options = self._options
        for found in listen_to_file(options.bundles, path, options.threshold, options.tta):
            shown.detected(found)
            if self._commands:
                self._commands.start(found)
        return None

    def hear_stream(self, chunks: Iterable[Chunk], source: str, shown: Shown) -> None:
        """Until the chunks end. `source` is what the table of clips says of it."""
        watchers: list[Watcher] = [shown]
        if self._commands:
            watchers.append(self._commands)
        if self.folder:
            watchers.append(ClipSaver(self._near_misses(), self.folder, source))
        hear(self._listener(), chunks, watchers)

    def close(self) -> None:
        """Wait a while for commands that run."""
        if self._commands:
            self._commands.close()

    def _listener(self) -> Listener:
        return Listener(self._options.bundles, self._options.threshold, self._options.tta)

    def _near_misses(self) -> NearMisses:
        return NearMisses(self.thresholds, self._options.near)
