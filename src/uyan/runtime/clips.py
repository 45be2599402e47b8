"""Keeps the audio around detections and near misses of a stream: what to label, and to train on again.

It puts together what finds them (`near_misses`), what cuts them out (`clip_cutter`) and where they go (`clip_folder`).
"""

from uyan.audio import SAMPLE_RATE, Samples
from uyan.runtime.clip_cutter import ClipCutter
from uyan.runtime.clip_folder import ClipFolder
from uyan.runtime.listener import Heard
from uyan.runtime.near_misses import REACH_S, Event, NearMisses

BEFORE_S, AFTER_S = 2.0, 0.5
"""A detector fires some tenths of a second after the word: so much of the stream around that moment is the clip."""
MARGIN_S = 0.5
"""For hops longer than usual."""


class ClipSaver:
    """A watcher that saves the clips of one stream."""

    def __init__(self, near_misses: NearMisses, folder: ClipFolder, source: str) -> None:
        """`source` is what the table says of where the clips come from."""
        self._near_misses, self._folder, self._source = near_misses, folder, source
        before, after, reach = (round(s * SAMPLE_RATE) for s in (BEFORE_S, AFTER_S, REACH_S + MARGIN_S))
        self._cutter: ClipCutter[Event] = ClipCutter(before, after, reach)

    def heard(self, heard: Heard) -> None:
        """Take the next piece of the stream."""
        self._want(self._near_misses.push(heard))
        self._save(self._cutter.push(heard.samples))

    def cut(self, position: int) -> None:
        """Save what is there of the clips that wait; the stream goes on at this sample."""
        self._want(self._near_misses.flush())
        self._save(self._cutter.cut(position))

    def finish(self) -> None:
        """Save what is there of the clips that wait."""
        self._want(self._near_misses.flush())
        self._save(self._cutter.finish())

    def _want(self, events: list[Event]) -> None:
        for event in events:
            self._cutter.want(round(event.time_s * SAMPLE_RATE), event)

    def _save(self, clips: list[tuple[Event, Samples]]) -> None:
        for event, samples in clips:
            self._folder.save(event, samples, self._source)
