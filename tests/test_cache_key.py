"""What a job gets from the cache plan: who restores, who saves, and when two jobs share an entry."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import _common
import cache_key
import pytest

TOOL = Path(cache_key.__file__)
MAIN = {"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main"}
TAG = {"GITHUB_REF": "refs/tags/v1", "GITHUB_REF_TYPE": "tag"}


def situation(**changes: str) -> dict[str, str]:
    """The variables of a push to the default branch, changed."""
    return MAIN | changes


def github(tmp_path: Path, variables: Mapping[str, str]) -> cache_key.Situation:
    """What GitHub's variables say; the repository's default branch is `main`."""
    event = tmp_path / "event.json"
    event.write_text('{"repository": {"default_branch": "main"}}')
    return cache_key.situation_on_github({**variables, "GITHUB_EVENT_PATH": str(event)})


@pytest.mark.parametrize(
    ("choice", "where", "environment", "restore", "save", "reason"),
    [
        ("auto", MAIN, {}, True, True, ""),
        ("auto", {"GITHUB_EVENT_NAME": "schedule"}, {}, True, True, ""),
        ("auto", situation(GITHUB_EVENT_NAME="workflow_dispatch"), {}, True, True, ""),
        ("auto", situation(GITHUB_EVENT_NAME="repository_dispatch"), {}, True, True, ""),
        ("auto", situation(GITHUB_REF="refs/heads/topic"), {}, True, False, "default branch"),
        (
            "auto",
            situation(GITHUB_EVENT_NAME="pull_request", GITHUB_REF="refs/pull/1/merge"),
            {},
            True,
            False,
            "default",
        ),
        (
            "auto",
            situation(GITHUB_EVENT_NAME="merge_group", GITHUB_REF="refs/heads/q"),
            {},
            True,
            False,
            "default branch",
        ),
        ("auto", situation(GITHUB_EVENT_NAME="an_event_of_next_year"), {}, True, False, "only restores"),
        ("auto", situation(**TAG), {}, False, False, "a tag"),
        ("true", situation(**TAG), {}, False, False, "a tag"),
        ("true", situation(GITHUB_EVENT_NAME="release"), {}, False, False, "`release`"),
        ("auto", situation(GITHUB_EVENT_NAME="pull_request_target"), {}, False, False, "`pull_request_target`"),
        ("restore", situation(GITHUB_EVENT_NAME="workflow_run"), {}, False, False, "`workflow_run`"),
        ("true", situation(GITHUB_EVENT_NAME="issue_comment"), {}, False, False, "`issue_comment`"),
        ("true", situation(GITHUB_EVENT_NAME="pull_request", GITHUB_REF="refs/pull/1/merge"), {}, True, True, ""),
        ("restore", MAIN, {}, True, False, "never saves"),
        ("false", MAIN, {}, False, False, "switched off"),
        ("auto", situation(RUNNER_ENVIRONMENT="self-hosted"), {}, False, False, "machine's own cache"),
        ("true", situation(RUNNER_ENVIRONMENT="self-hosted"), {}, True, True, ""),
        ("auto", MAIN, {"UV_CACHE_DIR": "/var/cache/uv"}, False, False, "set by the caller"),
        ("auto", MAIN, {"UV_CACHE_DIR": "/temp/uv-actions/cache-1"}, True, True, ""),
        ("auto", MAIN, {"UV_NO_CACHE": "1"}, False, False, "UV_NO_CACHE"),
    ],
)
def test_who_restores_and_who_saves_on_github(
    tmp_path: Path,
    choice: str,
    where: Mapping[str, str],
    environment: Mapping[str, str],
    restore: bool,
    save: bool,
    reason: str,
) -> None:
    policy = cache_key.decide(choice, github(tmp_path, where), environment, [Path("/temp/uv-actions")])
    assert (policy.restore, policy.save) == (restore, save)
    assert reason in policy.reason
    assert bool(policy.reason) != (restore and save), "what isn't done has a reason"


GITLAB = {
    "CI_PROJECT_ID": "7",
    "CI_DEFAULT_BRANCH": "main",
    "CI_COMMIT_BRANCH": "main",
    "CI_COMMIT_REF_NAME": "main",
    "CI_PIPELINE_SOURCE": "push",
}
GITLAB_REQUEST = {
    "CI_PROJECT_ID": "7",
    "CI_DEFAULT_BRANCH": "main",
    "CI_COMMIT_REF_NAME": "topic",
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_IID": "3",
    "CI_MERGE_REQUEST_PROJECT_ID": "7",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7",
}
JENKINS = {"BRANCH_NAME": "main", "BRANCH_IS_PRIMARY": "true"}
JENKINS_REQUEST = {"BRANCH_NAME": "PR-3", "CHANGE_ID": "3", "CHANGE_BRANCH": "topic", "CHANGE_TARGET": "main"}
BUILDKITE = {
    "BUILDKITE_BRANCH": "main",
    "BUILDKITE_PIPELINE_DEFAULT_BRANCH": "main",
    "BUILDKITE_PULL_REQUEST": "false",
    "BUILDKITE_PULL_REQUEST_REPO": "",
    "BUILDKITE_TAG": "",
    "BUILDKITE_SOURCE": "webhook",
}
OFF, RESTORE, SAVE = (False, False), (True, False), (True, True)


@pytest.mark.parametrize(
    ("platform", "variables", "auto", "true", "trusted", "reason"),
    [
        ("gitlab", GITLAB, SAVE, SAVE, True, ""),
        ("gitlab", GITLAB | {"CI_PIPELINE_SOURCE": "schedule"}, SAVE, SAVE, True, ""),
        ("gitlab", GITLAB | {"CI_COMMIT_BRANCH": "topic"}, SAVE, SAVE, False, ""),
        ("gitlab", GITLAB_REQUEST, SAVE, SAVE, False, ""),
        ("gitlab", GITLAB | GITLAB_REQUEST, SAVE, SAVE, False, ""),
        ("gitlab", GITLAB_REQUEST | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "99"}, OFF, OFF, False, "fork"),
        ("gitlab", GITLAB_REQUEST | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": ""}, SAVE, SAVE, False, ""),
        (
            "gitlab",
            {"CI_COMMIT_TAG": "v1", "CI_DEFAULT_BRANCH": "main", "CI_PROJECT_ID": "7"},
            OFF,
            OFF,
            False,
            "a tag",
        ),
        ("gitlab", {}, SAVE, SAVE, False, ""),
        ("jenkins", JENKINS, SAVE, SAVE, True, ""),
        ("jenkins", JENKINS | {"BRANCH_IS_PRIMARY": "false"}, RESTORE, SAVE, False, "only the default branch"),
        ("jenkins", {"BRANCH_NAME": "topic"}, RESTORE, SAVE, False, "only the default branch"),
        ("jenkins", {}, RESTORE, SAVE, False, "only the default branch"),
        ("jenkins", JENKINS_REQUEST, RESTORE, SAVE, False, "only the default branch"),
        ("jenkins", JENKINS | JENKINS_REQUEST, RESTORE, SAVE, False, "only the default branch"),
        ("jenkins", JENKINS | {"CHANGE_FORK": "stranger"}, RESTORE, SAVE, False, "only the default branch"),
        ("jenkins", JENKINS | {"TAG_NAME": "v1"}, OFF, OFF, False, "a tag"),
        ("buildkite", BUILDKITE, SAVE, SAVE, True, ""),
        ("buildkite", BUILDKITE | {"BUILDKITE_SOURCE": "schedule"}, SAVE, SAVE, True, ""),
        ("buildkite", BUILDKITE | {"BUILDKITE_BRANCH": "topic"}, RESTORE, SAVE, False, "only the default branch"),
        # A fork's branch may be called like ours.
        ("buildkite", BUILDKITE | {"BUILDKITE_PULL_REQUEST": "3"}, RESTORE, SAVE, False, "only the default branch"),
        ("buildkite", BUILDKITE | {"BUILDKITE_PULL_REQUEST_REPO": "git://x"}, RESTORE, SAVE, False, "only the default"),
        ("buildkite", BUILDKITE | {"BUILDKITE_PULL_REQUEST": ""}, RESTORE, SAVE, False, "only the default branch"),
        ("buildkite", BUILDKITE | {"BUILDKITE_TAG": "v1"}, OFF, OFF, False, "a tag"),
        ("buildkite", {"BUILDKITE_PULL_REQUEST": "false"}, RESTORE, SAVE, False, "only the default branch"),
        ("", {"CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}, RESTORE, RESTORE, False, "CI platform"),
        ("", {}, RESTORE, RESTORE, False, "CI platform"),
    ],
)
def test_who_saves_and_whom_others_may_trust(
    platform: str,
    variables: Mapping[str, str],
    auto: tuple[bool, bool],
    true: tuple[bool, bool],
    trusted: bool,
    reason: str,
) -> None:
    row = cache_key.PLATFORMS[platform]
    found = row.situation(variables)
    assert found.trusted == trusted
    for choice, expected in (("auto", auto), ("true", true)):
        policy = cache_key.decide(choice, found, {}, [], keeps=row.keeps, store=True)
        assert (policy.restore, policy.save) == expected, choice
        assert bool(policy.reason) == (expected != SAVE), choice
    assert reason in cache_key.decide("auto", found, {}, [], keeps=row.keeps, store=True).reason
    restoring = cache_key.decide("restore", found, {}, [], keeps=row.keeps, store=True)
    assert (restoring.restore, restoring.save) == (auto[0], False)


@pytest.mark.parametrize("platform", ["jenkins", "buildkite"])
@pytest.mark.parametrize(
    ("choice", "reason"), [("auto", "machine's own cache"), ("true", "`cache-store`"), ("restore", "`cache-store`")]
)
def test_without_a_store_uv_has_the_machines_own_cache(platform: str, choice: str, reason: str) -> None:
    row = cache_key.PLATFORMS[platform]
    found = row.situation(JENKINS if platform == "jenkins" else BUILDKITE)
    policy = cache_key.decide(choice, found, {}, [], keeps=row.keeps, store=False)
    assert (policy.restore, policy.save) == OFF
    assert reason in policy.reason


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "a checkout"
    (folder / ".git").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10"\n')
    (folder / "uv.lock").write_text("version = 1\n")
    return folder


def plan(checkout: Path, *arguments: str, **environment: str) -> dict[str, str]:
    """The plan's outputs on GitHub, by name: of a run by schedule, which the default branch's own code is."""
    job = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "schedule", "RUNNER_TEMP": str(checkout.parent / "temp")}
    return run(checkout, ["plan", *arguments], {**job, **environment})


def settle(
    checkout: Path, planned: Mapping[str, str], state: str, *arguments: str, **environment: str
) -> dict[str, str]:
    """The outputs of `settle` after a restore that found `state`."""
    return run(
        checkout,
        [
            "settle", f"--state={state}", f"--path={planned['path']}", f"--key={planned['key']}",
            "--save" if planned["save"] == "true" else "--no-save", *arguments,
        ],
        {"GITHUB_ACTIONS": "true", "RUNNER_TEMP": str(checkout.parent / "temp"), **environment},
    )  # fmt: skip


def run(checkout: Path, arguments: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    """A run's outputs, by name."""
    outputs = checkout.parent / "outputs"
    outputs.unlink(missing_ok=True)
    result = subprocess.run(
        [sys.executable, TOOL, *arguments],
        cwd=checkout,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(checkout.parent),
            "GITHUB_OUTPUT": str(outputs),
            "UV_ACTIONS_OUTPUT": str(outputs.with_suffix(".json")),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    if environment.get("GITHUB_ACTIONS") != "true":
        return json.loads(outputs.with_suffix(".json").read_text())
    return dict(re.findall(r"^(\S+?)<<(?:uv-actions-\w+)\n(.*)\nuv-actions-\w+$", outputs.read_text(), re.MULTILINE))


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


# ---------------------------------------------------------------------------------------------------------------------
# GitLab: one folder for all keys, and a marker in it


class GitlabJob:
    """Jobs of one GitLab project, which GitLab gives the folder that the one before had at its end."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.folder = checkout / ".uv-actions"
        self.cache, self.marker = self.folder / "cache", self.folder / "key"
        self.number = 1

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **GITLAB,
            "GITLAB_CI": "true",
            "CI_JOB_ID": str(self.number),
            "UV_ACTIONS_TEMP": str(self.checkout.parent / f"temp-{self.number}"),
            **more,
        }

    def next(self) -> None:
        """Begins the next job."""
        self.number += 1

    def plan(self, *arguments: str, **more: str) -> dict[str, str]:
        return run(self.checkout, ["plan", f"--folder={self.folder}", *arguments], self.environment(**more))

    def settle(self, planned: Mapping[str, str], *arguments: str, **more: str) -> dict[str, str]:
        return settle(
            self.checkout, planned, planned["state"], *arguments, **self.environment(GITHUB_ACTIONS="", **more)
        )

    def work(self, *arguments: str, content: str = "new") -> dict[str, str]:
        """A whole job of the fragment `cache`; what `settle` told."""
        settled = self.settle(self.plan("--mode=restore", *arguments), "--mode=restore")
        (self.cache / content).write_text("")
        self.plan("--mode=save", *arguments)
        self.next()
        return settled


@pytest.fixture
def gitlab_job(checkout: Path) -> GitlabJob:
    return GitlabJob(checkout)


def test_on_gitlab_the_marker_tells_the_state(gitlab_job: GitlabJob) -> None:
    first = gitlab_job.work()
    assert (first["state"], first["save"], first["path"]) == ("miss", "true", str(gitlab_job.cache))
    marker = gitlab_job.marker.read_text()
    assert marker.startswith("uv-actions-1-")
    assert marker.count("\n") == 1
    second = gitlab_job.plan()
    assert (second["state"], second["key"]) == ("exact", marker.strip())
    settled = gitlab_job.settle(second)
    assert (settled["save"], (gitlab_job.cache / "new").exists()) == ("false", True)
    assert gitlab_job.marker.read_text() == marker


def test_on_gitlab_a_job_that_saves_starts_clean_with_a_changed_lock(gitlab_job: GitlabJob) -> None:
    gitlab_job.work(content="old")
    before = gitlab_job.marker.read_text()
    (gitlab_job.checkout / "uv.lock").write_text("version = 1\nrevision = 3\n")
    planned = gitlab_job.plan()
    assert planned["state"] == "miss"
    gitlab_job.settle(planned)
    assert list(gitlab_job.cache.iterdir()) == []
    assert not gitlab_job.marker.exists(), "a job that is killed now leaves no claim"
    gitlab_job.next()
    gitlab_job.work(content="new")
    assert [each.name for each in gitlab_job.cache.iterdir()] == ["new"]
    assert gitlab_job.marker.read_text() != before


def test_on_gitlab_a_job_that_only_restores_takes_what_is_there_of_its_family(gitlab_job: GitlabJob) -> None:
    gitlab_job.work(content="old")
    (gitlab_job.checkout / "uv.lock").write_text("version = 1\nrevision = 3\n")
    planned = gitlab_job.plan("--cache=restore")
    assert (planned["state"], planned["save"]) == ("partial", "false")
    marker = gitlab_job.marker.read_text()
    settled = gitlab_job.settle(planned)
    assert (settled["state"], (gitlab_job.cache / "old").exists()) == ("partial", True)
    assert gitlab_job.marker.read_text() == marker

    gitlab_job.next()
    other = gitlab_job.plan("--cache=restore", "--groups=docs")
    assert other["state"] == "miss", "never across families"
    gitlab_job.settle(other)
    assert not (gitlab_job.cache / "old").exists()


@pytest.mark.parametrize("content", ["", "\n", "no key at all", "\0\n", None])
def test_on_gitlab_a_cache_that_nobody_vouches_for_is_a_miss(gitlab_job: GitlabJob, content: str | None) -> None:
    (gitlab_job.cache / "archive-v0").mkdir(parents=True)
    if content is not None:
        gitlab_job.marker.write_text(content)
    for choice in ("auto", "restore"):
        planned = gitlab_job.plan(f"--cache={choice}")
        assert planned["state"] == "miss"
    gitlab_job.settle(planned)
    assert list(gitlab_job.cache.iterdir()) == []


def test_on_gitlab_a_marker_without_its_cache_is_a_miss(gitlab_job: GitlabJob) -> None:
    key = gitlab_job.plan()["key"]
    gitlab_job.folder.mkdir()
    gitlab_job.marker.write_text(key)
    assert gitlab_job.plan()["state"] == "miss"


def test_on_gitlab_a_note_of_an_earlier_job_counts_for_nothing(gitlab_job: GitlabJob) -> None:
    """A checkout that is kept, or an archive of the whole folder, brings the notes too."""
    gitlab_job.settle(gitlab_job.plan())
    (gitlab_job.cache / "half").write_text("")
    assert gitlab_job.plan()["reason"] == "an earlier step of this job restored it"
    gitlab_job.next()
    planned = gitlab_job.plan()
    assert (planned["state"], planned["save"]) == ("miss", "true")
    gitlab_job.settle(planned)
    assert not (gitlab_job.cache / "half").exists()


def test_on_gitlab_a_second_component_of_the_job_leaves_the_marker(gitlab_job: GitlabJob) -> None:
    gitlab_job.settle(gitlab_job.plan("--mode=restore"), "--mode=restore")
    gitlab_job.plan("--mode=save")
    marker = gitlab_job.marker.read_text()
    again = gitlab_job.plan("--groups=docs", UV_CACHE_DIR=str(gitlab_job.cache))
    assert (again["save"], again["path"]) == ("false", str(gitlab_job.cache))
    gitlab_job.settle(again)
    assert gitlab_job.marker.read_text() == marker


@pytest.mark.parametrize(("status", "claimed"), [("failed", False), ("canceled", False), ("success", True)])
def test_on_gitlab_failed_work_leaves_no_claim(gitlab_job: GitlabJob, status: str, claimed: bool) -> None:
    gitlab_job.settle(gitlab_job.plan("--mode=restore"), "--mode=restore")
    late = gitlab_job.plan("--mode=save", CI_JOB_STATUS=status)
    assert late["save"] == str(claimed).lower()
    assert gitlab_job.marker.exists() == claimed


FORK = {"CI_MERGE_REQUEST_IID": "3", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "99"}


@pytest.mark.parametrize("variables", [{"CI_COMMIT_TAG": "v1"}, FORK], ids=["tag", "fork"])
def test_on_gitlab_a_barred_job_works_in_an_empty_cache_of_its_own(
    gitlab_job: GitlabJob, variables: dict[str, str]
) -> None:
    gitlab_job.work()
    marker = gitlab_job.marker.read_text()
    planned = gitlab_job.plan(**variables)
    assert (planned["state"], planned["restore"], planned["save"], planned["key"]) == ("off", "false", "false", "")
    settled = gitlab_job.settle(planned, **variables)
    path = Path(settled["path"])
    assert not path.is_relative_to(gitlab_job.checkout)
    assert list(path.iterdir()) == []
    assert path.stat().st_mode & 0o777 == 0o700
    assert gitlab_job.plan(UV_CACHE_DIR=str(path), **variables)["path"] == str(path), "the next component has it too"
    assert (gitlab_job.marker.read_text(), (gitlab_job.cache / "new").exists()) == (marker, True)
    gitlab_job.next()
    assert gitlab_job.plan(**variables)["path"] != str(path)


def test_on_gitlab_the_jobs_own_uv_cache_dir_wins(gitlab_job: GitlabJob) -> None:
    planned = gitlab_job.plan(UV_CACHE_DIR="/var/cache/uv", CI_COMMIT_TAG="v1")
    assert (planned["state"], planned["path"]) == ("off", "")


def test_a_link_in_the_caches_place_is_removed_and_not_followed(gitlab_job: GitlabJob) -> None:
    treasure = gitlab_job.checkout.parent / "treasure"
    treasure.mkdir()
    (treasure / "gold").write_text("")
    gitlab_job.folder.mkdir()
    gitlab_job.cache.symlink_to(treasure)
    gitlab_job.settle(gitlab_job.plan())
    assert (treasure / "gold").exists()
    assert (gitlab_job.cache.is_symlink(), gitlab_job.cache.is_dir()) == (False, True)


def test_what_this_user_cannot_remove_does_not_end_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of another user, as a job in a container leaves them; root could remove them, so a stand-in refuses."""
    path = tmp_path / "cache"
    (path / "of-root").mkdir(parents=True)
    (tmp_path / "key").write_text("family-0\n")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("UV_ACTIONS_TEMP", str(tmp_path))
    settled = _common.settle_cache(
        state="miss", path=path, key="family-1", reason="", save=True, started=0, timed_out=False, saves_itself=True
    )
    assert (settled.state, settled.save) == ("miss", False)
    assert "can't be removed" in settled.reason
    assert settled.path != str(path)
    assert list(Path(settled.path).iterdir()) == []
    assert not (tmp_path / "key").exists(), "nobody takes what is left for a whole cache"


@pytest.mark.parametrize("folder", [".", "..", "/"])
def test_the_folder_of_our_caches_is_not_the_projects(checkout: Path, folder: str) -> None:
    result = subprocess.run(
        [sys.executable, TOOL, f"--folder={folder}"], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "`folder`" in result.stderr


def test_key_files_in_our_own_caches_do_not_count(gitlab_job: GitlabJob) -> None:
    before = gitlab_job.plan("--key-files=**/*.lock")
    (gitlab_job.cache / "archive-v0").mkdir(parents=True)
    (gitlab_job.cache / "archive-v0" / "tool.py.lock").write_text("")
    assert gitlab_job.plan("--key-files=**/*.lock")["key"] == before["key"]


# ---------------------------------------------------------------------------------------------------------------------
# Jenkins and Buildkite: a folder that the user names


@pytest.mark.parametrize(
    ("mark", "variables"), [("BUILDKITE", BUILDKITE), ("UV_ACTIONS_PLATFORM", JENKINS)], ids=["buildkite", "jenkins"]
)
def test_with_a_store_the_default_branch_saves(checkout: Path, mark: str, variables: dict[str, str]) -> None:
    job = {mark: "true" if mark == "BUILDKITE" else "jenkins", "UV_ACTIONS_TEMP": str(checkout.parent), **variables}
    without = run(checkout, ["plan"], job)
    assert (without["state"], without["reason"], without["path"]) == ("off", "machine's own cache", "")
    planned = run(checkout, ["plan", "--store=/mnt/cache"], job)
    assert (planned["restore"], planned["save"], planned["state"], planned["trust"]) == ("true", "true", "", "trusted")
    assert Path(planned["path"]).is_relative_to(checkout.parent / "uv-actions")
    by_variable = run(checkout, ["plan"], {**job, "UV_ACTIONS_CACHE_KEY_STORE": "/mnt/cache"})
    assert by_variable == {**planned, "started": by_variable["started"]}
    request = {"CHANGE_ID": "3"} if mark != "BUILDKITE" else {"BUILDKITE_PULL_REQUEST": "3"}
    changed = run(checkout, ["plan", "--store=/mnt/cache"], {**job, **request})
    assert (changed["save"], changed["trust"]) == ("false", "change")
    assert changed["restore-keys"] == planned["key"].rpartition("-")[0] + "-"


def test_a_person_saves_nothing_even_if_asked(checkout: Path) -> None:
    planned = run(checkout, ["plan", "--cache=true", "--store=/mnt/cache"], {})
    assert (planned["save"], planned["trust"]) == ("false", "change")
