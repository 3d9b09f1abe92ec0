"""Times a job that sets a project up, by our `setup` and by `astral-sh/setup-uv`, in pairs on one engine.

    cd tests && uv run --locked python -m benchmarks.setup PROJECT SETUP_UV [--pairs 5] [--only cold|warm]

PROJECT is a folder with a uv project, which is copied and locked anew; SETUP_UV is a git clone of astral-sh/setup-uv.
Both jobs run under `act` with one cache server, on a runner like a hosted one: the home folder and the environments of
our tools are gone before each run, and uv lies in the tool folder for both (setup-uv would fetch it from GitHub).

`cold` starts with an empty cache server and saves at its end; `warm` finds its exact entry. Which of the two goes first
alternates, and a ratio is of one pair, since networks and machines change from minute to minute. The job's time is what
a user waits for: the whole run of act with setup-uv's post step. `steps` is what act says of the steps alone,
`processor` the time that all processes of the run have used, which other work on the machine changes least.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib
from engines import actions_cache
from engines.github import SYSTEM_PATH, Github, Run

from benchmarks import machine

SETUP_UV_TAG = "v10.0.1"
TIMEOUT_SECONDS = 900

# How act ends a step: `Success - Main Sync the project [1.234s]`, in the notation of Go.
STEP = re.compile(r"(?:Success|Failure) - (Pre|Main|Post) (.*) \[(?:(\d+)m)?([\d.]+)(s|ms|µs)\]$", re.MULTILINE)
SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}


@dataclass(frozen=True)
class Time:
    """Seconds of one run; `processor` is what all its processes have used, `steps` by name, in their order."""

    job: float
    processor: float
    steps: dict[str, float]

    def of_steps(self) -> float:
        # The steps inside of an action are in its own time already.
        return sum(seconds for name, seconds in self.steps.items() if name.startswith(OUTER))


# The names that act gives to the steps of the workflows below.
OUTER = ("Main org/", "Main astral-sh/", "Main uv sync", "Post astral-sh/")


def steps_of(name: str, uv_version: str) -> list[dict[str, Any]]:
    """The job's steps after the checkout, as a user writes them."""
    if name == "ours":
        return [{"id": "setup", "uses": "org/uv-actions/setup@v1", "with": {"cache": "true"}}]
    inputs = {"version": uv_version, "enable-cache": "true"}
    return [
        {"id": "setup", "uses": f"astral-sh/setup-uv@{SETUP_UV_TAG}", "with": inputs},
        {"name": "uv sync", "run": "uv sync --locked"},
    ]


class Bench:
    """The engine with both actions, and the project that their jobs set up."""

    def __init__(self, folder: Path, project: Path, setup_uv: Path) -> None:
        release = machine.build_release(folder / "release")
        tool_cache = folder / "tool-cache"
        uv = machine.install_uv(release, machine.environment(tool_cache, folder / "home"))
        self.uv_version = uv.name.partition("-")[0]
        fill_tool_cache(tool_cache, uv, self.uv_version)
        self.project = machine.locked_copy(project, folder / "project", uv)
        self.tools_cache = folder / "tools"
        self.github = Github(
            folder / "github",
            releases={"v1": release},
            actions={"actions/cache": actions_cache.action(folder), "astral-sh/setup-uv": checkout(setup_uv, folder)},
            tool_cache=tool_cache,
            tools_cache=self.tools_cache,
            python=Path(getattr(sys, "_base_executable", sys.executable)),
        )
        # The engine's python3 is a script, which uv would ask what it is each time; the system's own is no script.
        if system_has_python(project, uv):
            (self.github.state / "bin" / "python3").unlink()

    def clear_cache(self) -> None:
        shutil.rmtree(self.github.state / "cache", ignore_errors=True)

    def run(self, name: str, expect_hit: bool) -> Time:
        """Runs one job; ends the benchmark where it didn't do what is to be measured."""
        shutil.rmtree(self.tools_cache, ignore_errors=True)
        began, used = time.monotonic(), processor_seconds()
        run = self.github.run(self.project, steps_of(name, self.uv_version), timeout=TIMEOUT_SECONDS)
        seconds, used = time.monotonic() - began, processor_seconds() - used
        outputs = run.outputs.get("setup", {})
        hit = (outputs.get("cache-state") == "exact") if name == "ours" else (outputs.get("cache-hit") == "true")
        if not run.ok or hit != expect_hit:
            sys.exit(f"{run.log[-8000:]}\n{name}: exit code {run.rc}, cache hit: {hit}, wanted: {expect_hit}")
        return Time(seconds, used, step_times(run))


def system_has_python(project: Path, uv: Path) -> bool:
    """Whether the system's own Python is new enough for the project."""
    wanted = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    command = [uv / "uv", "python", "find", "--no-project", "--no-config", "--no-managed-python", wanted]
    return subprocess.run(command, env={"PATH": SYSTEM_PATH}, capture_output=True, check=False).returncode == 0


def checkout(clone: Path, folder: Path) -> Path:
    """The files of setup-uv's release, without its history, since act copies all for each run."""
    place = folder / "setup-uv"
    place.mkdir()
    archive = subprocess.run(["git", "-C", clone, "archive", SETUP_UV_TAG], check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "-x", "-C", place], input=archive, check=True)
    return place


def fill_tool_cache(tool_cache: Path, uv: Path, version: str) -> None:
    """Puts uv where setup-uv looks for it first.

    Source: @actions/tool-cache, `find`: <tool>/<version>/<architecture> with a file of that name and `.complete`
    """
    place = tool_cache / "uv" / version / os.uname().machine
    shutil.copytree(uv, place)
    place.with_name(f"{place.name}.complete").touch()


def processor_seconds() -> float:
    """What the ended processes of this one have used so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def step_times(run: Run) -> dict[str, float]:
    """What act says that each step took, by `Main NAME`, in order."""
    times = {}
    for stage, name, minutes, number, unit in STEP.findall(run.log):
        times[f"{stage} {name}"] = int(minutes or 0) * 60 + float(number) * SECONDS[unit]
    return times


def measure(bench: Bench, pairs: int, before: Callable[[], None], expect_hit: bool) -> dict[str, list[Time]]:
    """The times of both, in pairs: A B, B A, A B …"""
    times: dict[str, list[Time]] = {"ours": [], "setup-uv": []}
    for number in range(pairs):
        for name in sorted(times, reverse=number % 2 == 1):
            before()
            times[name].append(bench.run(name, expect_hit))
        both = "  ".join(f"{name} {each[-1].job:6.2f} s" for name, each in times.items())
        print(f"  pair {number + 1}: {both}", flush=True)
    return times


def tell(title: str, times: dict[str, list[Time]]) -> None:
    """The medians, the ratio with its spread, and where the time went."""
    print(f"\n{title}: ours / setup-uv; {machine.describe()}")
    kinds = {"job": lambda each: each.job, "steps": Time.of_steps, "processor": lambda each: each.processor}
    for what, of in kinds.items():
        ours, theirs = ([of(each) for each in times[name]] for name in ("ours", "setup-uv"))
        ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
        print(
            f"  {what:9}  {statistics.median(ours):6.2f} s / {statistics.median(theirs):6.2f} s"
            f"   ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    for name, runs in times.items():
        print(f"  steps of {name}, median:")
        for step in runs[0].steps:
            seconds = statistics.median([each.steps[step] for each in runs if step in each.steps])
            print(f"    {seconds:7.3f} s  {step}")
    print(flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path, metavar="PROJECT")
    parser.add_argument("setup_uv", type=Path, metavar="SETUP_UV")
    parser.add_argument("--pairs", type=int, default=5, help="how many pairs of each kind (default: 5)")
    parser.add_argument("--only", choices=["cold", "warm"], help="one kind alone")
    options = parser.parse_args(arguments)

    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), options.project.resolve(), options.setup_uv.resolve())
        print(machine.describe())
        if options.only != "warm":
            tell("cold", measure(bench, options.pairs, bench.clear_cache, expect_hit=False))
        if options.only != "cold":
            bench.clear_cache()
            for each in ("ours", "setup-uv"):
                bench.run(each, expect_hit=False)
            tell("warm", measure(bench, options.pairs, lambda: None, expect_hit=True))


if __name__ == "__main__":
    main()
