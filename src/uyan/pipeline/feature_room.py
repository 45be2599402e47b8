"""What the features of a run would take, and what they may: numbers that neither `--jobs` nor the split decides.

All recordings are counted as if they trained, in whatever fold. A run alone may fill the room; of runs that are
compared each may take one core's share of it, so that one run a core finds room. It decides nothing.
"""

from collections.abc import Iterable

from uyan.data.cache import BYTES, GIB, default_budget_gb
from uyan.data.member import Member, is_positive
from uyan.frontend import seconds_to_frames
from uyan.recipe import Recipe

DEVICE_SHARE = 0.5
"""Of a GPU's memory, for features: the network, its gradients and the batch in work need the rest."""


def feature_bytes(members: Iterable[Member], recipe: Recipe) -> int:
    """What features of all these take, the test and what is left out included, each with the variants of training."""
    return sum(_frames(member, recipe) for member in members) * recipe.frontend.mels * BYTES


def _frames(member: Member, recipe: Recipe) -> int:
    """Of one recording and its variants, which are about as long."""
    recording = member.recording
    if recording.kind == "rir":
        return 0
    variants = recipe.variants.positive if is_positive(recording, recipe.keyword) else recipe.variants.negative
    return seconds_to_frames(member.duration_s) * (1 if recording.kind == "noise" else 1 + variants)


def room_bytes(recipe: Recipe, gpu_bytes: int | None, sharers: int) -> int:
    """What features may take: a sharer's part of half the GPU's memory, or, without one, of the cache's budget."""
    whole = DEVICE_SHARE * gpu_bytes if gpu_bytes else (recipe.cache.max_ram_gb or default_budget_gb()) * GIB
    return int(whole / sharers)
