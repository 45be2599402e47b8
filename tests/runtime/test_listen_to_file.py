from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from uyan.audio import SAMPLE_RATE
from uyan.audio_file import read, write
from uyan.bundle import Bundle
from uyan.detector import Detector
from uyan.errors import AudioError, ConfigError
from uyan.runtime.files import BLOCK_S, listen_to_file


def test_a_file_longer_than_a_block_gives_the_detections_of_one_push(
    bundle: Bundle, changing_sound: Any, tmp_path: Path
) -> None:
    path = tmp_path / "long.wav"
    write(path, changing_sound(BLOCK_S + 15, seed=3))
    expected = Detector(bundle).push(read(path))
    found = list(listen_to_file(bundle, path))
    assert [(d.label, d.time_s) for d in found] == [(d.label, d.time_s) for d in expected]
    assert [d.score for d in found] == pytest.approx([d.score for d in expected], abs=1e-6)
    assert found[0].time_s < BLOCK_S < found[-1].time_s


def test_another_rate_and_two_channels_are_heard_at_the_same_times(
    bundle: Bundle, changing_sound: Any, tmp_path: Path
) -> None:
    write(tmp_path / "mono.wav", changing_sound(8.0, seed=1))
    mono = read(tmp_path / "mono.wav")
    soundfile.write(str(tmp_path / "stereo.flac"), np.stack([mono, mono], axis=1), SAMPLE_RATE)
    expected = list(listen_to_file(bundle, tmp_path / "mono.wav"))
    assert expected
    assert list(listen_to_file(bundle, tmp_path / "stereo.flac")) == expected


def test_the_threshold_is_the_bundle_s_unless_given(bundle: Bundle, changing_sound: Any, tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    write(path, changing_sound(8.0, seed=1))
    assert list(listen_to_file(bundle, path)) == list(listen_to_file(bundle, path, bundle.info.threshold))
    assert list(listen_to_file(bundle, path, 1.0)) == []
    with pytest.raises(ConfigError, match="threshold"):
        list(listen_to_file(bundle, path, 1.5))


def test_a_file_damaged_late_gives_the_detections_before_and_then_the_error(
    bundle: Bundle, changing_sound: Any, tmp_path: Path
) -> None:
    samples = changing_sound(BLOCK_S + 5, seed=3)
    whole_blocks = round(BLOCK_S * SAMPLE_RATE)
    expected = Detector(bundle).push(samples[:whole_blocks])
    samples[-100] = np.nan
    soundfile.write(str(tmp_path / "damaged.wav"), samples, SAMPLE_RATE, subtype="FLOAT")
    found = []
    with pytest.raises(AudioError, match=r"damaged\.wav.*NaN"):
        for detection in listen_to_file(bundle, tmp_path / "damaged.wav"):
            found.append(detection)  # noqa: PERF402  # what came before the error is what is asked
    assert found == expected
    assert found


def test_a_file_shorter_than_the_window_is_silence(bundle: Bundle, changing_sound: Any, tmp_path: Path) -> None:
    write(tmp_path / "short.wav", changing_sound(0.5))
    assert list(listen_to_file(bundle, tmp_path / "short.wav", 0.0)) == []


def test_a_missing_file_is_named(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"missing\.wav"):
        list(listen_to_file(bundle, tmp_path / "missing.wav"))
