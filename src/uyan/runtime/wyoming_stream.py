"""One client's side of the Wyoming wake-word protocol: events in, events out, no sockets.

Describe is answered with Info. Detect chooses words, audio-start begins a stream, each detection in it is answered as
it fires, audio-stop with not-detected where there was none, and ends the conversation, as Home Assistant's own server
ends it. A detection's timestamp is the moment in the audio at which the detector fired, in ms of the client's clock:
what its chunks say, or else since audio-start.
"""

import logging
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.info import Attribution, Describe, Info, WakeModel, WakeProgram
from wyoming.wake import Detect, Detection, NotDetected

from uyan.bundle import Bundle
from uyan.detector import Detection as Found
from uyan.detector import Detector
from uyan.errors import AudioError
from uyan.runtime.pcm import PcmConverter, PcmFormat
from uyan.runtime.wyoming_events import BadEventError, audio_format, shown, timestamp_ms, wanted_names

STEP_S = 1.0
"""Audio worked through at once, about 1 ms of computing: then others on the server have their turn."""

log = logging.getLogger(__name__)


def info_event(bundles: Sequence[Bundle]) -> Event:
    """What Describe is answered with: one program, one model a word."""
    by = Attribution(name="uyan", url="")
    models = [
        WakeModel(
            name=bundle.info.label,
            description=bundle.info.label,
            phrase=bundle.info.label,
            attribution=by,
            installed=True,
            version=bundle.info.version,
            languages=[],
        )
        for bundle in bundles
    ]
    program = WakeProgram(
        name="uyan",
        description="Wake words trained on your own recordings",
        attribution=by,
        installed=True,
        version=version("uyan"),
        models=models,
    )
    return Info(wake=[program]).event()


class WakeStream:
    """What one client asked for and the detector that listens for it."""

    def __init__(self, bundles: Sequence[Bundle], threshold: float | None = None, tta: bool = False) -> None:
        """For all of the bundles until Detect names some of them; threshold and `tta` as in `Detector`."""
        self._offered, self._threshold, self._tta = tuple(bundles), threshold, tta
        self._chosen = self._offered
        self.detections = 0
        self.ended = False
        """After audio-stop: nothing more is answered."""
        self._begin(None)

    def _begin(self, origin_ms: float | None) -> None:
        """A new stream at the client's time `origin_ms`, 0 if it says none."""
        self._detector: Detector | None = None
        self._converter: PcmConverter | None = None
        self._detected = False
        self._given_s = 0.0
        """Audio of this stream that has come."""
        self._origin_ms = origin_ms or 0.0
        """The client's time of the stream's first sample, as the last chunk with a timestamp tells."""

    def take(self, event: Event) -> Iterator[list[Event]]:
        """Answers to an event, in steps of `STEP_S` of audio. Raises BadEventError when it cannot be used."""
        if Describe.is_type(event.type):
            yield [info_event(self._offered)]
        elif Detect.is_type(event.type):
            self._choose(wanted_names(event))
        elif AudioStart.is_type(event.type):
            audio_format(event)
            self._begin(timestamp_ms(event))
        elif AudioChunk.is_type(event.type):
            yield from self._hear(audio_format(event), event.payload or b"", timestamp_ms(event))
        elif AudioStop.is_type(event.type):
            yield self._end()
        else:
            log.debug("ignored an event of type %s", shown(event.type))

    def _choose(self, names: Sequence[str]) -> None:
        """Listen for these words from now on; all of them when none is named."""
        found = {name: self._named(name) for name in names}
        if unknown := [name for name, bundle in found.items() if bundle is None]:
            known = ", ".join(bundle.info.label for bundle in self._offered)
            log.warning("a client asked for %s; this server has %s", shown(unknown), known)
            if len(unknown) == len(found):
                raise BadEventError(f"none of {shown(unknown)} is here; this server has {known}")
        chosen = [bundle for bundle in found.values() if bundle is not None]
        self._chosen = tuple(dict.fromkeys(chosen)) or self._offered
        self._begin(None)

    def _named(self, name: str) -> Bundle | None:
        """The word of that very name, or but for case and underscores."""
        for plain in (str, _plain):
            for bundle in self._offered:
                if plain(bundle.info.label) == plain(name):
                    return bundle
        return None

    def _hear(self, pcm_format: PcmFormat, pcm: bytes, at_ms: float | None) -> Iterator[list[Event]]:
        if self._detector is None or self._converter is None:
            self._detector = Detector(self._chosen, self._threshold, self._tta)
            self._converter = PcmConverter(pcm_format)
        if pcm_format != self._converter.format:
            raise BadEventError(f"audio-chunk: {pcm_format} after {self._converter.format}; send audio-start between")
        try:
            duration_s = pcm_format.duration_s(pcm)
        except AudioError as reason:
            raise BadEventError(f"audio-chunk: {reason}") from reason
        if at_ms is not None:
            self._origin_ms = at_ms - 1000 * self._given_s
        self._given_s += duration_s
        step = int(STEP_S * pcm_format.rate_hz) * pcm_format.frame_bytes
        for start in range(0, len(pcm), step):
            samples = self._converter.convert(pcm[start : start + step])
            yield self._events(self._detector.push(samples))

    def _end(self) -> list[Event]:
        """The last answers of a stream."""
        answers = []
        if self._detector is not None and self._converter is not None:
            answers = self._events(self._detector.push(self._converter.rest()))
        if not self._detected:
            answers.append(NotDetected().event())
        self.ended = True
        return answers

    def _events(self, found: Sequence[Found]) -> list[Event]:
        self.detections += len(found)
        self._detected = self._detected or bool(found)
        for each in found:
            log.info("heard %s at %.2f s of a stream, score %.3f", each.label, each.time_s, each.score)
        return [Detection(each.label, round(self._origin_ms + 1000 * each.time_s)).event() for each in found]


def _plain(name: str) -> str:
    """A name as people write it in other places; dotted and dotless i are one, as capitals do not tell them apart.

    >>> _plain("Hey_Jarvis "), _plain("GÜNAYDIN") == _plain("günaydın")
    ('hey jarvis', True)
    """
    return name.replace("_", " ").strip().casefold().replace("i\u0307", "i").replace("ı", "i")
