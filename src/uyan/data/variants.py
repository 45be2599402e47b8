"""Which variants a recording has: rooms, speed, pitch and formants, telephone, microphones, clipping, level.

Each is drawn once, from the recording's content and the variant's number, and cached as features (`variant_features`),
so that training pays nothing for it. Positives and negatives go through the same chain: what is heard in a room must
not be a sign of the keyword. It knows nothing of audio, labels or batches.
"""

import hashlib
import json
import struct
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, NamedTuple

from uyan.errors import ConfigError, DataError

VERSION = 1
"""Raised when the same configuration sounds different: features cached before are made anew."""
MAX_PITCH_SEMITONES = 12.0
DRAWS = 15
"""Random numbers behind each variant, every one with a purpose of its own."""
Codec = Literal["mu-law", "gsm"]
"""What a telephone does to speech."""
COUNTS = {"positive", "negative"}
"""Fields that change how many variants there are, but not what they sound like."""


@dataclass(frozen=True)
class VariantConfig:
    """How many variants a recording has, and what they may be."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "allow_inf_nan": False}

    positive: int = 16
    """Variants of each recording of the keyword, besides the recording itself."""
    negative: int = 2
    """Variants of every other spoken recording."""
    rir_share: float = 0.5
    """Share of the variants heard in a room, where there are room responses (kind `rir`); 0 turns them off."""
    speed_share: float = 0.5
    speed_percent: float = 12.0
    """Faster or slower by up to this much, pitch and formants unchanged."""
    pitch_share: float = 0.5
    pitch_semitones: float = 3.0
    """Pitch up or down by up to this much, formants unchanged."""
    formant_share: float = 0.5
    formant_percent: float = 15.0
    """Formants scaled up or down by up to this much: a shorter or longer vocal tract."""
    telephone_share: float = 0.2
    """8 kHz, 300–3400 Hz, µ-law or GSM-like."""
    microphone_share: float = 0.5
    microphone_db: float = 8.0
    """A smooth random response of up to this much either way."""
    clip_share: float = 0.1
    clip_db: float = 12.0
    """Driven into the rails by up to this much."""
    gain_db: float = 10.0
    """Level changes by up to this much either way; what is clipped ends at full scale all the same."""

    def __post_init__(self) -> None:
        if self.positive < 0 or self.negative < 0:
            raise ConfigError("variants: positive and negative cannot be less than 0")
        for name, value in vars(self).items():
            if name.endswith("_share") and not 0 <= value <= 1:
                raise ConfigError(f"variants.{name} must lie in [0, 1], not {value}")
            if not name.endswith("_share") and value < 0:
                raise ConfigError(f"variants.{name} cannot be negative, as {value} is")
        if self.speed_percent >= 50 or self.formant_percent >= 50:
            raise ConfigError("variants: speed_percent and formant_percent must be below 50")
        if self.pitch_semitones > MAX_PITCH_SEMITONES:
            raise ConfigError(f"variants.pitch_semitones must be at most an octave, 12, not {self.pitch_semitones}")


@dataclass(frozen=True)
class Variant:
    """What is done to a recording, in this order; the defaults do nothing."""

    speed_percent: float = 0.0
    pitch_semitones: float = 0.0
    formant_percent: float = 0.0
    room: int | None = None
    """Which of the room responses."""
    microphone_seed: int = 0
    microphone_db: float = 0.0
    gain_db: float = 0.0
    clip_db: float = 0.0
    telephone: Literal["", Codec] = ""


def draw_variant(sha1: str, number: int, config: VariantConfig, responses: int) -> Variant:
    """Variant `number` (from 1) of the recording with that content, where there are so many room responses.

    A function of its arguments alone, on every machine and in every fold. Another share or amount in `config` changes
    only what it speaks of. Raises DataError for a number below 1.

    >>> draw_variant("ab", 1, VariantConfig(), 3) == draw_variant("ab", 1, VariantConfig(positive=2), 3)
    True
    """
    if number < 1:
        raise DataError(f"variant {number} of a recording: variants are counted from 1")
    draws = _draws(sha1, number)
    room, microphone, clipped, telephone = draws[6:10]
    has_room, has_microphone = responses and room < config.rir_share, microphone < config.microphone_share
    codec: Codec = "mu-law" if draws[10] < 0.5 else "gsm"
    return Variant(
        speed_percent=_speed_percent(draws, config),
        pitch_semitones=_either_way(draws[3], config.pitch_semitones) if draws[2] < config.pitch_share else 0.0,
        formant_percent=_either_way(draws[5], config.formant_percent) if draws[4] < config.formant_share else 0.0,
        room=int(draws[11] * responses) if has_room else None,
        microphone_seed=int(draws[12] * 2**32) if has_microphone else 0,
        microphone_db=config.microphone_db if has_microphone else 0.0,
        gain_db=_either_way(draws[13], config.gain_db),
        clip_db=draws[14] * config.clip_db if clipped < config.clip_share else 0.0,
        telephone=codec if telephone < config.telephone_share else "",
    )


def _draws(sha1: str, number: int) -> tuple[float, ...]:
    """Numbers in [0, 1), as fine as a float64 has them, the same for ever.

    Not from a numpy generator: seeding one takes longer than all of this, and its stream may change with numpy.
    """
    stream = hashlib.shake_128(f"{sha1} {number}".encode()).digest(8 * DRAWS)
    return tuple([(integer >> 11) * 2.0**-53 for integer in struct.unpack(f"<{DRAWS}Q", stream)])


def _speed_percent(draws: tuple[float, ...], config: VariantConfig) -> float:
    return _either_way(draws[1], config.speed_percent) if draws[0] < config.speed_share else 0.0


def _either_way(draw: float, limit: float) -> float:
    return (2 * draw - 1) * limit


class Take(NamedTuple):
    """A recording, or a variant of it, as the feature cache knows it."""

    key: str
    """40 hex digits: the name of its features."""
    stretch: float
    """Its length as a multiple of the recording's: a word at t is heard at t × stretch."""


@dataclass(frozen=True)
class VariantTable:
    """Names and lengths of all variants: what a training needs to find them, and no more."""

    config: VariantConfig
    responses_sha1: tuple[str, ...] = ()
    """Content of the room responses, in the order in which variants count them."""

    def digest(self) -> str:
        """16 hex digits over all that shapes the sound of a variant."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        # 3 and 3.0 semitones are the same, here and in JSON.
        shaping = {name: float(value) for name, value in asdict(self.config).items() if name not in COUNTS}
        rooms = self.responses_sha1 if self.config.rir_share else ()
        return hashlib.sha256(json.dumps([VERSION, shaping, rooms], sort_keys=True).encode()).hexdigest()[:16]

    def draw(self, sha1: str, number: int) -> Variant:
        """`draw_variant` with this configuration and these rooms."""
        return draw_variant(sha1, number, self.config, len(self.responses_sha1))

    def take(self, sha1: str, number: int) -> Take:
        """Variant `number` of the recording with that content; 0 is the recording itself.

        >>> VariantTable(VariantConfig()).take("ab", 0)
        Take(key='ab', stretch=1.0)
        """
        if number == 0:
            return Take(sha1, 1.0)
        key = hashlib.sha1(f"{self._digest} {sha1} {number}".encode()).hexdigest()
        return Take(key, 1 / (1 + _speed_percent(_draws(sha1, number), self.config) / 100))
