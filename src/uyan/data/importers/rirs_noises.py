"""Room responses and noises of SLR28 (Ko et al. 2017): simulated_rirs, real_rirs_isotropic_noises, pointsource_noises.

Recordings of several microphones are read as the mean of their channels, as every recording is.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from uyan.data.importers.found import Found, audio_below, expect

LICENSE = "Apache 2.0"
SIMULATED, REAL, POINTS = "simulated_rirs", "real_rirs_isotropic_noises", "pointsource_noises"


def find(folder: Path) -> Iterator[Found]:
    """Responses of rooms, those of one room kept together, and noises."""
    expect(folder, (SIMULATED, REAL, POINTS), "RIRS_NOISES (SLR28)")
    for path in audio_below(folder, f"{SIMULATED}/*/*/*.wav"):
        _, size, room, _ = path.split("/")
        yield Found(path, "rir", size, LICENSE, f"slr28:{size}:{room}")
    for path in audio_below(folder, f"{REAL}/*.wav"):
        name = path.split("/")[1].removesuffix(".wav")
        if "noise" in name.lower():
            yield Found(path, "noise", "isotropic", LICENSE)
        else:
            yield Found(path, "rir", "real", LICENSE, f"slr28:{_room(name)}")
    for path in audio_below(folder, f"{POINTS}/*.wav"):
        yield Found(path, "noise", "point source", LICENSE)


def _room(name: str) -> str:
    """The name without the number of the position in the room.

    >>> _room("RVB2014_type1_rir_largeroom1_far_angla"), _room("air_type1_air_binaural_booth_0_1")
    ('RVB2014_type1_rir_largeroom1', 'air_type1_air_binaural_booth')
    """
    return re.sub(r"(_(far|near|angl[ab]|\d+))+$", "", name)
