"""Times what people and components start again and again: the installer, a fresh `lock_check`, `--help` of each tool.

    cd tests && uv run --locked python -m benchmarks.tools PROJECT

PROJECT is a folder with a uv project, which is copied and locked anew. All runs are of the release tree, by
`sh scripts/run` on a machine that has uv and the tools' environments. `least` is the time that the work itself takes;
the median tells how busy the machine was.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import machine

RUNS = 15

# What the tools may take at most, in seconds.
INSTALLED_UV = 0.06
FRESH_LOCK = 0.5
HELP = 0.2


def seconds(command: list[str], folder: Path, env: dict[str, str]) -> list[float]:
    """The times of all runs but a first one, which may make an environment; ends where one fails."""
    times = []
    for _ in range(RUNS + 1):
        began = time.monotonic()
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        times.append(time.monotonic() - began)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return sorted(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path, metavar="PROJECT")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        release = machine.build_release(folder / "release")
        env = machine.environment(folder / "tool-cache", folder / "home")
        uv = machine.install_uv(release, env)
        project = machine.locked_copy(options.project.resolve(), folder / "project", uv)
        scripts = release / "scripts"
        run = ["sh", str(scripts / "run")]
        rows = [
            ("install_uv.sh, installed", ["sh", str(scripts / "install_uv.sh")], INSTALLED_UV),
            ("lock_check, fresh", [*run, "lock_check"], FRESH_LOCK),
            *((f"{path.stem} --help", [*run, path.stem, "--help"], HELP) for path in sorted(scripts.glob("[!_]*.py"))),
        ]
        print(machine.describe())
        print(f"{'':28}    least   median    limit")
        for what, command, limit in rows:
            times = seconds(command, project, env)
            mark = "" if times[0] < limit else "  too slow"
            print(f"{what:28}  {times[0]:5.3f} s  {statistics.median(times):5.3f} s  {limit:5.2f} s{mark}", flush=True)


if __name__ == "__main__":
    main()
