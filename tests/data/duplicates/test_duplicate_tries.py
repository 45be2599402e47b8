"""Tries in packets: pairs stay together, and neither packets nor processes change what is found."""

from pathlib import Path

import numpy as np
import pytest

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read_part, write
from uyan.data.duplicates import duplicate_tries
from uyan.data.duplicates.duplicate_groups import find_links
from uyan.data.duplicates.duplicate_tries import packets_of
from uyan.data.duplicates.fingerprint import fingerprint
from uyan.errors import DataError
from uyan.frontend import FrontendConfig, log_mel


def rows(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array([(*pair, 0, 0) for pair in pairs], np.int64).reshape(-1, 4)


def test_packets_hold_whole_pairs_and_the_sources_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_tries, "PACKET_TRIES", 3)
    pairs = [(0, 1), (0, 1), (0, 2), (0, 2), (0, 2), (1, 3), (2, 3), (2, 3)]
    packets = packets_of(rows(*pairs), "abcd")
    assert [packet.rows[:, :2].tolist() for packet in packets] == [
        [[0, 1], [0, 1], [0, 2], [0, 2], [0, 2]],
        [[1, 3]],
        [[2, 3], [2, 3]],
    ]
    assert [packet.sources for packet in packets] == [{0: "a", 1: "b", 2: "c"}, {1: "b", 3: "d"}, {2: "c", 3: "d"}]
    assert packets_of(rows(), "") == []


@pytest.mark.slow
def test_packets_and_processes_change_nothing(
    tmp_path: Path, word, dying: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, files, prints = np.random.default_rng(3), [], []
    for number in range(60):  # takes of 20 words, some of them copies, in noise of their own
        sound = word(number % 20) + 1e-4 * number * rng.standard_normal(word(number % 20).size)
        sound = np.concatenate([np.zeros(SAMPLE_RATE // 10), sound]).astype(np.float32)
        files.append(tmp_path / f"{number}.wav")
        write(files[-1], sound)
        prints.append(fingerprint(log_mel(sound, FrontendConfig())))
    alone = find_links(prints, files, read_part, workers=1)
    assert 20 < len(alone) <= 40
    monkeypatch.setattr(duplicate_tries, "PACKET_TRIES", 4)
    assert find_links(prints, files, read_part) == alone  # on the engine of the fixture, packet by packet
    dying.append("/7.wav")
    with pytest.raises(DataError, match=r"near-duplicates: its process died 3 times over one of .*/7\.wav"):
        find_links(prints, files, read_part)
