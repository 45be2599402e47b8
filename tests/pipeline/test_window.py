"""The window grows with the spoken keyword, unless the recipe or a file to start from has its say."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uyan.data.locate import Span
from uyan.errors import ConfigError
from uyan.frontend import FrontendConfig
from uyan.model.network import LONGEST_WINDOW_S, USUAL_WINDOW_S, Network, NetworkConfig
from uyan.pipeline.window import fitting_window_s, settle_window
from uyan.pipeline.workspace import Workspace
from uyan.recipe import parse_recipe
from uyan.training.trunk import Learnt, Shape, TrunkInfo, save_trunk


def workspace(folder: Path, lines: list[str] | None = None, **changes: Any) -> Workspace:
    raw = {"keyword": "uyan", "data": {"manifests": ["m.csv"]}, **changes}
    told = [] if lines is None else lines
    return Workspace(parse_recipe(raw, "test"), folder, folder / "run", tell=told.append)


def words(*lengths_s: float) -> list[Span]:
    return [Span(20, 20 + round(100 * length_s)) for length_s in lengths_s]


def test_short_words_have_the_usual_window(tmp_path: Path) -> None:
    lines: list[str] = []
    run = workspace(tmp_path, lines)
    settle_window(run, words(0.4, 0.5, 0.6))
    assert (run.window_s, run.window_frames, lines, run.warnings) == (1.0, 100, [], [])


def test_long_words_have_a_longer_one_that_is_told(tmp_path: Path) -> None:
    lines: list[str] = []
    run = workspace(tmp_path, lines)
    settle_window(run, words(0.84, 0.84, 0.84))
    assert (run.window_s, run.window_frames) == (1.3, 130)
    assert run.lead_s >= 1.8
    assert lines == ["window: 1.3 s, as 95 % of the recordings say the keyword within 0.84 s"]


def test_one_straggler_does_not_decide(tmp_path: Path) -> None:
    run = workspace(tmp_path)
    settle_window(run, words(*[0.5] * 99, 3.0))
    assert run.window_s == 1.0


def test_what_the_recipe_says_stays(tmp_path: Path) -> None:
    run = workspace(tmp_path, network={"window_s": 1.0})
    settle_window(run, words(0.84, 0.84))
    assert (run.window_s, run.warnings) == (1.0, [])


def test_a_word_longer_than_the_recipes_window_is_warned_about_with_the_numbers(tmp_path: Path) -> None:
    run = workspace(tmp_path, network={"window_s": 0.7})
    settle_window(run, words(0.5, 0.84, 0.84, 0.84))
    assert run.warnings == [
        "the spoken keyword is longer than the window of 0.70 s in 3 of 4 recordings (95 % are within 0.84 s); set "
        "network.window_s to 1.3 or more, or to auto"
    ]


def test_the_window_of_a_trunk_to_start_from_is_kept(tmp_path: Path) -> None:
    network = Network(NetworkConfig(size="small"), FrontendConfig().mels, 120)
    shape = Shape("small", 120, FrontendConfig().mels, FrontendConfig().digest())
    save_trunk(tmp_path / "t.safetensors", network, TrunkInfo(shape, ("evet",), Learnt(frozenset(), frozenset()), "x"))
    run = workspace(tmp_path, training={"init": "t.safetensors"})
    settle_window(run, words(0.84, 0.84))
    assert run.window_s == 1.2


def test_a_file_to_start_from_that_is_missing_is_named(tmp_path: Path) -> None:
    run = workspace(tmp_path, training={"init": "none.onnx"})
    with pytest.raises(ConfigError, match=r"training\.init: .*none\.onnx does not exist"):
        settle_window(run, words(0.5))


@given(st.floats(0.01, 20.0), st.floats(0.0, 2.0))
def test_the_word_and_its_tail_fit_and_no_tenth_is_wasted(word_s: float, tail_s: float) -> None:
    window_s = fitting_window_s(word_s, tail_s)
    assert USUAL_WINDOW_S <= window_s <= LONGEST_WINDOW_S
    if USUAL_WINDOW_S < window_s < LONGEST_WINDOW_S:
        assert window_s - 0.1 - 1e-6 < word_s + tail_s <= window_s + 1e-6
