"""What 10³, 10⁴ and 10⁵ hours cost, from the speeds that were measured on one core: `python -m bench.scale_plan`.

Arithmetic, no measurement: every speed is given, and stands in the table of README.md. Prices are assumptions.
"""

import argparse
from typing import NamedTuple

HOURS = (1_000, 10_000, 100_000)
ROUNDS = 3
"""Of mining, each over everything."""
FLAC_MB_PER_HOUR = 60.0
"""16 kHz, 16 bits, 115 MB an hour, about halved."""
FEATURE_MB_PER_HOUR = 100 * 64 * 2 * 3600 / 1e6
CORES = (2, 16, 64)
CORE_HOUR_PRICE, GB_MONTH_PRICE = 0.04, 0.02


class Speeds(NamedTuple):
    """Times real time, on one core."""

    extraction: float
    mining: float


class Plan(NamedTuple):
    """Of so many hours of audio."""

    hours: int
    audio_gb: float
    feature_gb: float
    core_hours: float
    """One extraction and ROUNDS scans."""

    @property
    def price(self) -> float:
        """Of the cores, and of a month of both on object storage."""
        return self.core_hours * CORE_HOUR_PRICE + (self.audio_gb + self.feature_gb) * GB_MONTH_PRICE


def plan(hours: int, speeds: Speeds) -> Plan:
    """The arithmetic.

    >>> plan(1000, Speeds(2000.0, 1000.0)).core_hours
    3.5
    """
    core_hours = hours / speeds.extraction + ROUNDS * hours / speeds.mining
    return Plan(hours, hours * FLAC_MB_PER_HOUR / 1e3, hours * FEATURE_MB_PER_HOUR / 1e3, core_hours)


def megabytes_a_second(mining: float) -> float:
    """What one core that mines wants to read.

    >>> megabytes_a_second(1000.0)
    16.666666666666668
    """
    return mining * FLAC_MB_PER_HOUR / 3600


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser("python -m bench.scale_plan", description=__doc__)
    parser.add_argument("--extraction", type=float, required=True, help="features from FLAC files, times real time")
    parser.add_argument("--mining", type=float, required=True, help="mining from FLAC files, times real time")
    options = parser.parse_args()
    speeds = Speeds(options.extraction, options.mining)
    print("| hours | FLAC | features | core-hours |", " | ".join(f"{n} cores" for n in CORES), "| price |")
    print("|---:" * (5 + len(CORES)) + "|")
    for made in (plan(hours, speeds) for hours in HOURS):
        times = " | ".join(f"{made.core_hours / cores:,.1f} h" for cores in CORES)
        sizes = f"{made.audio_gb:,.0f} GB | {made.feature_gb:,.0f} GB | {made.core_hours:,.1f}"
        print(f"| {made.hours:,} | {sizes} | {times} | {made.price:,.0f} |")
    print(f"\nA core that mines reads {megabytes_a_second(options.mining):.0f} MB a second.")


if __name__ == "__main__":
    main()
