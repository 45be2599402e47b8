"""What the terminal shows: progress bars with an ETA, lines and tables, all on standard error but results."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as Eta
from rich.table import Table

MAX_WIDTH = 1000


class Terminal:
    """Bars for stages and lines between them."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def progress(self, stage: str, done: int, total: int) -> None:
        """A `uyan.engine.parallel.Progress`."""
        if not total:
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)

    def tell(self, line: str) -> None:
        """A line above the bars."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def terminal() -> Iterator[Terminal]:
    """Show bars while the block runs."""
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), Eta())
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=4) as progress:
        yield Terminal(progress)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on standard output; the first column is text, the others are figures."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console = Console()
    # Never narrower than its content: a figure cut off to fit a pipe or a small window is worse than a long line.
    console.width = max(console.width, Measurement.get(console, console.options.update(width=MAX_WIDTH), table).maximum)
    console.print(table)
