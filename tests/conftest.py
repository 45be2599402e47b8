"""Small things many tests need: a seeded generator, tones, a data set on disk, object storage, and a bundle."""

import logging
import os
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile
from hypothesis import settings
from numpy.typing import NDArray

from fake_sounddevice import FakeSoundDevice, Plug
from uyan.audio import SAMPLE_RATE
from uyan.bundle import Bundle, BundleInfo, load
from uyan.decision import DetectorConfig
from uyan.evaluation import scores
from uyan.frontend import Cmvn, FrontendConfig, log_mel

# Nodes, and what serves a client of theirs, start slowly beside other work.
os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
os.environ.setdefault("RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S", "60")

if TYPE_CHECKING:
    from uyan.model.network import Network

# As in the Makefile: threads that spin while they wait take the cores of other processes. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# A busy machine is no failure: examples have no time limit.
settings.register_profile("uyan", deadline=None)
settings.load_profile("uyan")

Tone = Callable[..., NDArray[np.float32]]
WriteRecording = Callable[..., Path]
Sound = Callable[..., NDArray[np.float32]]
WriteCorpus = Callable[..., Path]
Uyan = Callable[..., tuple[int, str, str]]
PlugIn = Callable[..., FakeSoundDevice]


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """A real S3 server on loopback."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The empty bucket `words` on it, as an fsspec filesystem; its endpoint and credentials are in the environment."""
    import s3fs

    from uyan.storage import remote

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "uyan-tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-very-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    urllib.request.urlopen(urllib.request.Request(f"{s3_endpoint}/moto-api/reset", method="POST")).close()
    remote._system.cache_clear()
    files = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    files.mkdir("words")
    yield files
    remote._system.cache_clear()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(42)


@pytest.fixture
def tone() -> Tone:
    """tone(frequency_hz, duration_s, amplitude, rate_hz): a sine of shape (samples,)."""

    def make(
        frequency_hz: float, duration_s: float = 1.0, amplitude: float = 0.5, rate_hz: int = SAMPLE_RATE
    ) -> NDArray[np.float32]:
        times_s = np.arange(round(duration_s * rate_hz)) / rate_hz
        return (amplitude * np.sin(2 * np.pi * frequency_hz * times_s)).astype(np.float32)

    return make


@pytest.fixture
def write_recording(tmp_path: Path, rng: np.random.Generator) -> WriteRecording:
    """write_recording("a/b.wav", duration_s): noise, different in every file, below `tmp_path`."""

    def write(path: str, duration_s: float = 0.5, amplitude: float = 0.1) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        samples = amplitude * rng.uniform(-1, 1, round(duration_s * SAMPLE_RATE))
        soundfile.write(str(file), samples, SAMPLE_RATE)
        return file

    return write


@pytest.fixture(scope="session")
def changing_sound() -> Sound:
    """changing_sound(duration_s, seed): a tone in noise whose pitch and levels jump, shape (samples,)."""

    def make(duration_s: float, seed: int = 42) -> NDArray[np.float32]:
        rng = np.random.default_rng(seed)
        parts = []
        for _ in range(int(duration_s / 0.4) + 1):
            phase = 2 * np.pi * rng.uniform(100, 6000) * np.arange(round(0.4 * SAMPLE_RATE)) / SAMPLE_RATE
            noise = rng.normal(0, 10 ** rng.uniform(-4, -1.3), phase.size)
            parts.append(10 ** rng.uniform(-3, -0.5) * np.sin(phase) + noise)
        sound = np.concatenate(parts)[: round(duration_s * SAMPLE_RATE)]
        return np.clip(sound, -1.0, 0.999).astype(np.float32)

    return make


@pytest.fixture(scope="session")
def network(changing_sound: Sound) -> "Network":
    """An untrained small network whose head is scaled so that its scores of `changing_sound` cover (0, 1)."""
    import torch

    from uyan.model.network import Network, NetworkConfig

    features = log_mel(changing_sound(30.0), FrontendConfig())
    cmvn = Cmvn.of(features, FrontendConfig())
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(42)
        made = Network(NetworkConfig(size="small"), mels=64, window_frames=100).eval()
        made.set_cmvn(torch.tensor(cmvn.mean), torch.tensor(cmvn.variance))
        logits = made(torch.from_numpy(features[None]))[0]
        gain = 3.0 / (logits[1] - logits[0]).std()
        made.head.weight *= gain
        made.head.bias.sub_(logits.mean(dim=1)).mul_(gain)  # type: ignore[union-attr]
    return made


@pytest.fixture(scope="session")
def bundle_info(network: "Network") -> BundleInfo:
    """Metadata for `network`: the word is "günaydın", the threshold 0.5."""
    frontend = FrontendConfig()
    mean, deviation = network.mean[:, 0].double(), network.inverse_deviation[:, 0].double()
    cmvn = Cmvn(2998, tuple(mean.tolist()), tuple((deviation**-2).tolist()), frontend.digest())
    return BundleInfo(
        label="günaydın",
        frontend=frontend,
        cmvn=cmvn,
        window_frames=100,
        temperature=1.5,
        threshold=0.5,
        tta_threshold=0.5,
        detector=DetectorConfig(),
        config_hash="0" * 64,
        version="0.1.0",
        data={"train": {"positives": 200, "hours": 1.5}},
        measured={"fah": 0.4, "hours": 7.5},
    )


@pytest.fixture(scope="session")
def bundle(network: "Network", bundle_info: BundleInfo, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """`network` and `bundle_info` as a file, loaded."""
    from uyan.export.onnx import make_bundle, network_to_onnx, save_bundle

    path = tmp_path_factory.mktemp("bundle") / "bundle.onnx"
    save_bundle(make_bundle(network_to_onnx(network, mels=64), bundle_info, path))
    return load(path)


@pytest.fixture(scope="session")
def write_corpus() -> WriteCorpus:
    """write_corpus(folder, speakers, noise): a minute and a half of made-up "speech", as `folder/manifest.csv`.

    Every speaker, at a pitch of their own, says "uyan" (a rising chirp), "merhaba" and "selam" twice and talks for a
    while; four noises of 6 s.
    """

    def write(folder: Path, speakers: int = 8, noise: int = 4) -> Path:
        rng = np.random.default_rng(5)
        rows = ["path,label,speaker_id,duration_s,kind"]

        def save(path: str, label: str, speaker_id: str, kind: str, samples: NDArray[np.floating]) -> None:
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(str(file), np.clip(samples, -1, 1), SAMPLE_RATE)
            rows.append(f"{path},{label},{speaker_id},{samples.size / SAMPLE_RATE:.3f},{kind}")

        for speaker in range(speakers):
            name, pitch_hz = f"voice{speaker}", 110.0 * 1.09**speaker
            for label in ("uyan", "merhaba", "selam"):
                for take in range(2):
                    save(f"{label}/{name}-{take}.wav", label, name, "keyword", _word(label, pitch_hz, rng))
            talk = [_word(("merhaba", "selam")[i % 2], pitch_hz, rng) for i in range(6)]
            save(f"talk/{name}.wav", "speech", name, "negative", np.concatenate(talk))
        for number in range(noise):
            hum = rng.standard_normal(6 * SAMPLE_RATE).cumsum() % 0.2 - 0.1
            save(f"noise/{number}.wav", "hum", "", "noise", hum)
        manifest = folder / "manifest.csv"
        manifest.write_text("\n".join([*rows, ""]), encoding="utf-8")
        return manifest

    return write


def _word(label: str, pitch_hz: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """About 0.9 s: harmonics that glide as the word does, each take a little different, shape (samples,)."""
    glide = {"uyan": 1.8, "merhaba": 0.6, "selam": 1.0}[label]
    duration_s = rng.uniform(0.4, 0.55)
    share = np.linspace(0, 1, round(duration_s * SAMPLE_RATE))
    phase = np.cumsum(pitch_hz * rng.uniform(0.93, 1.07) * glide**share) / SAMPLE_RATE
    tones = sum(np.sin(2 * np.pi * (h * phase + rng.random())) / h for h in range(1, 12))
    voiced = 0.2 * np.sin(np.pi * share) * tones
    before, after = (np.zeros(round(rng.uniform(0.15, 0.3) * SAMPLE_RATE)) for _ in range(2))
    samples = np.concatenate([before, voiced, after])
    spoken: NDArray[np.float64] = samples + 0.002 * rng.standard_normal(samples.size)
    return spoken


@pytest.fixture
def uyan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Uyan:
    """uyan(*arguments): exit code, standard output and standard error of the command, on a wide terminal."""
    from uyan.cli.main import main

    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["uyan", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return run


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlugIn]:
    """plug_in(Plug(…), …): these are the machine's microphones; the fake `sounddevice`, with no stream left open."""
    made: list[FakeSoundDevice] = []

    def plug(*plugs: Plug, default: int = 0) -> FakeSoundDevice:
        made.append(FakeSoundDevice(*plugs, default=default))
        monkeypatch.setitem(sys.modules, "sounddevice", made[-1])  # type: ignore[arg-type]
        return made[-1]

    yield plug
    left_open = [stream.plug.name for fake in made for stream in fake.opened if not stream.closed]
    for fake in made:
        for stream in fake.opened:
            stream.close()
    assert not left_open


@pytest.fixture
def one_push(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream reaches the scorer at once, for scorers that make up the scores of the whole of it."""
    track = scores.track
    monkeypatch.setattr(
        scores,
        "track",
        lambda bundle, made, tta: track(bundle, replace(made, blocks=(np.concatenate(list(made.blocks)),)), tta),
    )


@pytest.fixture
def dying() -> Iterator[list[str]]:
    """Names put into it kill, on the engine in the meantime, whoever works on an item that has one in its words."""
    from uyan.engine import parallel
    from uyan.engine.task_map import Lost, opened

    names: list[str] = []

    def mapped(task: Callable[[Any], Any], items: Sequence[Any], workers: int) -> Iterator[Any]:
        with opened(task) as each:
            for item in items:
                killed = any(name in str(item) for name in names)
                yield Lost("its process died 3 times", "n1") if killed else each(item)

    token = parallel._engine.set(parallel.HERE._replace(map=mapped))
    yield names
    parallel._engine.reset(token)
