"""The test split's score tracks as one file: what is needed to count again at any threshold, without the audio.

A numpy archive without pickles: all scores in one array, the rest as JSON beside it. It knows nothing of folds.
"""

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uyan.decision import DetectorConfig, Scores
from uyan.errors import ConfigError, EvaluationError
from uyan.evaluation.scores import Part, ScoreTrack
from uyan.files import replacing

FORMAT = 1


@dataclass(frozen=True)
class TrackSet:
    """What one detector scored on a test split, and how it was set."""

    keyword: str
    detector: DetectorConfig
    threshold: float
    """Chosen on the validation split."""
    conditions: Mapping[str, Sequence[ScoreTrack]]
    """Positives, one track each, by condition."""
    negatives: Sequence[ScoreTrack]


def save_tracks(tracks: TrackSet, path: Path) -> None:
    """Write the tracks; the same tracks give the same bytes."""
    every = [*(track for positives in tracks.conditions.values() for track in positives), *tracks.negatives]
    head = {
        "format": FORMAT,
        "keyword": tracks.keyword,
        "detector": asdict(tracks.detector),
        "threshold": tracks.threshold,
        "conditions": {name: [_row(track) for track in positives] for name, positives in tracks.conditions.items()},
        "negatives": [_row(track) for track in tracks.negatives],
    }
    text = np.frombuffer(json.dumps(head, ensure_ascii=False).encode(), np.uint8)
    scores = np.concatenate([np.zeros(0), *(track.scores for track in every)])
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, head=text, scores=scores)


def load_tracks(path: Path) -> TrackSet:
    """Read what `save_tracks` wrote. Raises EvaluationError, naming the file, when it is none or damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            head = json.loads(archive["head"].tobytes().decode())
            scores = np.asarray(archive["scores"], np.float64)
        if head["format"] != FORMAT:
            raise ValueError(f"format {head['format']}, not {FORMAT}")
        return _tracks(head, scores)
    except (OSError, ValueError, KeyError, TypeError, EOFError, ConfigError, zipfile.BadZipFile) as reason:
        raise EvaluationError(f"{path}: no readable score tracks ({reason}); run `uyan evaluate` again") from reason


def _row(track: ScoreTrack) -> dict[str, Any]:
    return {
        "stream": track.stream,
        "speaker_id": track.speaker_id,
        "material_s": track.material_s,
        "heard": [track.heard.start, track.heard.stop],
        "hops": track.scores.size,
        "parts": [list(part) for part in track.parts],
    }


def _tracks(head: dict[str, Any], scores: Scores) -> TrackSet:
    at = 0

    def track(row: dict[str, Any]) -> ScoreTrack:
        nonlocal at
        start, at = at, at + row["hops"]
        if at > scores.size:
            raise ValueError(f"{scores.size} scores, fewer than its tracks have")
        parts = tuple(Part(*part) for part in row["parts"])
        heard = slice(*row["heard"])
        return ScoreTrack(row["stream"], row["speaker_id"], row["material_s"], heard, scores[start:at], parts)

    conditions = {name: [track(row) for row in rows] for name, rows in head["conditions"].items()}
    negatives = [track(row) for row in head["negatives"]]
    detector = DetectorConfig(**head["detector"])
    return TrackSet(head["keyword"], detector, head["threshold"], conditions, negatives)
