"""Running an engine's process, and the programs that engines put on the PATH of jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def run_to_the_end(
    command: list[str], folder: Path, env: dict[str, str], timeout: float, readable: Callable[[str, str], str]
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr; whatever the run has started is gone afterwards.

    Raises TimeoutError, with the end of what `readable` makes of stdout and stderr, after `timeout` seconds.
    """
    mark = f"ENGINE_RUN={uuid.uuid4()}"
    env = {**env, mark.partition("=")[0]: mark.partition("=")[2]}
    with subprocess.Popen(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        encoding="utf-8", errors="replace", start_new_session=True,
    ) as process:  # fmt: skip
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except BaseException as error:
            kill_marked(mark)
            stdout, stderr = process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimeoutError(f"no end after {timeout} s:\n{readable(stdout, stderr)[-6000:]}") from None
            raise
        kill_marked(mark)
    return process.returncode, stdout, stderr


def kill_marked(mark: str) -> None:
    """Kills the processes that have `mark` in their environment: a job's steps may be sessions of their own."""
    found = True
    while found:
        found = False
        for each in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark.encode() in each.read_bytes().split(b"\0"):
                    os.kill(int(each.parent.name), signal.SIGKILL)
                    found = True


def write_program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
