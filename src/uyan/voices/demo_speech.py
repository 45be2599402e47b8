"""The demo's utterances: a voice says the keyword or something else, cut to the speech itself.

It knows the demo's texts and nothing of files, pauses or noise.
"""

from dataclasses import replace

import numpy as np

from uyan.audio import SAMPLE_RATE, Samples
from uyan.voices.demo_text import CONFUSABLES, DEMO_KEYWORD, KEYWORD_SPELLING
from uyan.voices.espeak import Voice, say

LANGUAGES = ("en-us", "en", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-us-nyc", "en-gb-x-gbclan", "tr")
PHRASE_S = 0.92
"""The longest spoken keyword: it has to fit a 1.0 s window with some room."""
CONFUSABLE_SHARE = 0.3
"""Of the utterances that are not the keyword; the others are everyday sentences."""


def say_keyword(voice: Voice, rng: np.random.Generator) -> Samples:
    """One take of the keyword, without silence around it, said faster until it fits PHRASE_S."""
    words = DEMO_KEYWORD if voice.language == "tr" else KEYWORD_SPELLING
    text = words + ("", "!", "?")[rng.integers(3)]
    take = _varied(voice, rng)
    spoken = trimmed(say(text, take))
    while spoken.size > PHRASE_S * SAMPLE_RATE:
        take = replace(take, rate_wpm=take.rate_wpm + 10)
        spoken = trimmed(say(text, take))
    return spoken


def say_other(voice: Voice, sentences: dict[str, list[str]], rng: np.random.Generator) -> Samples:
    """A sentence or a confusable phrase in the voice's language, without silence around it."""
    chosen = CONFUSABLES if rng.random() < CONFUSABLE_SHARE else sentences
    texts = chosen["tr" if voice.language == "tr" else "en"]
    return trimmed(say(texts[rng.integers(len(texts))], _varied(voice, rng)))


def _varied(voice: Voice, rng: np.random.Generator) -> Voice:
    """The same speaker a moment later: a little faster or slower, higher or lower."""
    return replace(
        voice,
        rate_wpm=round(voice.rate_wpm * rng.uniform(0.93, 1.07)),
        pitch=int(np.clip(voice.pitch + rng.integers(-4, 5), 0, 99)),
        pitch_range=int(np.clip(voice.pitch_range + rng.integers(-8, 9), 0, 99)),
    )


def trimmed(samples: Samples) -> Samples:
    """What lies between the first and the last 10 ms block above 2 % of the loudest block's RMS.

    >>> trimmed(np.repeat(np.float32([0, 0.5, 0, 1, 0.01, 0]), 160)).size
    480
    """
    block = SAMPLE_RATE // 100
    blocks = samples[: samples.size // block * block].reshape(-1, block)
    rms = np.sqrt(np.mean(blocks**2, axis=1))
    loud = np.flatnonzero(rms > 0.02 * rms.max())
    return samples[loud[0] * block : (loud[-1] + 1) * block]


def at_peak(samples: Samples, peak_db: float) -> Samples:
    """The same samples scaled to a peak in dB against full scale.

    >>> at_peak(np.float32([0.1, -0.2]), -20.0).tolist()
    [0.05000000074505806, -0.10000000149011612]
    """
    scaled: Samples = samples * np.float32(10 ** (peak_db / 20) / np.abs(samples).max())
    return scaled
