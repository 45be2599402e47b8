"""How a text sounds, as IPA segments: espeak-ng's pronunciation rules, which know over a hundred languages.

Stress, length and word borders are left out: what is compared is which sounds come one after another. It knows nothing
of distances.
"""

import ctypes
import unicodedata
from collections.abc import Iterable

from uyan.errors import ConfigError
from uyan.voices.espeak import UTF8, locked_espeak
from uyan.voices.speech import checked_text

IPA = 0x02
"""Mode of espeak_TextToPhonemes, speak_lib.h."""
AFFRICATES = ("tʃ", "dʒ", "ts", "dz", "tɕ", "dʑ", "pf")


def phonemes(text: str, language: str) -> tuple[str, ...]:
    """IPA segments of the text, read in that language of espeak-ng's.

    >>> phonemes("jarvis", "en-us")
    ('dʒ', 'ɑ', 'ɹ', 'v', 'ɪ', 's')

    Raises ConfigError for a text without a sound, an unknown language, and where espeak-ng is missing.
    """
    found = transcribed([checked_text(text)], language)[0]
    if not found:
        raise ConfigError(f"{text[:40]!r} has no sound in {language}; give a word, or another language")
    return found


def transcribed(texts: Iterable[str], language: str) -> list[tuple[str, ...]]:
    """IPA segments of each text, none for one without a sound. Raises ConfigError as `phonemes` does."""
    with locked_espeak() as (library, _):
        code = language.lower().replace("_", "-")
        names = (code, code.partition("-")[0])  # of fr-ch it has a voice, of tr-tr only tr
        if all(library.espeak_SetVoiceByName(name.encode()) != 0 for name in names):
            raise ConfigError(f"espeak-ng does not read {language!r}; for example en-us, tr or de")
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        return [segments(_ipa(library, text)) for text in texts]


def _ipa(library: ctypes.CDLL, text: str) -> str:
    held = ctypes.create_string_buffer(text.encode())
    rest = ctypes.c_void_p(ctypes.addressof(held))
    clauses = []
    while rest.value:
        clauses.append((library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, IPA) or b"").decode())
    return "".join(clauses)


def segments(ipa: str) -> tuple[str, ...]:
    """Letters of an IPA text without marks; an affricate is one.

    >>> segments("h_ˈeɪ tʃˈaː(en)")
    ('h', 'e', 'ɪ', 'tʃ', 'a')
    """
    spoken = "".join(part.partition(")")[2] if number else part for number, part in enumerate(ipa.split("(")))
    letters = [char for char in unicodedata.normalize("NFD", spoken) if unicodedata.category(char) in ("Ll", "Lo")]
    found: list[str] = []
    for letter in letters:
        if found and found[-1] + letter in AFFRICATES:
            found[-1] += letter
        else:
            found.append(letter)
    return tuple(found)
