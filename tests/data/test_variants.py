"""Variants are drawn from content and number alone, as configured, and named so that nothing stale is read."""

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.data.variants import Variant, VariantConfig, VariantTable, draw_variant
from uyan.errors import ConfigError, DataError

CONFIG = VariantConfig()
NOTHING = VariantConfig(
    rir_share=0, speed_share=0, pitch_share=0, formant_share=0, telephone_share=0, microphone_share=0, clip_share=0,
    gain_db=0,
)  # fmt: skip
SHAPING = sorted({field.name for field in fields(VariantConfig)} - {"positive", "negative"})


def sha1(number: int) -> str:
    return f"{number:040x}"


def drawn(config: VariantConfig, count: int = 2000, responses: int = 5) -> Iterator[Variant]:
    return (draw_variant(sha1(i), 1 + i % 3, config, responses) for i in range(count))


def test_a_known_variant_stays_what_it_is() -> None:
    """Features cached under it would be wrong otherwise: raise VERSION when this changes."""
    table = VariantTable(CONFIG, (sha1(1), sha1(2)))
    assert table.take(sha1(0), 5).key == "930476330b62939c73ab3b96b3f5e08f63fa58c7"
    variant = table.draw(sha1(0), 5)
    assert (variant.room, variant.microphone_seed, variant.telephone) == (0, 2456145073, "")
    assert variant.speed_percent == pytest.approx(-1.687321, abs=1e-6)


def test_every_share_and_amount_is_kept() -> None:
    variants = list(drawn(CONFIG))
    for name, share, limit in (
        ("speed_percent", 0.5, 12.0),
        ("pitch_semitones", 0.5, 3.0),
        ("formant_percent", 0.5, 15.0),
        ("gain_db", 1.0, 10.0),
    ):
        amounts = np.array([getattr(variant, name) for variant in variants])
        assert np.mean(amounts != 0) == pytest.approx(share, abs=0.04)
        some = amounts[amounts != 0]
        assert np.abs(some).max() <= limit
        assert np.quantile(some, [0.05, 0.5, 0.95]) == pytest.approx([-0.9 * limit, 0, 0.9 * limit], abs=0.1 * limit)
    for name, share in (("microphone_db", 0.5), ("clip_db", 0.1), ("telephone", 0.2)):
        assert np.mean([bool(getattr(variant, name)) for variant in variants]) == pytest.approx(share, abs=0.04)
    assert {variant.microphone_db for variant in variants} == {0.0, 8.0}
    assert 11 < max(variant.clip_db for variant in variants) <= 12.0
    assert len({variant.microphone_seed for variant in variants if variant.microphone_db}) > 900


def test_rooms_and_codecs_are_evenly_used() -> None:
    variants = list(drawn(CONFIG))
    rooms = [variant.room for variant in variants if variant.room is not None]
    assert len(rooms) == pytest.approx(1000, abs=80)
    assert np.bincount(rooms, minlength=5) == pytest.approx([200] * 5, abs=50)
    codecs = [variant.telephone for variant in variants if variant.telephone]
    assert codecs.count("gsm") == pytest.approx(codecs.count("mu-law"), abs=80)


def test_amounts_do_not_depend_on_each_other() -> None:
    table = [
        [v.speed_percent, v.pitch_semitones, v.formant_percent, v.room or 0, v.microphone_db, v.gain_db, v.clip_db,
         len(v.telephone)]
        for v in drawn(CONFIG)
    ]  # fmt: skip
    correlation = np.corrcoef(np.array(table).T) - np.eye(8)
    assert np.abs(correlation).max() < 0.09  # 4 standard errors of 2,000


def test_nothing_asked_for_does_nothing_and_no_rooms_is_no_error() -> None:
    assert set(drawn(NOTHING, 200)) == {Variant()}
    assert {variant.room for variant in drawn(CONFIG, 200, responses=0)} == {None}
    everything = [replace(CONFIG, **{name: 1.0 for name in SHAPING if name.endswith("_share")})]
    for variant in drawn(everything[0], 200, responses=1):
        assert variant.room == 0 and variant.telephone and variant.microphone_db and variant.clip_db


@pytest.mark.parametrize(
    ("changes", "concerned"),
    [
        ({"positive": 3, "negative": 0}, set()),
        ({"speed_share": 1.0}, {"speed_percent"}),
        ({"pitch_semitones": 1.0}, {"pitch_semitones"}),
        ({"formant_percent": 5.0}, {"formant_percent"}),
        ({"rir_share": 0.0}, {"room"}),
        ({"telephone_share": 0.9}, {"telephone"}),
        ({"microphone_share": 0.9}, {"microphone_db", "microphone_seed"}),
        ({"clip_share": 0.9}, {"clip_db"}),
        ({"gain_db": 3.0}, {"gain_db"}),
    ],
)
def test_another_setting_changes_only_what_it_speaks_of(changes: dict[str, Any], concerned: set[str]) -> None:
    pairs = zip(drawn(CONFIG, 100), drawn(replace(CONFIG, **changes), 100), strict=True)
    changed = {
        field.name for one, other in pairs for field in fields(Variant)
        if getattr(one, field.name) != getattr(other, field.name)
    }  # fmt: skip
    assert changed == concerned


@given(number=st.integers(1, 10_000), seed=st.integers(0, 2**160 - 1))
def test_a_draw_is_a_function_of_content_and_number(number: int, seed: int) -> None:
    one = draw_variant(sha1(seed), number, CONFIG, 7)
    assert one == draw_variant(sha1(seed), number, CONFIG, 7)
    assert one != draw_variant(sha1(seed), number + 1, CONFIG, 7)
    assert one != draw_variant(sha1(seed ^ 1), number, CONFIG, 7)


@pytest.mark.parametrize("number", [0, -1])
def test_variants_are_counted_from_one(number: int) -> None:
    with pytest.raises(DataError, match=f"variant {number} of a recording: variants are counted from 1"):
        draw_variant(sha1(1), number, CONFIG, 0)


def test_number_zero_is_the_recording_itself() -> None:
    assert VariantTable(CONFIG).take(sha1(5), 0) == (sha1(5), 1.0)


def test_a_take_is_as_long_as_its_variant_and_has_a_name_of_its_own() -> None:
    table = VariantTable(CONFIG, (sha1(1), sha1(2)))
    takes = {(i, number): table.take(sha1(i), number) for i in range(100) for number in range(1, 6)}
    for (i, number), take in takes.items():
        assert take.stretch == pytest.approx(1 / (1 + table.draw(sha1(i), number).speed_percent / 100))
        assert len(take.key) == 40 and int(take.key, 16) >= 0
    assert len({take.key for take in takes.values()}) == 500
    stretches = np.array([take.stretch for take in takes.values()])
    assert 1 / 1.12 <= stretches.min() < 0.95 < 1.05 < stretches.max() <= 1 / 0.88


@pytest.mark.parametrize("name", SHAPING)
def test_all_that_shapes_the_sound_is_in_the_name(name: str) -> None:
    rooms = (sha1(1),)
    other = VariantTable(replace(CONFIG, **{name: getattr(CONFIG, name) / 2}), rooms)
    assert other.digest() != VariantTable(CONFIG, rooms).digest()
    assert other.take(sha1(9), 1).key != VariantTable(CONFIG, rooms).take(sha1(9), 1).key


def test_how_many_there_are_is_not_in_the_name() -> None:
    more = VariantTable(replace(CONFIG, positive=20, negative=3))
    assert more.digest() == VariantTable(CONFIG).digest()
    assert more.take(sha1(9), 4) == VariantTable(CONFIG).take(sha1(9), 4)
    assert VariantTable(replace(CONFIG, gain_db=10)).digest() == VariantTable(CONFIG).digest()  # 10 and 10.0 dB


def test_the_rooms_are_in_the_name_where_they_are_heard() -> None:
    rooms = [(), (sha1(1),), (sha1(2),), (sha1(1), sha1(2)), (sha1(2), sha1(1))]
    assert len({VariantTable(CONFIG, responses).digest() for responses in rooms}) == 5
    dry = replace(CONFIG, rir_share=0.0)
    assert len({VariantTable(dry, responses).digest() for responses in rooms}) == 1
    assert all(len(VariantTable(dry, one).digest()) == 16 for one, _ in pairwise(rooms))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"positive": -1}, "positive and negative cannot be less than 0"),
        ({"rir_share": 1.1}, r"rir_share must lie in \[0, 1\], not 1.1"),
        ({"clip_db": -1.0}, "clip_db cannot be negative"),
        ({"speed_percent": 50.0}, "must be below 50"),
        ({"formant_percent": 80.0}, "must be below 50"),
        ({"pitch_semitones": 13.0}, "at most an octave, 12, not 13"),
    ],
)
def test_the_configuration_is_validated(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        VariantConfig(**changes)
