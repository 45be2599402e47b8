"""How well voices are told apart by one short word each: real recordings whose speakers are known.

Runs where recordings of several speakers (`--data`, a folder of manifests) and the encoder's weights are there.
"""

import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from bench.measure import Figure
from uyan import audio_file
from uyan.data.manifest import load_manifests
from uyan.data.recording import Recording
from uyan.data.speakers.speaker_clusters import cluster
from uyan.data.speakers.speaker_encoder import embed, load_encoder
from uyan.errors import ConfigError

MANIFEST = Path("speech_commands") / "manifest.csv"
SPEAKERS, LEAST, MOST = 80, 3, 6
DISTANCES = (0.25, 0.3, 0.35, 0.4, 0.45)


def speaker_groups(data: Path | None) -> list[Figure]:
    """Same or different speaker from 1 s of speech: AUC, and what clustering at several distances puts together."""
    if data is None or not (data / MANIFEST).is_file():
        return []
    try:
        encoder = load_encoder()
    except ConfigError:
        return []
    torch.set_num_threads(1)
    owned = _by_speaker(load_manifests([data / MANIFEST]))
    taken = [recording for speaker in sorted(owned)[:SPEAKERS] for recording in owned[speaker][:MOST]]
    started_s = time.process_time()
    heard = [(r.speaker_id, embed(encoder, audio_file.read(r.file))) for r in taken]
    each_ms = 1e3 * (time.process_time() - started_s) / len(taken)
    who = np.array([speaker for speaker, voice in heard if voice is not None])
    voices = np.stack([voice for _, voice in heard if voice is not None])
    first, second = np.triu_indices(len(who), 1)
    same, distances = who[first] == who[second], (1 - voices @ voices.T)[first, second]
    note = f"{len(who)} recordings of {len(set(who))} speakers"
    figures = [
        Figure("speakers, a recording decoded and embedded", each_ms, "ms", note="CPU time"),
        Figure("speakers, AUC of same against different", _auc(distances, same), note=note, unit=""),
    ]
    for distance in DISTANCES:
        labels = cluster(voices, distance)
        together = labels[first] == labels[second]
        found, right = (together & same).sum() / same.sum(), (together & same).sum() / max(1, together.sum())
        name = f"speakers at distance {distance:g}, pairs of one voice that are together"
        figures.append(Figure(name, 100 * found, "%", note=f"{100 * right:.0f} % of pairs together are of one voice"))
    return figures


def _by_speaker(recordings: list[Recording]) -> dict[str, list[Recording]]:
    owned = defaultdict(list)
    for recording in recordings:
        if recording.speaker_known:
            owned[recording.speaker_id].append(recording)
    return {speaker: found for speaker, found in owned.items() if len(found) >= LEAST}


def _auc(distances: np.ndarray, same: np.ndarray) -> float:
    """The probability that a pair of one voice is nearer than a pair of two."""
    ranks = np.empty(len(distances))
    ranks[np.argsort(distances)] = np.arange(len(distances))
    count = int(same.sum())
    return 1.0 - float((ranks[same].sum() - count * (count - 1) / 2) / (count * (~same).sum()))
