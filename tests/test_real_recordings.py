"""What synthetic signals cannot show: the code on real recordings, where they lie beside the checkout."""

from pathlib import Path

import numpy as np
import pytest

from uyan.audio_file import read, read_part
from uyan.data.check import CheckReport, check
from uyan.data.duplicates.duplicate_groups import find_links, groups
from uyan.data.locate import locate_word
from uyan.data.manifest import load_manifests
from uyan.data.member import SPLITS, is_positive
from uyan.data.split import SplitConfig, assign
from uyan.frontend import HOP_S, FrontendConfig, log_mel

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
needs_real_data = pytest.mark.skipif(
    not (REAL_DATA / "picovoice" / "manifest.csv").is_file(),
    reason="the real recordings (../shared/data) are not beside this checkout",
)
pytestmark = [pytest.mark.real, pytest.mark.slow, needs_real_data]


@pytest.fixture(scope="module")
def picovoice() -> CheckReport:
    return check(load_manifests([REAL_DATA / "picovoice" / "manifest.csv"]))


@pytest.fixture(scope="module")
def repeated_takes(picovoice: CheckReport) -> list[list[int]]:
    prints = [probe.fingerprint for _, probe in picovoice.good]
    return groups(find_links(prints, [recording.file for recording, _ in picovoice.good], read_part), len(prints))


def test_every_recording_of_the_benchmark_is_usable(picovoice: CheckReport) -> None:
    assert not picovoice.quarantined
    assert len(picovoice.good) == 795


def test_takes_recorded_once_and_filed_ten_times_are_found(
    picovoice: CheckReport, repeated_takes: list[list[int]]
) -> None:
    # Comparing all pairs of one label by cross-correlation gives the same 19 groups with 190 recordings.
    assert len(repeated_takes) == 19
    assert sum(len(group) for group in repeated_takes) == 190
    for group in repeated_takes:
        assert len({picovoice.good[i][0].speaker_id for i in group}) == 1


def test_no_voice_and_no_take_is_in_two_splits(picovoice: CheckReport, repeated_takes: list[list[int]]) -> None:
    recordings = [recording for recording, _ in picovoice.good]
    probes = [probe for _, probe in picovoice.good]
    members = assign(recordings, probes, repeated_takes, "jarvis", SplitConfig())
    used = [m for m in members if m.active]
    speakers = {split: {m.recording.speaker_id for m in used if m.split == split} for split in SPLITS}
    assert sum(len(speakers[split]) for split in SPLITS) == len(set.union(*speakers.values()))
    counted = [m for m in used if is_positive(m.recording, "jarvis")]
    assert len({m.group for m in counted}) == len(counted)


def test_the_word_is_found_in_real_clips(picovoice: CheckReport) -> None:
    config = FrontendConfig()
    clips = [recording for recording, _ in picovoice.good if recording.label == "jarvis"][::8]
    lengths_s = np.array([locate_word(log_mel(read(clip.file), config)).frames * HOP_S for clip in clips])
    assert 0.3 < np.median(lengths_s) < 0.9
    assert np.mean((lengths_s > 0.15) & (lengths_s < 1.3)) > 0.9
