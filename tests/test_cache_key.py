"""What a job gets from the cache plan: who restores, who saves, and when two jobs share an entry."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cache_key
import pytest

TOOL = Path(cache_key.__file__)
MAIN = cache_key.Situation(event="push", tag=False, default_branch=True, self_hosted=False)


def situation(**changes: Any) -> cache_key.Situation:
    return dataclasses.replace(MAIN, **changes)


@pytest.mark.parametrize(
    ("choice", "where", "environment", "restore", "save", "reason"),
    [
        ("auto", MAIN, {}, True, True, ""),
        ("auto", situation(event="schedule"), {}, True, True, ""),
        ("auto", situation(event="workflow_dispatch"), {}, True, True, ""),
        ("auto", situation(event="repository_dispatch"), {}, True, True, ""),
        ("auto", situation(default_branch=False), {}, True, False, "default branch"),
        ("auto", situation(event="pull_request", default_branch=False), {}, True, False, "default branch"),
        ("auto", situation(event="merge_group", default_branch=False), {}, True, False, "default branch"),
        ("auto", situation(event="an_event_of_next_year"), {}, True, False, "only restores"),
        ("auto", situation(tag=True, default_branch=False), {}, False, False, "a tag"),
        ("true", situation(tag=True, default_branch=False), {}, False, False, "a tag"),
        ("true", situation(event="release"), {}, False, False, "`release`"),
        ("auto", situation(event="pull_request_target"), {}, False, False, "`pull_request_target`"),
        ("restore", situation(event="workflow_run"), {}, False, False, "`workflow_run`"),
        ("true", situation(event="issue_comment"), {}, False, False, "`issue_comment`"),
        ("true", situation(event="pull_request", default_branch=False), {}, True, True, ""),
        ("restore", MAIN, {}, True, False, "never saves"),
        ("false", MAIN, {}, False, False, "switched off"),
        ("auto", situation(self_hosted=True), {}, False, False, "machine's own cache"),
        ("true", situation(self_hosted=True), {}, True, True, ""),
        ("auto", MAIN, {"UV_CACHE_DIR": "/var/cache/uv"}, False, False, "set by the caller"),
        ("auto", MAIN, {"UV_CACHE_DIR": "/temp/uv-actions/cache-1"}, True, True, ""),
        ("auto", MAIN, {"UV_NO_CACHE": "1"}, False, False, "UV_NO_CACHE"),
    ],
)
def test_who_restores_and_who_saves(
    choice: str, where: cache_key.Situation, environment: Mapping[str, str], restore: bool, save: bool, reason: str
) -> None:
    policy = cache_key.decide(choice, where, environment, Path("/temp/uv-actions"))
    assert (policy.restore, policy.save) == (restore, save)
    assert reason in policy.reason
    assert bool(policy.reason) != (restore and save), "what isn't done has a reason"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    (folder / ".git").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10"\n')
    (folder / "uv.lock").write_text("version = 1\n")
    return folder


def plan(checkout: Path, *arguments: str, **environment: str) -> dict[str, str]:
    """The plan's outputs, by name."""
    temp = checkout.parent / "temp"
    result = subprocess.run(
        [sys.executable, TOOL, "plan", *arguments],
        cwd=checkout,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(checkout.parent),
            "RUNNER_TEMP": str(temp),
            "GITHUB_EVENT_NAME": "schedule",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


def settle(checkout: Path, planned: Mapping[str, str], state: str, *arguments: str) -> dict[str, str]:
    """The outputs of `settle` after a restore that found `state`."""
    result = subprocess.run(
        [
            sys.executable, TOOL, "settle", f"--state={state}", f"--path={planned['path']}",
            f"--key={planned['key']}", "--save" if planned["save"] == "true" else "--no-save", *arguments,
        ],
        cwd=checkout,
        env={"PATH": os.environ["PATH"], "RUNNER_TEMP": str(checkout.parent / "temp")},
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


def test_the_same_job_has_the_same_key_and_folder_again(checkout: Path) -> None:
    first, second = plan(checkout), plan(checkout)
    assert (first["key"], first["path"]) == (second["key"], second["path"])
    assert Path(first["path"]).is_relative_to(checkout.parent / "temp")
    assert len(first["key"]) < 512
    assert "," not in first["key"]


def test_a_job_that_saves_takes_no_other_entry_than_its_own(checkout: Path) -> None:
    saving = plan(checkout)
    assert (saving["save"], saving["restore-keys"]) == ("true", "")
    restoring = plan(checkout, "--cache=restore")
    assert restoring["save"] == "false"
    assert saving["key"].startswith(restoring["restore-keys"])
    assert restoring["path"] == saving["path"], "a fallback entry is found only under the path it was saved from"


def test_a_changed_lock_changes_the_key_alone(checkout: Path) -> None:
    before = plan(checkout, "--cache=restore")
    (checkout / "uv.lock").write_text("version = 1\nrevision = 3\n")
    after = plan(checkout, "--cache=restore")
    assert after["key"] != before["key"]
    assert (after["restore-keys"], after["path"]) == (before["restore-keys"], before["path"])


def test_line_ends_of_a_windows_checkout_do_not_change_the_key(checkout: Path) -> None:
    before = plan(checkout)
    (checkout / "uv.lock").write_bytes(b"version = 1\r\n")
    assert plan(checkout)["key"] == before["key"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--groups=docs"],
        ["--extras=http"],
        ["--packages=api"],
        ["--no-default-groups"],
        ["--sync-args=--all-packages"],
        ["--profile=lint"],
        ["--python-version=>=3.10"],
        ["--mirror=https://pypi.acme.example/simple/"],
    ],
)
def test_jobs_that_install_other_things_have_entries_of_their_own(checkout: Path, arguments: list[str]) -> None:
    one, other = plan(checkout), plan(checkout, *arguments)
    assert one["path"] != other["path"]
    assert one["key"].rpartition("-")[0] != other["key"].rpartition("-")[0]


def test_the_order_of_groups_does_not_matter(checkout: Path) -> None:
    assert plan(checkout, "--groups=a", "--groups=b")["key"] == plan(checkout, "--groups=b", "--groups=a")["key"]


def test_a_new_password_of_an_index_does_not_change_the_key(checkout: Path) -> None:
    keys = {
        plan(checkout, UV_INDEX=f"acme=https://ci:{password}@pypi.acme.example/simple/")["key"]
        for password in ("monday", "tuesday")
    }
    assert len(keys) == 1
    assert keys != {plan(checkout)["key"]}


def test_an_index_of_the_project_is_in_the_profile(checkout: Path) -> None:
    before = plan(checkout)
    with (checkout / "pyproject.toml").open("a") as file:
        file.write('\n[[tool.uv.index]]\nname = "acme"\nurl = "https://pypi.acme.example/simple/"\n')
    assert plan(checkout)["key"].rpartition("-")[0] != before["key"].rpartition("-")[0]


@pytest.mark.parametrize(
    "text",
    ["tool = 1", "[tool]\nuv = 1", "[tool.uv]\nindex = 1", "[tool.uv]\nindex = [{ url = 1 }]", "x = " + "[" * 9999],
    ids=lambda text: text[:40],
)
def test_odd_settings_are_uvs_to_complain_about(checkout: Path, text: str) -> None:
    (checkout / "pyproject.toml").write_text(text)
    assert plan(checkout)["key"]


def test_an_index_that_is_no_url_is_uvs_to_complain_about(checkout: Path) -> None:
    assert plan(checkout, UV_DEFAULT_INDEX="https://[x")["key"]


def test_the_key_is_of_the_python_that_the_sync_takes(checkout: Path, tmp_path: Path) -> None:
    active = tmp_path / "active"
    (active / "bin").mkdir(parents=True)
    (active / "pyvenv.cfg").write_text("version = 3.99.0\n")
    python = active / "bin" / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    planned = plan(checkout)
    for setting in ({"VIRTUAL_ENV": str(active)}, {"UV_WORKING_DIR": "elsewhere"}, {"UV_PROJECT": "elsewhere"}):
        assert plan(checkout, **setting)["key"] == planned["key"], setting


def test_two_projects_of_a_repository_have_entries_of_their_own(checkout: Path) -> None:
    for name in ("a", "b"):
        (checkout / name).mkdir()
        (checkout / name / "uv.lock").write_text("version = 1\n")
    paths = {plan(checkout, f"--working-directory={name}")["path"] for name in ("a", "b", ".")}
    assert len(paths) == 3


def test_members_of_a_workspace_share_the_lock_but_not_the_entry(checkout: Path) -> None:
    (checkout / "members" / "api").mkdir(parents=True)
    (checkout / "members" / "api" / "pyproject.toml").write_text("")
    root, member = plan(checkout)["key"], plan(checkout, "--working-directory=members/api")["key"]
    assert root.rpartition("-")[2] == member.rpartition("-")[2]
    assert root != member, "each installs what its own project needs"


def test_without_lock_the_requirements_are_the_key(checkout: Path) -> None:
    (checkout / "uv.lock").unlink()
    before = plan(checkout)
    (checkout / "requirements-dev.txt").write_text("pytest\n")
    after = plan(checkout)
    assert after["key"] != before["key"] != ""


def test_with_nothing_to_make_a_key_from_the_cache_is_off_and_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    (empty / ".git").mkdir(parents=True)
    outputs = plan(empty)
    assert (outputs["state"], outputs["restore"], outputs["save"], outputs["path"]) == ("off", "false", "false", "")
    assert "uv.lock" in outputs["reason"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--cache=yes"], "cache"),
        (["--key-files=*.nothing"], "key-files"),
        (["--key-files=/etc/*"], "key-files"),
        (["--working-directory=nowhere"], "working-directory"),
        (["--mode="], "mode"),
        (["--groups"], "groups"),
    ],
)
def test_wrong_input_is_told_by_its_name(checkout: Path, arguments: list[str], named: str) -> None:
    result = subprocess.run(
        [sys.executable, TOOL, "plan", *arguments], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert named in result.stderr
    assert "To mend it:" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_flag_from_a_component_is_an_annotation_that_names_the_input(checkout: Path) -> None:
    result = subprocess.run(
        [sys.executable, TOOL, "plan"],
        cwd=checkout,
        env={**os.environ, "GITHUB_ACTIONS": "true", "UV_ACTIONS_CACHE_KEY_DEFAULT_GROUPS": "yes"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("::error title=cache_key::`default-groups` is 'yes'")


def test_what_a_cut_restore_left_does_not_get_into_the_entry(checkout: Path) -> None:
    planned = plan(checkout)
    leftover = Path(planned["path"]) / "archive-v0" / "half"
    leftover.mkdir(parents=True)
    settled = settle(checkout, planned, "miss")
    assert (settled["state"], settled["save"], settled["bytes"]) == ("miss", "true", "0")
    assert list(Path(planned["path"]).iterdir()) == []


def test_a_restore_that_was_given_up_leaves_its_folder_alone_and_saves_nothing(checkout: Path) -> None:
    planned = plan(checkout)
    unpacking = Path(planned["path"]) / "archive-v0"
    unpacking.mkdir(parents=True)
    settled = settle(checkout, planned, "miss", "--timed-out")
    assert settled["path"] != planned["path"]
    assert settled["save"] == "false"
    assert "too long" in settled["reason"]
    assert unpacking.is_dir()


def test_an_exact_entry_is_not_saved_again(checkout: Path) -> None:
    planned = plan(checkout)
    content = Path(planned["path"]) / "wheels-v8" / "x"
    content.parent.mkdir(parents=True)
    content.write_bytes(b"12345")
    settled = settle(checkout, planned, "exact")
    assert (settled["save"], settled["bytes"]) == ("false", "5")
    assert content.exists()


@pytest.mark.parametrize(("state", "saves"), [("miss", "true"), ("exact", "false")])
def test_the_second_half_saves_what_the_first_half_began(checkout: Path, state: str, saves: str) -> None:
    planned = plan(checkout, "--mode=restore")
    settle(checkout, planned, state, "--mode=restore")
    late = plan(checkout, "--mode=save")
    assert (late["save"], late["state"], late["path"]) == (saves, state, planned["path"])


def test_a_save_without_a_restore_before_it_says_what_is_missing(checkout: Path) -> None:
    late = plan(checkout, "--mode=save")
    assert late["save"] == "false"
    assert "mode: restore" in late["reason"]


def test_a_lock_that_changed_in_the_job_is_not_saved_under_the_new_key(checkout: Path) -> None:
    settle(checkout, plan(checkout, "--mode=restore"), "miss", "--mode=restore")
    (checkout / "uv.lock").write_text("version = 1\nrevision = 3\n")
    late = plan(checkout, "--mode=save")
    assert late["save"] == "false"
    assert "changed" in late["reason"]


def test_a_second_setup_of_the_job_restores_and_saves_nothing_more(checkout: Path) -> None:
    planned = plan(checkout)
    settle(checkout, planned, "miss")
    again = plan(checkout, UV_CACHE_DIR=planned["path"])
    assert (again["restore"], again["save"], again["path"]) == ("false", "false", planned["path"])
    assert plan(checkout, "--mode=save")["save"] == "false", "setup has saved it"


def test_explain_tells_a_person_what_the_key_is_made_of(checkout: Path) -> None:
    result = subprocess.run(
        [sys.executable, TOOL, "plan", "--explain", "--groups=docs"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    for part in ("docs", "uv.lock", "policy"):
        assert part in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--verbose"], 0, r"^\$ \S*uv --version$"),
        (["--explain"], 0, r"^policy"),
        (["--explain", "--quiet"], 0, r"\A\Z"),
        (["--quiet", "--cache=maybe"], 2, r"\Aerror: "),
    ],
)
def test_stderr_says_as_much_as_is_asked_for(checkout: Path, arguments: list[str], code: int, said: str) -> None:
    result = subprocess.run(
        [sys.executable, TOOL, "plan", *arguments], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert result.returncode == code
    assert re.search(said, result.stderr, re.MULTILINE), result.stderr
