from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from uyan.decision import DetectorConfig
from uyan.errors import EvaluationError
from uyan.evaluation.scores import Part, ScoreTrack
from uyan.evaluation.track_file import TrackSet, load_tracks, save_tracks


def make(name: str, scores: list[float], *parts: Part) -> ScoreTrack:
    return ScoreTrack(name, "Şükrü", 1.25, slice(1, 3), np.array(scores, np.float64), parts)


PART = Part("id", "sha1", True, 0, 3, 0.75)
TRACKS = TrackSet(
    "günaydın",
    DetectorConfig(votes=2, hysteresis=0.2),
    0.1 + 0.2,
    {"clean": [make("a.wav", [0.1, 1 / 3, 0.9], PART)], "telephone": [make("a.wav", [], PART)]},
    [make("long.wav", [1e-9, 0.2, 0.3, 0.4], PART, PART._replace(recording="other")), make("b.wav", [0.5])],
)


def plain(track: ScoreTrack) -> tuple[object, ...]:
    return (*vars(replace(track, scores=np.zeros(0))).values(), track.scores.tolist(), track.scores.dtype)


def test_reading_gives_back_every_bit(tmp_path: Path) -> None:
    save_tracks(TRACKS, tmp_path / "tracks.npz")
    found = load_tracks(tmp_path / "tracks.npz")
    assert (found.keyword, found.detector, found.threshold) == (TRACKS.keyword, TRACKS.detector, TRACKS.threshold)
    assert list(found.conditions) == list(TRACKS.conditions)
    for name in found.conditions:
        assert str([plain(t) for t in found.conditions[name]]) == str([plain(t) for t in TRACKS.conditions[name]])
    assert str([plain(t) for t in found.negatives]) == str([plain(t) for t in TRACKS.negatives])


def test_the_same_tracks_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.npz", "other.npz"):
        save_tracks(TRACKS, tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


def damage(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "no archive":
        path.write_bytes(b"scores")
    elif how == "pickled":
        np.savez(path, head=np.array([{}], object), scores=np.zeros(0))
    elif how == "without scores":
        with np.load(path) as archive:
            head = archive["head"]
        np.savez(path, head=head, scores=np.zeros(2))
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["cut", "no archive", "pickled", "without scores", "missing"])
def test_a_damaged_file_is_named(tmp_path: Path, how: str) -> None:
    path = tmp_path / "tracks.npz"
    save_tracks(TRACKS, path)
    damage(path, how)
    with pytest.raises(EvaluationError, match=r"tracks\.npz: no readable score tracks .* run `uyan evaluate` again"):
        load_tracks(path)
