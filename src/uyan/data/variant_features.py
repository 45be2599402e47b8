"""Features of variants: the recording is decoded once, changed as drawn, and what is new goes into the cache.

Interrupted at any moment, the next call continues. It knows nothing of labels, splits or batches; which variants there
are is for `variants` to say.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from uyan.audio import Samples
from uyan.audio_file import read
from uyan.data.cache import FeatureCache
from uyan.data.parallel import Progress, run_tasks, silent
from uyan.data.probe import content_sha1
from uyan.data.variants import Variant, VariantConfig, VariantTable
from uyan.data.voice_change import change_voice
from uyan.data.waveform import change_level, clip, reverberate, through_microphone, through_telephone
from uyan.errors import AudioError, DataError
from uyan.frontend import FrontendConfig, log_mel

HELD_RESPONSES = 512
"""Room responses a process keeps, those used last: 50 MB at 1.5 s each."""

Source = tuple[Path, str]
"""A file and the content hash it had when it was checked."""


def apply_variant(samples: Samples, variant: Variant, responses: Sequence[Samples]) -> Samples:
    """A recording of shape (samples,) as the variant has it: voice, room, microphone, level, rails, telephone.

    Its length is that of `voice_change.stretched_length`. `responses` are those that `variant.room` counts.
    """
    heard = change_voice(samples, variant.speed_percent, variant.pitch_semitones, variant.formant_percent)
    if variant.room is not None:
        heard = reverberate(heard, responses[variant.room])
    if variant.microphone_db:
        heard = through_microphone(heard, variant.microphone_db, np.random.default_rng(variant.microphone_seed))
    if variant.gain_db:
        heard = change_level(heard, variant.gain_db)
    if variant.clip_db:
        heard = clip(heard, variant.clip_db)
    return through_telephone(heard, variant.telephone) if variant.telephone else heard


@dataclass(frozen=True)
class _Job:
    file: Path
    sha1: str
    wanted: tuple[tuple[str, Variant, Source | None], ...]
    """Name of the features, what to do, and the room where there is one."""
    folder: Path
    config: FrontendConfig


def extract_variants(
    sources: Sequence[tuple[Path, str, int]],
    responses: Sequence[Source],
    cache: FeatureCache,
    config: VariantConfig,
    workers: int | None = None,
    progress: Progress = silent,
) -> int:
    """Fill the cache with the variants of (file, content hash, how many); what is there already is left alone.

    Without room responses there is no reverberation. Returns how many variants were made. Raises DataError when a
    recording or a room response no longer holds that content, or when a response is silent.
    """
    table = VariantTable(config, tuple(sha1 for _, sha1 in responses))
    counts: dict[str, int] = {}
    for _, sha1, count in sources:
        counts[sha1] = max(count, counts.get(sha1, 0))
    files = {sha1: file for file, sha1, _ in sources}
    jobs = [_job(files[sha1], sha1, count, table, responses, cache) for sha1, count in counts.items()]
    jobs = [job for job in jobs if job.wanted]
    for problem in run_tasks("variants", _extract_one, jobs, workers, progress):
        if problem:
            raise DataError(problem)
    return sum(len(job.wanted) for job in jobs)


def _job(
    file: Path, sha1: str, count: int, table: VariantTable, responses: Sequence[Source], cache: FeatureCache
) -> _Job:
    wanted = []
    for number in range(1, count + 1):
        key = table.take(sha1, number).key
        if key not in cache:
            variant = table.draw(sha1, number)
            wanted.append((key, variant, None if variant.room is None else responses[variant.room]))
    return _Job(file, sha1, tuple(wanted), cache.folder.parent, cache.config)


def _extract_one(job: _Job) -> str | None:
    samples = read(job.file)
    if content_sha1(samples) != job.sha1:
        return f"{job.file}: changed since it was checked; run `uyan data check` again"
    cache = FeatureCache(job.folder, job.config, 0.0)
    for key, variant, room in job.wanted:
        rooms = [] if room is None else [_response(*room)]
        heard = apply_variant(samples, replace(variant, room=0 if rooms else None), rooms)
        cache.put(key, log_mel(heard, job.config))
    return None


@lru_cache(maxsize=HELD_RESPONSES)
def _response(file: Path, sha1: str) -> Samples:
    """A room response, read once in each process."""
    try:
        response = read(file)
    except AudioError as reason:
        raise DataError(f"room response {reason}; mend it or leave it out") from reason
    if content_sha1(response) != sha1:
        raise DataError(f"{file}: changed since it was checked; run `uyan data check` again")
    return response
