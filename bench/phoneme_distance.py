"""Whether the project's distance of sounds ranks near words as panphon's features do; where panphon is installed."""

import importlib.util

from scipy.stats import spearmanr

from bench.measure import Figure
from uyan.voices.near_text import near_texts
from uyan.voices.phonemes import phonemes

WORDS = (("jarvis", "en-us"), ("computer", "en-us"), ("hey uyan", "tr"), ("merhaba evim", "tr"))


def agreement_with_panphon() -> list[Figure]:
    """Spearman's correlation of both distances from a word, over the texts that are near it."""
    if importlib.util.find_spec("panphon") is None:
        return []
    from panphon.distance import Distance

    theirs = Distance().weighted_feature_edit_distance_div_maxlen
    figures = []
    for word, language in WORDS:
        near = near_texts(word, language, None)
        said = "".join(phonemes(word, language))
        found = spearmanr([n.distance for n in near], [theirs(said, "".join(n.phonemes)) for n in near])
        note = f"{len(near)} texts near {word!r}"
        figures.append(Figure(f"distance of sounds, against panphon's, {word}", float(found.statistic), "", note=note))
    return figures
