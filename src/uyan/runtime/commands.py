"""Runs a command of the user's for each detection, beside the stream.

The command is split into words once, as the user wrote it, and started without a shell; what was heard is told in
environment variables alone. It knows nothing of audio.
"""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable

from uyan.detector import Detection
from uyan.errors import ConfigError
from uyan.runtime.listener import Heard

AT_ONCE = 4
"""Commands that may run at the same time."""
PATIENCE_S = 10.0
"""At the end, those that run are given so long; then they are left to themselves."""
POLL_S = 0.02


class Commands:
    """A watcher that runs a command for each detection."""

    def __init__(self, command: str, tell: Callable[[str], None], patient: bool = False) -> None:
        """`tell` hears of the first failure, and of the first detection that comes while `AT_ONCE` are running.

        `patient` waits for one of them to end instead: for files, which can wait. Raises ConfigError for a command
        that cannot be split into words or is not found.
        """
        try:
            self._words = shlex.split(command)
        except ValueError as reason:
            raise ConfigError(f"--exec {command!r}: {reason}; close the quotes") from reason
        if not self._words:
            raise ConfigError("--exec: an empty command; name a program, or leave the option out")
        if shutil.which(self._words[0]) is None:
            raise ConfigError(f"--exec: no program {self._words[0]!r}; give its path, or install it")
        self._tell, self._patient = tell, patient
        self._running: list[subprocess.Popen[bytes]] = []
        self.failed = 0
        self.left_out = 0

    @property
    def running(self) -> int:
        """Commands that have not ended, as far as is known."""
        return len(self._running)

    def heard(self, heard: Heard) -> None:
        """Start the command for the detections in it."""
        self._reap()
        for detection in heard.detections:
            self.start(detection)

    def cut(self, position: int) -> None:
        """Nothing changes."""

    def finish(self) -> None:
        """Nothing changes: other streams may follow."""

    def start(self, detection: Detection) -> None:
        """Run the command for one detection."""
        while self._patient and len(self._running) >= AT_ONCE:
            time.sleep(POLL_S)
            self._reap()
        self._reap()
        if len(self._running) >= AT_ONCE:
            self.left_out += 1
            if self.left_out == 1:
                self._tell(f"--exec: {AT_ONCE} commands are still running; none is started for this detection")
            return
        try:
            self._running.append(self._started(detection))
        except (OSError, ValueError) as reason:
            self._fail(f"cannot be started ({reason})")

    def close(self) -> None:
        """Wait a while for those that run."""
        deadline_s = time.monotonic() + PATIENCE_S
        while self._running and time.monotonic() < deadline_s:
            time.sleep(POLL_S)
            self._reap()
        if self._running:
            self._tell(f"--exec: {len(self._running)} commands are still running and go on without uyan")
        if self.failed > 1:
            self._tell(f"--exec: {self.failed} commands failed")

    def _started(self, detection: Detection) -> "subprocess.Popen[bytes]":
        told = {
            "UYAN_WORD": detection.label,
            "UYAN_TIME_S": f"{detection.time_s:.3f}",
            "UYAN_SCORE": f"{detection.score:.4f}",
        }
        return subprocess.Popen(
            self._words,
            env={**os.environ, **told},
            stdin=subprocess.DEVNULL,
            stdout=2,  # ours is for detections
            start_new_session=True,  # Ctrl-C ends the listening, not what it has started
        )

    def _reap(self) -> None:
        running = []
        for process in self._running:
            if process.poll() is None:
                running.append(process)
            elif process.returncode:
                self._fail(f"ended with exit code {process.returncode}")
        self._running = running

    def _fail(self, how: str) -> None:
        self.failed += 1
        if self.failed == 1:
            self._tell(f"--exec: {self._words[0]} {how}; further failures are counted, not told")
