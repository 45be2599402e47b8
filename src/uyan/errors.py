"""Every error uyan raises on purpose, in one tree.

    UyanError                  anything the user can mend; the CLI prints it and exits with 2
    ├── ConfigError            a recipe, an option or a key that does not validate
    ├── AudioError             one audio file or buffer that cannot be used
    ├── MicrophoneError        no microphone, or one that cannot be opened
    ├── DataError              the data set as a whole cannot be used
    │   ├── ManifestError      a manifest's column, row or path
    │   ├── LeakageError       the same recording, speaker or audio in two splits
    │   └── ShardError         a file of stored features that is damaged, changed, or cannot be written
    ├── StorageError           a file behind a URL that cannot be reached, read or kept
    │   ├── MissingFileError   it is not there
    │   └── AccessError        it may not be read
    ├── ClusterError           a cluster that cannot be joined, or was lost
    ├── TrainingError          training cannot start, or cannot go on
    │   └── RunsFailedError    some of several runs failed; the others are over
    ├── EvaluationError        a figure that the data cannot support
    ├── VoiceError             an engine or a voice of synthetic speech that cannot be used
    └── BundleError            a bundle that is torn, altered or made for another front end

Messages say what was wrong, where, and how to mend it.
"""

from collections.abc import Iterable, Mapping


class UyanError(Exception):
    """Base of all errors raised on purpose; the message is for the user."""


class ConfigError(UyanError):
    """A configuration value does not validate."""


class AudioError(UyanError):
    """An audio file or buffer cannot be used."""


class MicrophoneError(UyanError):
    """There is no microphone, or it cannot be opened."""


class DataError(UyanError):
    """The data set as a whole cannot be used."""


class ManifestError(DataError):
    """A manifest has a bad column, row or path."""


class LeakageError(DataError):
    """The same recording, speaker or audio stands in two splits."""


class ShardError(DataError):
    """A file of stored features is damaged, changed while it was read, or cannot be written."""


class StorageError(UyanError):
    """A file behind a URL cannot be reached, read or kept."""


class MissingFileError(StorageError):
    """There is no such file behind the URL."""


class AccessError(StorageError):
    """The file behind the URL may not be read."""


class ClusterError(UyanError):
    """A cluster cannot be joined, or was lost."""


class TrainingError(UyanError):
    """Training cannot start or cannot go on."""


class RunsFailedError(TrainingError):
    """Some of several runs failed; the others are over."""

    def __init__(self, message: str, reasons: Mapping[str, str], lasting: Iterable[str] = ()) -> None:
        """`reasons` says of each run that failed, by its name, why; `lasting` names those that always will."""
        super().__init__(message)
        self.reasons = dict(reasons)
        self.lasting = frozenset(lasting)


class EvaluationError(UyanError):
    """A figure was asked for that the data cannot support."""


class VoiceError(UyanError):
    """An engine or a voice of synthetic speech cannot be used."""


class BundleError(UyanError):
    """A bundle is torn, altered or made for another front end."""
