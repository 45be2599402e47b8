"""The folder that clips are saved in: 16 kHz WAV files, one row each in `clips.csv`, within a budget of disk space.

Nothing in it is ever deleted or written over, and what people have written into the table stays: a row is added to it
as it is on disk at that moment. Names are made of time and content, so that a recording heard twice leaves its clips
once; nothing in a name comes from a bundle. It knows nothing of streams.
"""

import csv
import hashlib
import io
import math
from collections.abc import Callable
from pathlib import Path

from uyan.audio import Samples
from uyan.audio_file import write
from uyan.errors import ConfigError
from uyan.files import replacing
from uyan.runtime.near_misses import Event

TABLE = "clips.csv"
COLUMNS = ("path", "word", "time_s", "score", "event", "source", "label", "speaker_id")
"""`label` and `speaker_id` are empty: they are for people to fill in."""
FIRED, NEAR = "detection", "near miss"
WAV_HEADER_BYTES, BYTES_PER_SAMPLE = 44, 2
BYTES_PER_MB = 1_000_000


class ClipFolder:
    """Saves clips until the budget is spent."""

    def __init__(self, folder: Path, budget_mb: float, tell: Callable[[str], None]) -> None:
        """All .wav files in the folder count against the budget; `tell` hears once why no more are saved.

        Raises ConfigError for a budget that is no size, a folder that cannot be written or whose `clips.csv` is
        another table.
        """
        if not 0 <= budget_mb < math.inf:
            raise ConfigError(f"the clips' budget must be a number of MB, not {budget_mb}")
        self.folder, self._tell = folder, tell
        self._budget_bytes = round(budget_mb * BYTES_PER_MB)
        self.saved = 0
        self.stopped = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._used_bytes = sum(file.stat().st_size for file in folder.glob("*.wav"))
            text, _ = self._table()
            self._replace_table(text)
        except OSError as reason:
            raise ConfigError(f"{folder}: clips cannot be saved there ({reason.strerror})") from reason

    def save(self, event: Event, samples: Samples, source: str) -> None:
        """Keep a clip of shape (samples,), unless it is there already or no more are saved."""
        if self.stopped or not samples.size:
            return
        content = hashlib.sha1(event.label.encode() + samples.tobytes()).hexdigest()
        file = self.folder / f"{event.time_s:010.3f}-{content[:8]}.wav"
        try:
            text, columns = self._table()
            if file.name not in text:
                self._add(file, samples, text + _line(columns, _row(file.name, event, source)))
        except (OSError, RuntimeError, ConfigError) as reason:
            self._stop(str(reason))

    def _add(self, file: Path, samples: Samples, table: str) -> None:
        size = WAV_HEADER_BYTES + BYTES_PER_SAMPLE * samples.size
        if self._used_bytes + size > self._budget_bytes:
            self._stop(f"its {self._budget_bytes / BYTES_PER_MB:g} MB are used up")
            return
        with replacing(file) as partial:
            write(partial, samples)
        self._replace_table(table)
        self._used_bytes += size
        self.saved += 1

    def _stop(self, reason: str) -> None:
        self.stopped = True
        self._tell(f"no more clips are saved in {self.folder}: {reason}")

    def _table(self) -> tuple[str, list[str]]:
        """The text of the table, with a line break at its end, and its columns."""
        file = self.folder / TABLE
        if not file.exists():
            return ",".join(COLUMNS) + "\n", list(COLUMNS)
        try:
            text = file.read_bytes().decode()
            header = next(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")), [])
        except UnicodeDecodeError as reason:
            raise ConfigError(f"{file}: not UTF-8; save the table as 'CSV UTF-8'") from reason
        except csv.Error as reason:
            raise ConfigError(f"{file}: row 1: not CSV ({reason}); save the clips in another folder") from reason
        columns = [name.strip() for name in header]
        if missing := [name for name in COLUMNS if name not in columns]:
            raise ConfigError(
                f"{file}: row 1: no column {', '.join(missing)}; separate the columns by commas, or save the clips in "
                "another folder"
            )
        return text if text.endswith("\n") else text + "\n", columns

    def _replace_table(self, text: str) -> None:
        with replacing(self.folder / TABLE) as partial:
            partial.write_bytes(text.encode())


def _row(name: str, event: Event, source: str) -> dict[str, str]:
    return {
        "path": name,
        "word": event.label,
        "time_s": f"{event.time_s:.3f}",
        "score": f"{event.score:.4f}",
        "event": FIRED if event.fired else NEAR,
        "source": source,
    }


def _line(columns: list[str], row: dict[str, str]) -> str:
    """One row of CSV, in the table's own order of columns."""
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerow([row.get(name, "") for name in columns])
    return made.getvalue()
