"""What neural voices add to the embedded demo, where one is installed: the keyword, near phrases and sentences.

Their recordings stand in manifests of their own beside the demo's. It knows nothing of features or training.
"""

import hashlib
import os
from pathlib import Path

from uyan.engine.parallel import Progress, silent
from uyan.voices.corpus import generate
from uyan.voices.demo_text import CONFUSABLES, DEMO_KEYWORD, KEYWORD_SPELLING, SENTENCES
from uyan.voices.installed import Wish, check_files, choose, importable, installed
from uyan.voices.order import Order
from uyan.voices.speech import EngineVoice, speaks

ENGINES = ("piper", "kokoro")
"""The quicker first; one is enough for a demo."""
LANGUAGE = "en"
POSITIVES, NEGATIVES, TAKES = 96, 144, 3
"""Clips; as few as leave the demo short."""


def neural_voices(folder: Path) -> list[EngineVoice]:
    """The English voices of the first neural engine that has any; none where none is installed.

    Raises VoiceError for a voice whose file is damaged.
    """
    for engine in installed(folder):
        if engine.name in ENGINES and any(speaks(voice.language, LANGUAGE) for voice in engine.voices()):
            return choose(folder, Wish(engines=(engine.name,), languages=(LANGUAGE,)))[1]
    return []


def voiceless(folder: Path) -> str:
    """The neural engine that is installed and has no voice to speak with; empty where there is none."""
    with_voice = {engine.name for engine in installed(folder)}
    return next((name for name in ENGINES if importable(name) and name not in with_voice), "")


def write_neural(folder: Path, voices_folder: Path, seed: int, progress: Progress = silent) -> list[Path]:
    """The manifests of what neural voices said into `folder`; none where none is installed. Resumable.

    Other voices say it into another subfolder. Raises VoiceError for a voice whose file is damaged.
    """
    voices = neural_voices(voices_folder)
    if not voices:
        return []
    engines = [engine for engine in installed(voices_folder) if engine.name == voices[0].engine]
    check_files(engines, voices)
    words = tuple(KEYWORD_SPELLING + end for end in ("", "!", "?"))
    keyword = Order(DEMO_KEYWORD, words, seed=seed, takes=TAKES)
    others = (*CONFUSABLES[LANGUAGE], *SENTENCES[LANGUAGE])
    other = Order("", tuple(dict.fromkeys(others)), kind="negative", seed=seed + 1, takes=TAKES)
    workers = os.cpu_count() or 1
    who = hashlib.sha256("\n".join(voice.name for voice in voices).encode()).hexdigest()[:8]
    spoken = folder / f"{voices[0].engine}-{who}"
    return [
        generate(order, engines, voices, spoken / order.kind, count, workers, progress=progress).manifest
        for order, count in ((keyword, POSITIVES), (other, NEGATIVES))
    ]
