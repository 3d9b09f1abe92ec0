"""Runs every scenario on every platform; a difference that the scenario doesn't name is a defect."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conformance import table
from conformance.scenario import Engine, Scenario, World, play
from conformance.scenarios import SCENARIOS, SHORT
from services.index import Index
from services.oidc import Oidc


@pytest.fixture
def world(
    tmp_path: Path, index: Index, oidc: Oidc, pythons: Callable[[], dict[str, Path]], commit_all: Callable[[Path], None]
) -> World:
    """A machine, with all that a scenario may name; the project is still to be copied."""
    (tmp_path / "store").mkdir()
    owned = str(tmp_path / "owned")
    # A word can hold others: they are replaced in this order.
    words = {
        "<hostile>": repr(SHORT),
        "<owned>": owned,
        "<index>": index.url,
        "<upload>": index.upload_url,
        "<trusted>": oidc.publish_url,
        "<store>": str(tmp_path / "store"),
        "<pythons>": os.pathsep.join(str(each.parent) for each in pythons().values()),
    }
    return World("", Path(), index, oidc, pythons(), commit_all, words)


def cases(platform: str) -> list[Scenario]:
    return [each for each in SCENARIOS if each.jobs_on(platform)]


def name_of(scenario: Scenario) -> str:
    return scenario.id


@pytest.mark.parametrize("scenario", cases("github"), ids=name_of)
def test_github(
    scenario: Scenario, world: World, new_github: Callable[[str], Engine], project: Callable[[str], Path]
) -> None:
    hold("github", scenario, world, new_github, project)


@pytest.mark.parametrize("scenario", cases("gitlab"), ids=name_of)
def test_gitlab(
    scenario: Scenario, world: World, new_gitlab: Callable[[str], Engine], project: Callable[[str], Path]
) -> None:
    hold("gitlab", scenario, world, new_gitlab, project)


@pytest.mark.parametrize("scenario", cases("jenkins"), ids=name_of)
def test_jenkins(
    scenario: Scenario, world: World, new_jenkins: Callable[[str], Engine], project: Callable[[str], Path]
) -> None:
    hold("jenkins", scenario, world, new_jenkins, project)


@pytest.mark.parametrize("scenario", cases("buildkite"), ids=name_of)
def test_buildkite(
    scenario: Scenario, world: World, new_buildkite: Callable[[str], Engine], project: Callable[[str], Path]
) -> None:
    hold("buildkite", scenario, world, new_buildkite, project)


def hold(
    platform: str,
    scenario: Scenario,
    world: World,
    new_engine: Callable[[str], Engine],
    project: Callable[[str], Path],
) -> None:
    """Plays the scenario on the platform."""
    world.platform, world.project = platform, project(scenario.project)
    play(scenario, world, new_engine)


def test_the_table_is_what_the_scenarios_say() -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.page(), "to mend it: python tests/conformance/table.py"


def test_every_difference_has_a_reason_and_says_what_holds_it() -> None:
    for scenario in SCENARIOS:
        for platform, difference in scenario.differs.items():
            assert platform in table.TITLES
            assert difference.reason.endswith(".")
            assert difference.held_by in ("engine", "guard", "nothing")
            assert bool(difference.jobs) == (difference.held_by == "engine"), scenario.id
