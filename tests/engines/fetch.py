"""Fetches what the engines need and is slow to get, all at once, into the user's cache folder.

    python -m engines.fetch [WITHOUT ...]      arguments: engines that are left out

stdout has one line for each engine that can't be had, `name: why`; stderr is for people.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from engines import actions_cache, gitlab, groovy_lint, jenkins
from engines.actionlint import actionlint
from engines.buildkite_agent import buildkite_agent
from engines.pythons import pythons


@dataclasses.dataclass(frozen=True)
class Engine:
    """What a test needs that may be out of reach: how to get it, and the fixtures that hand it to tests."""

    get: Callable[[], object]
    fixtures: frozenset[str]
    needs: str


ENGINES = {
    "github": Engine(actions_cache.prepare, frozenset({"github", "new_github"}), "npm's registry"),
    "gitlab": Engine(gitlab.prepare, frozenset({"gitlab", "new_gitlab"}), "npm's registry, and rsync"),
    "pythons": Engine(pythons, frozenset({"pythons"}), "a Go module proxy"),
    "buildkite": Engine(buildkite_agent, frozenset({"buildkite", "new_buildkite"}), "a Go module proxy"),
    "jenkins": Engine(jenkins.prepare, frozenset({"jenkins", "new_jenkins"}), "Maven Central"),
    "groovy-lint": Engine(groovy_lint.prepare, frozenset({"groovy_lint"}), "npm's registry"),
    "actionlint": Engine(actionlint, frozenset({"actionlint"}), "a Go module proxy"),
}


def main() -> int:
    without = sys.argv[1:]
    if unknown := set(without) - set(ENGINES):
        print(f"error: no engine {', '.join(sorted(unknown))}; there are: {', '.join(ENGINES)}", file=sys.stderr)
        return 2
    wanted = {name: engine for name, engine in ENGINES.items() if name not in without}
    with ThreadPoolExecutor() as pool:
        problems = dict(zip(wanted, pool.map(_problem, wanted, wanted.values()), strict=True))
    for name, problem in problems.items():
        if problem:
            print(f"{name}: {problem}. It needs {wanted[name].needs}; `sh tests/run --without {name}` leaves it out.")
    return 0


def _problem(name: str, engine: Engine) -> str:
    """Gets an engine; the reason in one line where that fails, else an empty text."""
    began = time.monotonic()
    try:
        engine.get()
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return str(error).splitlines()[0].rstrip(":.")
    if (seconds := time.monotonic() - began) > 5:
        print(f"{name}: fetched in {seconds:.0f} s", file=sys.stderr)
    return ""


if __name__ == "__main__":
    sys.exit(main())
