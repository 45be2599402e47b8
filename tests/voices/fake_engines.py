"""Engines for tests that say tones, silence, nothing or for ever; a text's letters are its length."""

import os
import time
from dataclasses import dataclass

import numpy as np

from uyan.audio import SAMPLE_RATE
from uyan.errors import VoiceError
from uyan.voices.speech import EngineVoice, Speech, SpokenWord

LETTER_S = 0.08


@dataclass(frozen=True)
class Tones:
    """Speaks a tone a voice, with half a second of silence around; `moods` of its voices misbehave."""

    count: int = 3
    timed: bool = True
    language: str = "en"

    @property
    def name(self) -> str:
        return "tones"

    def voices(self) -> list[EngineVoice]:
        return [EngineVoice("tones", f"v{number}", self.language, "CC0", number=number) for number in range(self.count)]

    def say(
        self, text: str, voice: EngineVoice, rate: float, pitch_semitones: float, rng: np.random.Generator
    ) -> Speech:
        mood(voice.name)
        words, at_s, start, pieces = [], 0.5, 0, [np.zeros(SAMPLE_RATE // 2, np.float32)]
        hz = (200 + 50 * voice.number) * 2 ** (pitch_semitones / 12)
        for word in text.split():
            first = text.index(word, start)
            start = first + len(word)
            length_s = LETTER_S * len(word) / rate
            time_s = np.arange(round(length_s * SAMPLE_RATE)) / SAMPLE_RATE
            pieces.append((0.3 * np.sin(2 * np.pi * hz * time_s + rng.uniform(0, 6))).astype(np.float32))
            words.append(SpokenWord(first, start, at_s, at_s + length_s + 0.1))
            pieces.append(np.zeros(SAMPLE_RATE // 10, np.float32))
            at_s += pieces[-2].size / SAMPLE_RATE + 0.1
        return Speech(np.concatenate([*pieces, pieces[0]]), SAMPLE_RATE, tuple(words) if self.timed else ())


@dataclass(frozen=True)
class Moody(Tones):
    """Its voices are called by what goes wrong with them."""

    names: tuple[str, ...] = ()

    def voices(self) -> list[EngineVoice]:
        return [EngineVoice("tones", name, "en", "CC0", number=at) for at, name in enumerate(self.names)]

    def say(
        self, text: str, voice: EngineVoice, rate: float, pitch_semitones: float, rng: np.random.Generator
    ) -> Speech:
        said = super().say(text, voice, rate, pitch_semitones, rng)
        if voice.name == "silent":
            return Speech(np.zeros_like(said.samples), SAMPLE_RATE)
        if voice.name == "babbling":
            return Speech(np.tile(said.samples[8000:-8000], 4), SAMPLE_RATE)
        if voice.name == "uneven":
            return super().say(text, voice, rate * rng.uniform(0.5, 1.7), pitch_semitones, rng)
        if voice.name == "moody" and rng.uniform() < 0.7:
            raise VoiceError("not in the mood")
        if voice.name == "parrot":  # whatever is asked for
            return super().say(text, voice, 1.0, 0.0, np.random.default_rng(1))
        return said


def mood(name: str) -> None:
    if name == "hanging":
        time.sleep(600)
    if name == "dying":
        os._exit(9)
    if name == "refusing":
        raise VoiceError("the voice has no such sound")
