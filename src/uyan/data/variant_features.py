"""Features of variants: the recording is decoded once, changed as drawn, and what is new goes into the cache.

Interrupted at any moment, the next call continues. It knows nothing of labels, splits or batches; which variants there
are is for `variants` to say.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from uyan.audio import Samples
from uyan.audio_file import read
from uyan.data.cache import FeatureCache, Job, changed, fill, to_make
from uyan.data.probe import content_sha1
from uyan.data.shards.shard_writer import ShardWriter
from uyan.data.variants import Variant, VariantConfig, VariantTable
from uyan.data.voice_change import change_voice
from uyan.data.waveform import change_level, clip, reverberate, through_microphone, through_telephone
from uyan.engine.given_up import GivenUp
from uyan.engine.parallel import Progress, silent
from uyan.errors import AudioError, DataError
from uyan.frontend import FrontendConfig, log_mel
from uyan.storage.location import Location

HELD_RESPONSES = 512
"""Room responses a process keeps, those used last: 50 MB at 1.5 s each."""

Source = tuple[Location, str]
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


Wanted = tuple[str, Variant, Source | None]
"""Name of the features, what to do, and the room where there is one."""


def extract_variants(
    sources: Sequence[tuple[Location, str, int]],
    responses: Sequence[Source],
    cache: FeatureCache,
    config: VariantConfig,
    workers: int | None = None,
    progress: Progress = silent,
    given_up: GivenUp | None = None,
) -> int:
    """Fill the cache with the variants of (file, content hash, how many); what is there already is left alone.

    Without room responses there is no reverberation; `given_up` as in `extract`. Returns how many variants were made.
    Raises DataError when a recording or a room response no longer holds that content, or when a response is silent;
    ShardError where features cannot be written, StorageError where the store cannot be read.
    """
    table = VariantTable(config, tuple(sha1 for _, sha1 in responses))
    counts: dict[str, int] = {}
    for _, sha1, count in sources:
        counts[sha1] = max(count, counts.get(sha1, 0))
    files = {sha1: file for file, sha1, _ in sources}
    takes = {table.take(sha1, n).key: (sha1, n) for sha1, count in counts.items() for n in range(1, count + 1)}
    missing = to_make(cache, list(takes), workers, progress)
    wanted = _wanted([(key, *takes[key]) for key in missing], table, responses)
    jobs = [Job(files[sha1], sha1, tuple(variants)) for sha1, variants in wanted.items()]
    fill("variants", _extract_one, jobs, cache, workers, progress, given_up)
    return sum(len(variants) for variants in wanted.values())


def _wanted(
    missing: Sequence[tuple[str, str, int]], table: VariantTable, responses: Sequence[Source]
) -> dict[str, list[Wanted]]:
    """Variants by recording, from (name of the features, content hash, number)."""
    wanted: dict[str, list[Wanted]] = {}
    for key, sha1, number in missing:
        variant = table.draw(sha1, number)
        room = None if variant.room is None else responses[variant.room]
        wanted.setdefault(sha1, []).append((key, variant, room))
    return wanted


def _extract_one(job: Job, writer: ShardWriter, config: FrontendConfig) -> str | None:
    samples = read(job.file)
    if content_sha1(samples) != job.sha1:
        return changed(job.file)
    wanted: tuple[Wanted, ...] = job.wanted
    for key, variant, room in wanted:
        rooms = [] if room is None else [_response(*room)]
        heard = apply_variant(samples, replace(variant, room=0 if rooms else None), rooms)
        writer.add(key, log_mel(heard, config))
    return None


@lru_cache(maxsize=HELD_RESPONSES)
def _response(file: Location, sha1: str) -> Samples:
    """A room response, read once in each process."""
    try:
        response = read(file)
    except AudioError as reason:
        raise DataError(f"room response {reason}; mend it or leave it out") from reason
    if content_sha1(response) != sha1:
        raise DataError(f"{file}: changed since it was checked; run `uyan data check` again")
    return response
