"""Every error uyan raises on purpose, in one tree.

    UyanError                  anything the user can mend; the CLI prints it and exits with 2
    ├── ConfigError            a recipe, an option or a key that does not validate
    ├── AudioError             one audio file or buffer that cannot be used
    ├── MicrophoneError        no microphone, or one that cannot be opened
    ├── DataError              the data set as a whole cannot be used
    │   ├── ManifestError      a manifest's column, row or path
    │   └── LeakageError       the same recording, speaker or audio in two splits
    ├── ClusterError           a cluster that cannot be joined, or was lost
    ├── TrainingError          training cannot start, or cannot go on
    ├── EvaluationError        a figure that the data cannot support
    ├── VoiceError             an engine or a voice of synthetic speech that cannot be used
    └── BundleError            a bundle that is torn, altered or made for another front end

Messages say what was wrong, where, and how to mend it.
"""


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


class ClusterError(UyanError):
    """A cluster cannot be joined, or was lost."""


class TrainingError(UyanError):
    """Training cannot start or cannot go on."""


class EvaluationError(UyanError):
    """A figure was asked for that the data cannot support."""


class VoiceError(UyanError):
    """An engine or a voice of synthetic speech cannot be used."""


class BundleError(UyanError):
    """A bundle is torn, altered or made for another front end."""
