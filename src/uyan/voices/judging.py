"""Which clips of a corpus are fit for use: those that failed, that are there twice or too short or long are not.

It sees what is known of clips and no sound.
"""

import statistics
from collections import defaultdict
from collections.abc import Sequence

from uyan.voices.clip import Clip, Made

LENGTHS = (0.6, 1.6)
"""Of the median: shorter, and sounds were swallowed; longer, and the engine babbled."""
ENOUGH = 6
"""Clips that a median needs; a voice with fewer is compared with all of its engine in its language."""


def judge(clips: Sequence[tuple[Clip, Made]]) -> dict[int, str]:
    """Number and reason of each clip that is not to be used, looked at in order."""
    reasons = {clip.number: made.failure for clip, made in clips if made.failure}
    spoken = [(clip, made) for clip, made in clips if not made.failure]
    first: dict[str, str] = {}
    for clip, made in spoken:
        earlier = first.setdefault(made.content, clip.identity)
        if earlier != clip.identity:
            reasons[clip.number] = f"the same sound: {earlier} has it"
    by_voice, by_engine = (_medians(spoken, narrow) for narrow in (True, False))
    for clip, made in spoken:
        expected_s = by_voice.get(_group(clip, True)) or by_engine.get(_group(clip, False))
        if expected_s is not None and not LENGTHS[0] <= made.natural_s / expected_s <= LENGTHS[1]:
            at_rate = f"{made.natural_s:.2f} s at the voice's own rate where others take {expected_s:.2f} s"
            reasons.setdefault(clip.number, f"not as long as it should be: {at_rate}")
    return reasons


def _group(clip: Clip, narrow: bool) -> tuple[str, ...]:
    """Clips that should be about as long: one text by one engine in one language, or by one voice."""
    voice = clip.speaker.voice
    return (voice.engine, clip.phrase.text, voice.name if narrow else voice.language.partition("-")[0])


def _medians(clips: Sequence[tuple[Clip, Made]], narrow: bool) -> dict[tuple[str, ...], float]:
    lengths_s: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for clip, made in clips:
        lengths_s[_group(clip, narrow)].append(made.natural_s)
    return {group: statistics.median(times_s) for group, times_s in lengths_s.items() if len(times_s) >= ENOUGH}
