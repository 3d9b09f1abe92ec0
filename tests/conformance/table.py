"""The table of all scenarios, for people: `python tests/conformance/table.py` writes it.

Each scenario is a test for each platform, which fails if the platform does another thing. So the table is made of the
scenarios, and a test keeps it true to them.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from conformance.scenario import PLATFORMS, Scenario
from conformance.scenarios import SCENARIOS

PAGE = Path(__file__).with_name("README.md")

HEAD = """\
# What is the same on all platforms

Each line is a scenario, written once in [scenarios.py](scenarios.py) and run on the engine of every platform by
`sh tests/run tests/test_conformance.py`. `yes`: it was run, and users get just this. A number leads to what
differs there.

"""

TITLES = {"github": "GitHub", "gitlab": "GitLab", "jenkins": "Jenkins", "buildkite": "Buildkite"}

HELD_BY = {
    "engine": "Run on the engine.",
    "guard": "Held by a static check.",
    "nothing": "Not checked by anything here.",
}


def page() -> str:
    """The whole page."""
    lines = [
        f"| Scenario | Components | {' | '.join(TITLES[each] for each in PLATFORMS)} |",
        "| --- | --- |" + " :-: |" * len(PLATFORMS),
    ]
    differences: list[str] = []
    for scenario in SCENARIOS:
        cells = [cell(scenario, platform, differences) for platform in PLATFORMS]
        lines.append(f"| {scenario.promise} | {', '.join(scenario.components)} | {' | '.join(cells)} |")
    notes = [f"{number}. {text}" for number, text in enumerate(differences, 1)]
    return HEAD + "\n".join([*lines, "", "## What differs", "", *notes, ""])


def cell(scenario: Scenario, platform: str, differences: list[str]) -> str:
    """`yes`, or the number of the difference, which is added to the list where it is new."""
    if platform not in scenario.differs:
        return "yes"
    difference = scenario.differs[platform]
    text = f"{TITLES[platform]}: {difference.reason} {HELD_BY[difference.held_by]}"
    if text not in differences:
        differences.append(text)
    return f"[{differences.index(text) + 1}](#what-differs)"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
