"""Options that hold several numbers, `30,100,270`."""

from uyan.errors import ConfigError


def whole_numbers(option: str, text: str) -> list[int]:
    """Those of the option's text. Raises ConfigError, naming the option, for what is no whole number.

    >>> whole_numbers("--speakers", "0, 5,10"), whole_numbers("--speakers", "")
    ([0, 5, 10], [])
    """
    try:
        return [int(number) for number in text.split(",")] if text.strip() else []
    except ValueError:
        raise ConfigError(f"{option} {text!r}: write whole numbers with commas between them, 5,10,20") from None
