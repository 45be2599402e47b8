"""The engines that are compared: what to install, which worker to run, and which words they have a model for.

The words are those of the pinned versions, found by looking into the packages. An engine is judged on a word only with
a model of exactly that word: "hey jarvis" is not "jarvis". It knows nothing of how they fare.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uyan
from uyan.decision import DetectorConfig

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: workers import `bench.peers.protocol` from here, and it is what pip installs as uyan."""
WORKERS = Path(__file__).resolve().parent / "workers"

COST_WORD = "alexa"
"""The model an engine's cost is measured with when it has none for the words of the stream."""
USUAL_THRESHOLD = 0.5
"""What openWakeWord recommends, and the default of pyopen-wakeword's command line."""
SPHINX_THRESHOLDS = (1e-40, 1e-30, 1e-20, 1e-10, 1e-5, 1e-2, 1.0, 1e2, 1e4)
"""Above 1 too: at 1 the phrase need only be as likely as any other sound, and alarms are left."""
SPHINX_DEFAULT = 1e-30


@dataclass(frozen=True)
class Engine:
    """One detector and how to run it."""

    name: str
    environment: str
    """Engines of one name here share a virtual environment."""
    requirement: str
    """What pip installs there."""
    stamp: str
    """Changes when what is installed would be something else."""
    worker: Path
    models: Mapping[str, str] | None
    """Word → the worker's name for the model; None: any word is its own model."""
    shipped: Mapping[str, float] = field(default_factory=dict)
    """Word → the threshold that a user gets without asking."""
    shipped_else: float = USUAL_THRESHOLD
    thresholds: tuple[float, ...] = ()
    """For an engine that decides by itself: a run at each of them. Empty: it gives scores."""
    decision: DetectorConfig | None = None
    """uyan's own rule from scores to events; None: the first score at or above the threshold, then the lock-out."""
    model_sha256: str = ""

    def model(self, word: str) -> str | None:
        """Its model for a word, if there is one."""
        return word if self.models is None else self.models.get(word)

    @property
    def cost_word(self) -> str:
        """The word to measure its cost with when it knows none of the stream's."""
        return COST_WORD if self.models is None or COST_WORD in self.models else next(iter(self.models))

    def shipped_threshold(self, word: str) -> float:
        """The threshold that a user gets for a word without asking."""
        return self.shipped.get(word, self.shipped_else)


def peers() -> list[Engine]:
    """The engines of others, at the versions whose models were looked at."""
    micro = {"alexa": 0.9, "hey jarvis": 0.97, "hey mycroft": 0.95, "okay nabu": 0.85}
    open_words = ("alexa", "hey jarvis", "hey mycroft", "hey marvin")
    tflite_words = ("alexa", "hey jarvis", "hey mycroft", "hey rhasspy", "okay nabu")
    return [
        _peer("openwakeword", "0.4.0", {word: f"{_underscored(word)}_v0.1" for word in open_words}),
        _peer("pyopen-wakeword", "1.1.0", {word: _underscored(word) for word in tflite_words}),
        _peer("pymicro-wakeword", "2.5.0", {word: _underscored(word) for word in micro}, shipped=micro),
        _peer("pocketsphinx", "5.1.1", None, shipped_else=SPHINX_DEFAULT, thresholds=SPHINX_THRESHOLDS),
    ]


def bundle_engine(path: Path) -> Engine:
    """uyan with one bundle, installed from this checkout. Raises BundleError."""
    info = uyan.load(path).info
    name = "/".join(path.resolve().parts[-3:])
    return Engine(
        name=f"uyan, {name}",
        environment="uyan",
        requirement=str(ROOT),
        stamp=_files_sha256([ROOT / "pyproject.toml", *(ROOT / "src").rglob("*.py")]),
        worker=WORKERS / "listen_uyan.py",
        models={info.label: str(path.resolve())},
        shipped={info.label: info.threshold},
        decision=info.detector,
        model_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def _peer(
    package: str,
    version: str,
    models: Mapping[str, str] | None,
    shipped: Mapping[str, float] | None = None,
    shipped_else: float = USUAL_THRESHOLD,
    thresholds: tuple[float, ...] = (),
) -> Engine:
    requirement = f"{package}=={version}"
    worker = WORKERS / f"listen_{package.replace('-', '_')}.py"
    name = f"{package} {version}"
    return Engine(
        name, package, requirement, requirement, worker, models, shipped or {}, shipped_else, thresholds=thresholds
    )


def _underscored(word: str) -> str:
    return word.replace(" ", "_")


def _files_sha256(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(str(file.relative_to(ROOT)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()
