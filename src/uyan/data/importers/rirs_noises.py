"""Room responses and noises of SLR28 (Ko et al. 2017): simulated_rirs, real_rirs_isotropic_noises, pointsource_noises.

Recordings of several microphones are read as the mean of their channels, as every recording is.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from uyan.data.importers.found import Found, audio_below, expect
from uyan.data.recording import Kind

LICENSE = "Apache 2.0"
ROOMS = (
    r"RVB2014_type\d_(?:rir|noise)_([a-z]+room\d+)_.+",
    r"RWCP_type[1235]_(?:rir|noise)_(?:circle|cirline)_([a-z\d]+)_(?:imp|ambient).+",
    r"RWCP_(type4)_rir_[mp]?\d+[lr]",
    r"air_type\d_air_(?:binaural|phone_bt|phone)_([a-z_]+?)\d?_(?:[\d_]+|hfrp|hhp)",
)
"""How the REVERB challenge, the RWCP sound scenes and the Aachen responses name their rooms, each followed by angle,
distance or microphone. The fourth RWCP type is the two ears of a head in one room; stairway2 is where stairway is."""
RESPONSE: tuple[Kind, str] = ("rir", "real")
NOISE: tuple[Kind, str] = ("noise", "isotropic")
SIMULATED, REAL, POINTS = "simulated_rirs", "real_rirs_isotropic_noises", "pointsource_noises"


def find(folder: Path) -> Iterator[Found]:
    """Responses of rooms and noises, what was recorded in one room kept together."""
    expect(folder, (SIMULATED, REAL, POINTS), "RIRS_NOISES (SLR28)")
    for path in audio_below(folder, f"{SIMULATED}/*/*/*.wav"):
        _, size, room, _ = path.split("/")
        yield Found(path, "rir", size, LICENSE, f"slr28:{size}:{room}")
    for path in audio_below(folder, f"{REAL}/*.wav"):
        name = path.split("/")[1].removesuffix(".wav")
        kind, label = NOISE if "noise" in name.lower() else RESPONSE
        yield Found(path, kind, label, LICENSE, f"slr28:{_room(name)}")
    for path in audio_below(folder, f"{POINTS}/*.wav"):
        yield Found(path, "noise", "point source", LICENSE)


def _room(name: str) -> str:
    """The collection and the room of a measured file, whatever stands where in it; an unknown name by itself.

    >>> _room("RVB2014_type1_rir_largeroom1_far_angla"), _room("RWCP_type2_rir_cirline_ofc_imp090")
    ('RVB2014:largeroom1', 'RWCP:ofc')
    >>> _room("air_type1_air_phone_bt_office_hhp"), _room("RWCP_type4_rir_p30l")
    ('air:office', 'RWCP:type4')
    """
    collection = name.partition("_")[0]
    for pattern in ROOMS:
        if match := re.fullmatch(pattern, name):
            return f"{collection}:{match[1]}"
    return name
