"""Names of licences as cards and data sets write them: which forbid commercial use."""

import pytest

from uyan.data.licences import forbids_commercial_use


@pytest.mark.parametrize(
    "license",
    [
        "CC-BY-NC-4.0",
        "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "cc by nc nd",
        "NonCommercial",
        "non commercial use",
        "Non\u2010Commercial",
        "not for commercial use",
        "No commercial use",
        "Commercial use is prohibited",
        "commercial use not allowed",
        "research only",
        "for research purposes only",
        "Research use only",
        "only for academic research",
        "personal use only",
        "academic use",
    ],
)
def test_these_forbid_it(license: str) -> None:
    assert forbids_commercial_use(license)


@pytest.mark.parametrize(
    "license",
    [
        "",
        "CC0",
        "CC-BY-4.0",
        "CC BY-SA 4.0",
        "Apache-2.0",
        "NCSA",
        "free for research and commercial use",
        "commercial use is allowed",
        "public domain; no restrictions",
        "spoken by espeak-ng, a GPL-3.0-or-later program",
        "Blizzard Challenge 2013, commercial licence",
    ],
)
def test_these_do_not(license: str) -> None:
    assert not forbids_commercial_use(license)
