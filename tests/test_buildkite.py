"""What a job gets from the plugins on Buildkite's real agent."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engines.buildkite import Buildkite, Run
from engines.github import NETWORK_VARIABLES
from services.index import PASSWORD, USERNAME, Index
from services.oidc import Oidc

Project = Callable[[str], Path]
Commit = Callable[[Path], None]

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "buildkite-plugins"
URL = "https://github.com/org/uv-actions.git"
APP = ["app-1.2.3-py3-none-any.whl", "app-1.2.3.tar.gz"]


def examples(page: str) -> list[str]:
    """The pipelines that a page shows, as text."""
    text = (PAGES / page / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def made_runnable(text: str, buildkite: Buildkite, index: Index | None = None) -> str:
    """An example with this release, a store and an index of this machine in place of those that it names."""
    text = text.replace(URL, f"file://{buildkite.plugins}").replace("/var/cache/uv-actions", str(buildkite.store))
    if index:
        text = text.replace("https://pypi.acme.example/upload/", index.upload_url)
        text = text.replace("https://pypi.acme.example/simple/", index.url)
    return text


def own_plugin(project: Path, name: str, **hooks: str) -> dict[str, None]:
    """Adds a plugin of the repository's own, to be committed; `_` in a hook's name is a `-`."""
    folder = project / ".buildkite" / "plugins" / name / "hooks"
    folder.mkdir(parents=True)
    for hook, text in hooks.items():
        (folder / hook.replace("_", "-")).write_text(f"#!/bin/bash\n{text}\n")
    return {f"./.buildkite/plugins/{name}": None}


def publish(buildkite: Buildkite, index: Index, **options: Any) -> dict[str, Any]:
    given = {"publish_url": index.upload_url, "check_url": index.url, "username": USERNAME, "password_env": "LOGIN"}
    return {"key": "publish", "plugins": [buildkite.plugin("uv-publish", **{**given, **options})]}


def built(buildkite: Buildkite, project: Path, **options: Any) -> Run:
    """A build in which uv-build has made the app's distributions."""
    run = buildkite.step(project, buildkite.plugin("uv-build", **options))
    assert run.ok, run.log
    return run


# ---------------------------------------------------------------------------------------------------------------------
# The whole way


def test_the_pipeline_of_the_page(
    buildkite: Buildkite, project: Project, index: Index, pythons: Callable[[], dict[str, Path]]
) -> None:
    places = ":".join(str(each.parent) for each in pythons().values())
    env = {"ACME_PASSWORD": PASSWORD, "UV_PYTHON_SEARCH_PATH": places, "UV_PYTHON_DOWNLOADS": "never"}
    text = made_runnable(examples("")[0], buildkite, index)
    run = buildkite.run(project("app"), text, tag="v1.2.3", env=env, timeout=240)
    assert run.ok, run.log
    for version in ("3.10", "3.14"):
        job = next(job for job in run.jobs if job.matrix == {"": version})
        assert job.env["UV_ACTIONS_SETUP_PYTHON_VERSION"].startswith(f"{version}.")
        assert job.env["UV_ACTIONS_LOCK_CHECK_STATE"] == "fresh"
        assert job.env["UV_ACTIONS_TEST_PASSED"] == "2"
        assert f"Python {version}" in job.log
    assert len([path for path in run.artifacts if re.fullmatch(r"uv-test/junit-[0-9a-f-]{36}\.xml", path)]) == 2
    assert sorted(path for path in run.artifacts if path.startswith("dist/")) == [f"dist/{name}" for name in APP]
    assert index.files() == APP
    assert run.meta_data["uv-actions:build:version"] == "1.2.3"
    assert run.meta_data["uv-actions:build:sha256:dist"] == run.meta_data["uv-actions:build:sha256"]
    assert run.meta_data["uv-actions:publish:published"] == "2"
    assert "no cache" in run.annotations  # of the setup, for a tag
    assert PASSWORD not in run.log + run.annotations + str(run.meta_data)
    assert buildkite.left_over() == []


@pytest.mark.parametrize("page", ["uv-setup", "uv-cache", "uv-lock-check", "uv-test", "uv-build", "uv-publish"])
def test_the_example_of_a_plugin(
    page: str, buildkite: Buildkite, project: Project, index: Index, commit_all: Commit,
    pythons: Callable[[], dict[str, Path]],
) -> None:  # fmt: skip
    app = project("app")
    pyproject = app / "pyproject.toml"
    groups = "[dependency-groups]\ndocs = []\nlint = []"
    pyproject.write_text(pyproject.read_text().replace("[dependency-groups]", groups))
    script = project("script")
    for suffix in ("", ".lock"):
        shutil.copy(script / f"fetch.py{suffix}", app / f"report.py{suffix}")
    subprocess.run(["uv", "lock", "--quiet"], cwd=app, check=True)
    commit_all(app)
    places = ":".join(str(each.parent) for each in pythons().values())
    env = {"ACME_PASSWORD": PASSWORD, "UV_PYTHON_SEARCH_PATH": places, "UV_PYTHON_DOWNLOADS": "never"}
    for text in examples(page):
        run = buildkite.run(app, made_runnable(text, buildkite, index), env=env, timeout=240)
        assert run.ok, run.log
    assert buildkite.left_over() == []


# ---------------------------------------------------------------------------------------------------------------------
# Several plugins in a step


def test_a_plugin_twice_in_a_step(
    buildkite: Buildkite, project: Project, commit_all: Commit, pythons: Callable[[], dict[str, Path]]
) -> None:
    both = project("script")
    for name in ("one", "two"):
        shutil.copytree(ROOT / "tests/projects/app", both / name / "the app")
    commit_all(both)
    run = buildkite.step(
        both,
        buildkite.plugin("uv-lock-check", working_directory="one/the app", paths=["pyproject.toml"]),
        buildkite.plugin("uv-setup", working_directory="one/the app", python_version="3.10", cache=False),
        buildkite.plugin("uv-setup", working_directory="two/the app", python_version="3.14", cache=False),
        buildkite.plugin("uv-lock-check", working_directory="two/the app", paths=["pyproject.toml"]),
        command='for each in one two; do "$each/the app/.venv/bin/python" --version; done',
        env={"UV_PYTHON_SEARCH_PATH": ":".join(str(each.parent) for each in pythons().values())},
    )
    assert run.ok, run.log
    assert re.search(r"Python 3\.10\.\d+\nPython 3\.14\.\d+\n", run.log)
    assert run.jobs[0].env["UV_PYTHON"] == "3.14"
    assert run.jobs[0].env["UV_ACTIONS_SETUP_VENV"].endswith("/two/the app/.venv")


@pytest.mark.parametrize("foreign", ["first", "behind"])
def test_a_command_of_another_plugin_is_no_success(
    foreign: str, buildkite: Buildkite, project: Project, commit_all: Commit
) -> None:
    app = project("app")
    other = own_plugin(app, "other", command="echo 'the other one ran'")
    shutil.copytree(buildkite.release / "buildkite-plugins" / "uv-test", app / ".buildkite" / "plugins" / "uv-test")
    commit_all(app)
    ours: dict[str, Any] = {"./.buildkite/plugins/uv-test": {"command": "python", "args": ["-c", "print('ours ran')"]}}
    run = buildkite.step(app, *([other, ours] if foreign == "first" else [ours, other]))
    if foreign == "first":
        assert run.jobs[0].exit == 2
        assert "uv-test has not run, since another plugin" in run.log
    else:
        # The agent tells of the one that it leaves out, and ours has done its work.
        assert run.ok, run.log
        assert "ours ran" in run.log


def test_two_owners_of_the_command_are_refused(buildkite: Buildkite, project: Project) -> None:
    run = buildkite.step(project("app"), buildkite.plugin("uv-test"), buildkite.plugin("uv-build"))
    assert run.jobs[0].exit == 2
    assert "of the plugins uv-test, uv-build the agent would run the first one alone" in run.log
    assert "To mend it: give each a step of its own" in run.log
    assert run.artifacts == {}
    assert buildkite.left_over() == []


def test_a_command_beside_is_refused(buildkite: Buildkite, project: Project) -> None:
    run = buildkite.step(project("app"), buildkite.plugin("uv-build"), command="echo 'the command ran'")
    assert run.jobs[0].exit == 2
    assert "the step has a `command`, which would not run, since uv-build" in run.log
    assert "\nthe command ran" not in run.log


def test_beside_the_docker_plugin(buildkite: Buildkite, project: Project, tmp_path: Path) -> None:
    """The recipe of the page, with a stand-in for the docker plugin: the same options, but no container.

    It replaces the paths that `volumes` would make, and gives the command nothing but `environment`.
    """
    stand_in = tmp_path / "org" / "docker-buildkite-plugin.git"
    (stand_in / "hooks").mkdir(parents=True)
    (stand_in / "hooks" / "command").write_text(
        """#!/bin/bash
        set -euo pipefail
        volume=$(eval echo "$BUILDKITE_PLUGIN_DOCKER_VOLUMES_0")
        IFS=: read -r host target _ <<<"$volume"
        [[ $target == /usr/local/bin/uv && -x $host ]]
        environment=()
        for number in 0 1 2; do name=BUILDKITE_PLUGIN_DOCKER_ENVIRONMENT_$number; environment+=("${!name}"); done
        environment=("${environment[@]/=\\/tmp/=$TMPDIR/in-container}")
        for name in NETWORK_VARIABLES; do [[ ! -v $name ]] || environment+=("$name=${!name}"); done
        env -i "${environment[@]}" PATH="${host%/*}:$PATH" sh -ec "$BUILDKITE_COMMAND"
        """.replace("\n        ", "\n").replace("NETWORK_VARIABLES", " ".join(NETWORK_VARIABLES))
    )
    identity = ["-c", "user.name=ci", "-c", "user.email=ci@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "x"], ["tag", "v1"]):
        subprocess.run(["git", *arguments], cwd=stand_in, check=True)
    recipe = next(text for text in examples("") if "docker#" in text)
    recipe = re.sub(r"docker#[0-9a-f]{40}", f"file://{stand_in}#v1", made_runnable(recipe, buildkite))
    run = buildkite.run(project("app"), recipe)
    assert run.ok, run.log
    assert "2 passed" in run.log
    assert not (run.jobs[0].workspace / ".venv").exists()
    assert (buildkite.temporary / "in-container" / "venv").is_dir()


# ---------------------------------------------------------------------------------------------------------------------
# Options


def test_what_the_agent_does_not_check_is_refused(buildkite: Buildkite, project: Project) -> None:
    app = project("app")
    place = next(iter(buildkite.plugin("uv-setup")))
    for options, told in {
        "python-version: 3.10": ("`python-version` is the number 3.1", '`python-version: "3.10"`'),
        "python-verison: x": ("uv-setup has no option `python-verison`; the nearest is `python-version`",),
        "groups: docs": ("`groups` is the text 'docs', but must be a list",),
    }.items():
        run = buildkite.run(app, f"steps: [{{command: echo ran, plugins: [{{'{place}': {{{options}}}}}]}}]")
        assert run.jobs[0].exit == 2
        assert "\nran" not in run.log
        for text in told:
            assert text in run.log
    assert buildkite.left_over() == []


def test_nothing_in_a_value_is_executed(buildkite: Buildkite, project: Project, index: Index) -> None:
    app = project("app")
    hostile = "$(touch owned)`touch owned`'; touch owned; \""
    for step in (
        {"plugins": [buildkite.plugin("uv-cache", cache_store=hostile, profile=hostile)], "command": "true"},
        {"plugins": [buildkite.plugin("uv-setup", cache_store=hostile, mirror=hostile)], "command": "true"},
        publish(buildkite, index, dist=[hostile, "--help"]),
        publish(buildkite, index, password_env=hostile),
    ):
        run = buildkite.run(app, {"steps": [{"label": hostile, **step}]}, env={"LOGIN": hostile})
        assert not list(buildkite.state.rglob("owned"))
        # A store that isn't there is a miss.
        assert run.jobs[0].exit == (0 if "uv-cache" in str(step) else 2), run.log
    assert index.uploads == []


def test_the_name_of_a_password_is_no_password(buildkite: Buildkite, project: Project, index: Index) -> None:
    for name in ("pypi-Ag3nt-s3cret", "NOT_THERE"):
        step = publish(buildkite, index, password_env=name, dist=["src"])
        run = buildkite.run(project("app") if name == "NOT_THERE" else project("script"), {"steps": [step]})
        assert run.jobs[0].exit == 2
        assert "`password-env`" in run.log
        assert "pypi-Ag3nt-s3cret" not in run.log


# ---------------------------------------------------------------------------------------------------------------------
# What a job shows


def test_a_drifted_lock(buildkite: Buildkite, project: Project) -> None:
    run = buildkite.step(project("drifted"), buildkite.plugin("uv-lock-check"), command="echo 'the command ran'")
    assert run.jobs[0].exit == 1
    assert "\nthe command ran" not in run.log
    assert run.styles() == {"error"}
    assert "uv.lock" in run.annotations
    assert run.jobs[0].env["UV_ACTIONS_LOCK_CHECK_STATE"] == "drifted"
    assert buildkite.left_over() == []


def test_failing_tests(buildkite: Buildkite, project: Project) -> None:
    run = buildkite.step(project("failing-tests"), buildkite.plugin("uv-test", args=["tests"]))
    assert run.jobs[0].exit == 1
    assert "error" in run.styles()
    assert "test_results" in run.annotations
    assert [path.rpartition("/")[0] for path in run.artifacts] == ["uv-test"]
    assert int(run.jobs[0].env["UV_ACTIONS_TEST_FAILED"]) > 0
    assert buildkite.left_over() == []


def test_an_agent_that_buildkite_does_not_answer(buildkite: Buildkite, project: Project) -> None:
    for path in ("/jobs/*/annotations", "/jobs/*/artifacts"):
        buildkite.api.fail(path, 403)
    app = project("app")
    run = buildkite.step(app, buildkite.plugin("uv-lock-check"), buildkite.plugin("uv-test"))
    assert run.ok, run.log
    assert "`buildkite-agent artifact` failed" in run.log
    assert run.artifacts == {}
    run = buildkite.step(app, buildkite.plugin("uv-build"))
    assert run.jobs[0].exit == 5
    assert "the distributions could not be uploaded as artifacts" in run.log


def test_a_cancelled_job_leaves_nothing(buildkite: Buildkite, project: Project) -> None:
    code = "import time; print('tests ' + 'begun', flush=True); time.sleep(60)"
    plugin = buildkite.plugin("uv-test", command="python", args=["-c", code])
    run = buildkite.step(project("app"), plugin, cancel_at="tests begun\n")
    assert run.jobs[0].exit not in (0, None), run.log
    assert "tests begun" in run.log
    assert buildkite.left_over() == []


# ---------------------------------------------------------------------------------------------------------------------
# Where plugins and agents are


def test_vendored_in_a_path_with_blanks(
    new_buildkite: Callable[[str], Buildkite], project: Project, commit_all: Commit, tmp_path: Path
) -> None:
    buildkite = new_buildkite("my agents")
    app = project("app")
    for name in ("uv-setup", "uv-test"):
        shutil.copytree(buildkite.release / "buildkite-plugins" / name, app / ".buildkite" / "plugins" / name)
    commit_all(app)
    # Nothing but what the agent, git and the installer need: neither jq nor a python3.
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in NEEDED:
        found = shutil.which(name, path="/usr/bin:/bin")
        assert found, name
        (programs / name).symlink_to(found)
    (buildkite.state / "bin" / "python3").unlink()
    run = buildkite.step(
        app,
        {"./.buildkite/plugins/uv-setup": {"cache": False}},
        {"./.buildkite/plugins/uv-test": {"coverage": "off"}},
        system_path=str(programs),
        env={"UV_PYTHON_SEARCH_PATH": str(python_folder())},
    )
    assert run.ok, run.log
    assert run.jobs[0].env["UV_ACTIONS_TEST_PASSED"] == "2"
    assert " " in run.jobs[0].env["UV_ACTIONS_SETUP_VENV"]


NEEDED = (
    "awk", "basename", "bash", "cat", "chmod", "cksum", "cp", "curl", "cut", "dirname", "env", "getconf", "git",
    "grep", "head", "id", "ls", "mkdir", "mktemp", "mv", "rm", "rmdir", "sed", "sh", "sha256sum", "sleep", "sort",
    "tail", "timeout", "touch", "tr", "uname", "unzip", "wc",
)  # fmt: skip


def python_folder() -> Path:
    return Path(getattr(sys, "_base_executable", sys.executable)).resolve().parent


# ---------------------------------------------------------------------------------------------------------------------
# Publishing


def test_from_a_monorepo_and_with_the_password_hidden_by_the_agent(
    buildkite: Buildkite, project: Project, index: Index, commit_all: Commit
) -> None:
    monorepo = project("script")
    place = "services/the api"
    shutil.copytree(ROOT / "tests/projects/app", monorepo / place)
    leak = own_plugin(monorepo, "leak", post_command='echo "leaked: $LOGIN"')
    commit_all(monorepo)
    run = built(buildkite, monorepo, working_directory=place)
    assert sorted(run.artifacts) == [f"{place}/dist/{name}" for name in APP]
    step = publish(buildkite, index, working_directory=place)
    step["plugins"].append(leak)
    run = buildkite.run(monorepo, {"steps": [step]}, build=run.build, env={"LOGIN": PASSWORD})
    assert run.ok, run.log
    assert "leaked: [REDACTED]" in run.log
    assert PASSWORD not in run.log + run.annotations
    assert index.files() == APP


def test_an_artifact_that_is_not_what_was_built(buildkite: Buildkite, project: Project, index: Index) -> None:
    app = project("app")
    run = built(buildkite, app)
    wheel = next(each for each in run.build.artifacts if each.path.endswith(".whl"))
    wheel.data = (wheel.data or b"") + b"more"
    wheel.description["sha256sum"] = ""
    run = buildkite.run(app, {"steps": [publish(buildkite, index)]}, build=run.build, env={"LOGIN": PASSWORD})
    assert run.jobs[0].exit == 3
    assert index.uploads == []


def test_a_folder_whose_name_is_a_pattern_is_refused(
    buildkite: Buildkite, project: Project, commit_all: Commit
) -> None:
    monorepo = project("script")
    shutil.copytree(ROOT / "tests/projects/app", monorepo / "app[1]")
    commit_all(monorepo)
    run = buildkite.step(monorepo, buildkite.plugin("uv-build", working_directory="app[1]"))
    assert run.jobs[0].exit == 2
    assert "app[1]/dist has a character that the agent takes for a pattern" in run.log


def test_nothing_was_built(buildkite: Buildkite, project: Project, index: Index) -> None:
    run = buildkite.run(project("app"), {"steps": [publish(buildkite, index)]}, env={"LOGIN": PASSWORD})
    assert run.jobs[0].exit == 2
    assert "neither here nor among the artifacts of this build" in run.log
    assert index.uploads == []


def test_what_nobody_can_verify_is_not_published(buildkite: Buildkite, project: Project, index: Index) -> None:
    app = project("app")
    run = built(buildkite, app)
    buildkite.api.fail("/jobs/*/data/get", 403)
    run = buildkite.run(app, {"steps": [publish(buildkite, index)]}, build=run.build, env={"LOGIN": PASSWORD})
    assert run.jobs[0].exit == 5
    assert index.uploads == []


def test_trusted_publishing_by_the_agent(buildkite: Buildkite, project: Project, oidc: Oidc) -> None:
    buildkite.api.oidc = lambda request: oidc.signed(oidc.buildkite_claims, request["audience"])
    oidc.publisher["workflow"] = ""  # Buildkite's identities have none
    app = project("app")
    plugin = buildkite.plugin("uv-publish", publish_url=oidc.publish_url)
    before = built(buildkite, app).build
    run = buildkite.step(app, plugin, build=before, env=oidc.trust)
    assert run.ok, run.log
    assert oidc.index.files() == APP
    oidc.publisher["repository"] = "acme/another"
    (oidc.index.packages / APP[0]).unlink()
    run = buildkite.step(app, plugin, build=before, env=oidc.trust)
    assert not run.ok
    assert "invalid-publisher" in run.log
    assert "pipeline_slug" in run.log
