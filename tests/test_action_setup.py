"""What a job gets from `setup` and `cache` on GitHub."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli
import yaml
from distributions import fetch_wheels
from engines.github import Github, silent_server
from services.index import Index

SETUP = "org/uv-actions/setup@v1"
CACHE = "org/uv-actions/cache@v1"

Project = Callable[[str], Path]


def setup(**inputs: str) -> dict[str, Any]:
    return {"id": "setup", "uses": SETUP, "with": inputs}


def shell(command: str, **more: Any) -> dict[str, Any]:
    return {"id": "shell", "run": f"{{ {command}\n}} > said.txt", **more}


def said(run: Any) -> str:
    """What the `shell` step printed."""
    return (run.workspace / "said.txt").read_text(encoding="utf-8").strip()


def test_a_job_gets_uv_and_the_locked_environment(github: Github, project: Project) -> None:
    run = github.run(
        project("app"),
        [setup(), shell("uv --version; uv run --locked --offline python -c 'import app, idna; print(app.__name__)'")],
    )
    assert run.ok, run.log
    outputs = run.outputs["setup"]
    assert said(run).splitlines()[1:] == ["app"]
    assert f"uv {outputs['uv-version']}" in said(run)
    assert Path(outputs["uv-path"]).name == "uv"
    assert outputs["venv"].endswith("/.venv")
    assert outputs["python-version"].startswith("3.")
    assert outputs["cache-state"] == "miss"
    assert outputs["cache-key"].startswith("uv-actions-1-linux-")
    for told in (outputs["uv-version"], outputs["python-version"], "miss", "PATH", "UV_CACHE_DIR"):
        assert told in run.summary


def test_later_steps_get_nothing_but_path_and_cache(github: Github, project: Project) -> None:
    app = project("app")
    without, with_setup = github.run(app, [shell(":")]), github.run(app, [setup(), shell(":")])
    assert with_setup.ok, with_setup.log
    ours = {name for name in with_setup.env if name not in without.env and not name.startswith(("GITHUB_", "ACTIONS_"))}
    assert ours == {"UV_CACHE_DIR"}
    assert with_setup.env["PATH"] != without.env["PATH"]
    assert Path(with_setup.env["UV_CACHE_DIR"]).is_absolute()


def test_the_second_run_takes_all_from_the_cache(github: Github, project: Project) -> None:
    app = project("app")
    first = github.run(app, [setup()])
    assert first.outputs["setup"]["cache-state"] == "miss"
    second = github.run(app, [setup(), shell("uv sync --locked --offline --reinstall 2>&1")], env={"UV_OFFLINE": "1"})
    assert second.ok, second.log
    assert second.outputs["setup"]["cache-state"] == "exact"
    assert second.outputs["setup"]["cache-key"] == first.outputs["setup"]["cache-key"]
    assert "restored" in second.summary
    assert "idna" in said(second)


def change_lock(folder: Path, commit_all: Callable[[Path], None]) -> None:
    """A lock that needs less, as after a dependency was removed."""
    pyproject = folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace('  "idna>=3.4",\n', ""))
    lock = tomli.loads((folder / "uv.lock").read_text())
    text = (folder / "uv.lock").read_text()
    packages = text.split("[[package]]\n")
    kept = [each for each in packages if not each.startswith('name = "idna"')]
    assert len(kept) == len(packages) - 1 == len(lock["package"])
    lines = "[[package]]\n".join(kept).splitlines(keepends=True)
    (folder / "uv.lock").write_text("".join(each for each in lines if '{ name = "idna"' not in each))
    commit_all(folder)


def test_a_change_request_starts_from_the_newest_entry_and_saves_none(
    github: Github, project: Project, commit_all: Callable[[Path], None]
) -> None:
    app = project("app")
    first = github.run(app, [setup()])
    change_lock(app, commit_all)
    request: dict[str, Any] = {"event": "pull_request", "ref": "refs/pull/7/merge"}
    for _ in range(2):
        run = github.run(app, [setup()], **request)
        assert run.ok, run.log
        assert run.outputs["setup"]["cache-state"] == "partial", "an entry saved by the first run would be exact"
        assert run.outputs["setup"]["cache-key"] != first.outputs["setup"]["cache-key"]


def test_the_default_branch_starts_clean_after_a_change_of_the_lock(
    github: Github, project: Project, commit_all: Callable[[Path], None]
) -> None:
    app = project("app")
    github.run(app, [setup()])
    change_lock(app, commit_all)
    run = github.run(app, [setup(), shell('find "$UV_CACHE_DIR" -path "*wheels*" -name "*idna*"')])
    assert run.ok, run.log
    assert run.outputs["setup"]["cache-state"] == "miss"
    assert said(run) == "", "the entry has what its lock needs and nothing else"
    assert github.run(app, [setup()]).outputs["setup"]["cache-state"] == "exact"


def test_failing_tests_do_not_cost_the_cache(github: Github, project: Project) -> None:
    app = project("app")
    assert not github.run(app, [setup(), {"run": "exit 1"}]).ok
    assert github.run(app, [setup()]).outputs["setup"]["cache-state"] == "exact"


@pytest.mark.parametrize(
    ("where", "env", "inputs", "reason"),
    [
        ({"ref": "refs/tags/v1.2.3"}, {}, {}, "a tag"),
        ({"event": "release", "ref": "refs/tags/v1.2.3"}, {}, {"cache": "true"}, "a tag"),
        ({"event": "pull_request_target"}, {}, {}, "pull_request_target"),
        ({}, {"RUNNER_ENVIRONMENT": "self-hosted"}, {}, "machine's own cache"),
        ({}, {"UV_CACHE_DIR": "/tmp/of-the-caller"}, {}, "set by the caller"),
        ({}, {}, {"cache": "false"}, "switched off"),
    ],
)
def test_where_the_cache_is_off_the_summary_says_why(
    github: Github, project: Project, where: dict[str, Any], env: dict[str, str], inputs: dict[str, str], reason: str
) -> None:
    run = github.run(project("app"), [setup(**inputs)], env=env, **where)
    assert run.ok, run.log
    assert run.outputs["setup"]["cache-state"] == "off"
    assert run.outputs["setup"].get("cache-key", "") == ""
    assert reason in run.summary
    assert run.env.get("UV_CACHE_DIR") == env.get("UV_CACHE_DIR")


def test_groups_and_default_groups(github: Github, project: Project) -> None:
    app = project("app")
    run = github.run(app, [setup(**{"default-groups": "false"}), shell("uv pip list --format json")])
    assert run.ok, run.log
    assert {each["name"] for each in json.loads(said(run))} == {"app", "idna", "iniconfig"}
    run = github.run(app, [setup(**{"default-groups": "false", "groups": "dev\n"}), shell("uv pip list --format json")])
    assert "pytest" in {each["name"] for each in json.loads(said(run))}


def test_members_of_a_workspace(github: Github, project: Project) -> None:
    workspace = project("workspace")
    chosen = setup(packages="acme-api\nacme-worker", **{"default-groups": "false"})
    run = github.run(workspace, [chosen, shell("uv pip list --format json")])
    assert run.ok, run.log
    assert {"acme-api", "acme-worker", "acme-core"} <= {each["name"] for each in json.loads(said(run))}
    run = github.run(
        workspace, [setup(**{"working-directory": "apps/worker", "default-groups": "false"}), shell("ls -a")]
    )
    assert run.ok, run.log
    assert Path(run.outputs["setup"]["venv"]) == Path(run.env["GITHUB_WORKSPACE"]) / ".venv"


def test_the_chosen_python_is_really_used(
    github: Github, project: Project, pythons: Callable[[], dict[str, Path]]
) -> None:
    found = pythons()
    app = project("app")
    (app / ".python-version").write_text(f"{min(found)}\n")
    for version, python in found.items():
        run = github.run(
            app,
            [setup(**{"python-version": version}), shell("uv run --locked python -V")],
            path=[each.parent for each in found.values()],
        )
        assert run.ok, run.log
        assert said(run).startswith(f"Python {version}"), python
        assert run.outputs["setup"]["python-version"].startswith(version)
        assert run.env["UV_PYTHON"] == version


def test_another_python_than_the_chosen_one_fails(
    github: Github, project: Project, pythons: Callable[[], dict[str, Path]]
) -> None:
    found = pythons()
    wanted, other = sorted(found)[:2]
    run = github.run(
        project("app"),
        [setup(**{"python-version": wanted, "sync-args": f"--python\n{other}"})],
        path=[each.parent for each in found.values()],
    )
    assert not run.ok
    assert any(f"Python {other}" in each and wanted in each for each in run.messages("error")), run.log


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({"sync": "yes"}, "sync"),
        ({"default-groups": "1"}, "default-groups"),
        ({"cache": "on"}, "cache"),
        ({"working-directory": "nowhere"}, "working-directory"),
        ({"uv-version": "newest please"}, "version"),
        ({"mirror": "https://ci:secret@pypi.acme.example/simple/"}, "user"),
    ],
)
def test_wrong_input_is_an_annotation_that_names_it(
    github: Github, project: Project, inputs: dict[str, str], named: str
) -> None:
    run = github.run(project("app"), [setup(**inputs), shell("echo reached")])
    assert not run.ok
    assert run.steps["shell"] == "skipped"
    errors = run.messages("error")
    assert any(named in each and "To mend it:" in each for each in errors), run.log
    assert "secret@" not in run.log


def test_a_forgotten_checkout_is_named(github: Github, project: Project) -> None:
    run = github.run(project("app"), [{"run": "find . -mindepth 1 -delete"}, setup()])
    assert not run.ok
    assert any("actions/checkout" in each for each in run.messages("error")), run.log


def test_settings_of_the_job_do_not_lead_the_sync_elsewhere(
    github: Github, project: Project, pythons: Callable[[], dict[str, Path]]
) -> None:
    found = pythons()
    version = max(found)
    env = {"UV_SYSTEM_PYTHON": "1", "UV_WORKING_DIR": "apps", "UV_PROJECT": "/nowhere", "UV_REQUIRE_HASHES": "1"}
    run = github.run(
        project("workspace"),
        [setup(**{"working-directory": "apps/api", "python-version": version, "sync-args": "--all-packages"})],
        path=[each.parent for each in found.values()],
        env=env,
    )
    assert run.ok, run.log
    assert run.outputs["setup"]["python-version"].startswith(version)
    assert Path(run.outputs["setup"]["venv"]) == Path(run.env["GITHUB_WORKSPACE"]) / ".venv"


def test_a_python_given_by_its_path_is_used_and_later_steps_get_its_version(
    github: Github, project: Project, pythons: Callable[[], dict[str, Path]]
) -> None:
    version, python = max(pythons().items())
    run = github.run(
        project("app"),
        [setup(**{"python-version": str(python)}), shell("uv run --locked python -V")],
        path=[each.parent for each in pythons().values()],
    )
    assert run.ok, run.log
    assert said(run).startswith(f"Python {version}")
    assert run.env["UV_PYTHON"] == run.outputs["setup"]["python-version"]
    assert run.env["UV_PYTHON"].startswith(version)


def test_a_pythons_own_installation_can_be_the_environment(
    github: Github, project: Project, tmp_path: Path, pythons: Callable[[], dict[str, Path]]
) -> None:
    version, python = max(pythons().items())
    prefix = tmp_path / "usr-local"
    installed = subprocess.run(
        [python, "-c", "import sys; print(sys.base_prefix)"], check=True, capture_output=True, text=True
    ).stdout.strip()
    shutil.copytree(installed, prefix, symlinks=True, ignore=shutil.ignore_patterns("test", "__pycache__"))
    run = github.run(
        project("app"), [setup(**{"python-version": version})], env={"UV_PROJECT_ENVIRONMENT": str(prefix)}
    )
    assert run.ok, run.log
    assert run.outputs["setup"]["venv"] == str(prefix)
    assert run.outputs["setup"]["python-version"].startswith(version)


def test_a_drifted_lock_fails_and_says_what_to_type(github: Github, project: Project) -> None:
    run = github.run(project("drifted"), [setup()])
    assert not run.ok
    [message] = [each for each in run.messages("error") if "uv.lock" in each]
    assert "uv lock" in message


def test_without_sync_there_is_uv_and_no_environment(github: Github, project: Project) -> None:
    run = github.run(project("drifted"), [setup(sync="false"), shell("uv --version; ls -d .venv 2>&1 || true")])
    assert run.ok, run.log
    assert run.outputs["setup"].get("venv", "") == ""
    assert "uv " in said(run)
    assert "No such file" in said(run)


def test_setup_inside_another_composite_action(
    github: Github, project: Project, commit_all: Callable[[Path], None]
) -> None:
    app = project("app")
    action = {
        "name": "ours",
        "description": "A composite of the caller's own",
        "outputs": {"state": {"description": "the state", "value": "${{ steps.inner.outputs.cache-state }}"}},
        "runs": {
            "using": "composite",
            "steps": [
                {"id": "inner", "uses": SETUP, "with": {"working-directory": "an app"}},
                {"shell": "sh", "run": "uv --version"},
            ],
        },
    }
    nested = app / "an app"
    nested.mkdir()
    for each in ("pyproject.toml", "uv.lock", "README.md", "src"):
        shutil.move(app / each, nested / each)
    (app / ".github" / "ours").mkdir(parents=True)
    (app / ".github" / "ours" / "action.yml").write_text(yaml.safe_dump(action))
    commit_all(app)
    steps = [{"id": "ours", "uses": "./.github/ours"}]
    first, second = github.run(app, steps), github.run(app, steps)
    assert first.ok, first.log
    assert (first.outputs["ours"]["state"], second.outputs["ours"]["state"]) == ("miss", "exact")


def test_a_dead_cache_server_costs_little_and_fails_nothing(github: Github, project: Project) -> None:
    began = time.monotonic()
    run = github.run(project("app"), [setup(), shell("uv --version")], cache_url="http://127.0.0.1:9/", timeout=200)
    assert run.ok, run.log
    assert run.outputs["setup"]["cache-state"] == "miss"
    assert time.monotonic() - began < 180


@pytest.mark.timeout(400)
def test_a_cache_server_that_hangs_costs_under_three_minutes_and_fails_nothing(
    github: Github, project: Project
) -> None:
    began = time.monotonic()
    with silent_server() as url:
        run = github.run(project("app"), [setup(), shell("uv --version")], cache_url=url, timeout=300)
    assert run.ok, run.log
    assert run.outputs["setup"]["cache-state"] == "miss"
    assert "given up" in run.summary
    assert time.monotonic() - began < 180


def test_cache_by_itself_restores_and_saves(github: Github, project: Project) -> None:
    app = project("app")
    steps = [
        setup(sync="false", cache="false"),
        {"id": "cache", "uses": CACHE, "with": {"mode": "restore"}},
        shell("uv sync --locked"),
        {"id": "save", "uses": CACHE, "with": {"mode": "save"}},
    ]
    first = github.run(app, steps)
    assert first.ok, first.log
    assert first.outputs["cache"]["state"] == "miss"
    assert int(first.outputs["save"]["bytes"]) > 10_000
    second = github.run(app, steps)
    assert second.outputs["cache"]["state"] == "exact"
    assert int(second.outputs["cache"]["bytes"]) > 10_000
    assert second.outputs["cache"]["key"] == first.outputs["save"]["key"]


def test_cache_without_a_mode_names_the_input(github: Github, project: Project) -> None:
    run = github.run(project("app"), [{"uses": CACHE}])
    assert not run.ok
    assert any("mode" in each for each in run.messages("error")), run.log


def test_a_mirror_gives_every_file_and_the_hashes_are_checked(
    github: Github, project: Project, index: Index, tmp_path: Path
) -> None:
    app = project("app")
    backend = tmp_path / "backend"  # it isn't in the project's lock
    backend.mkdir()
    (backend / "pyproject.toml").write_text(
        '[project]\nname = "backend"\nversion = "1"\nrequires-python = ">=3.10"\n'
        'dependencies = ["uv_build>=0.13,<0.14"]\n'
    )
    subprocess.run(["uv", "lock", "--quiet", "--no-config"], cwd=backend, check=True)
    for lock in (app / "uv.lock", backend / "uv.lock"):
        fetch_wheels(lock, index.packages)
    env = {
        "UV_INDEX_MIRROR_USERNAME": "ci",
        "UV_INDEX_MIRROR_PASSWORD": "s3cret",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    check = shell("uv run python -c 'import app, idna, pytest; print(app.__file__)'")
    run = github.run(app, [setup(mirror=index.url), check], env=env)
    assert run.ok, run.log
    assert said(run).endswith("src/app/__init__.py")
    assert run.env["UV_NO_SYNC"] == "1"
    assert any(each.path.startswith("/packages/idna-") and each.status == 200 for each in index.requests)
    assert "s3cret" not in run.log

    index.fail("/packages/idna-*", "wrong-hash")
    run = github.run(app, [setup(mirror=index.url, cache="false"), check], env=env)
    assert not run.ok
    assert any("hash" in each for each in run.messages("error")), run.log
    assert run.steps["shell"] == "skipped"


def test_a_mirror_without_a_package_is_said_to_lack_it(github: Github, project: Project, index: Index) -> None:
    index.require_auth = False
    run = github.run(project("app"), [setup(mirror=index.url, cache="false")])
    assert not run.ok
    assert any("doesn't have a package" in each for each in run.messages("error")), run.log


def test_an_empty_cache_and_no_network_are_named(github: Github, project: Project) -> None:
    run = github.run(project("app"), [setup(cache="false")], env={"UV_OFFLINE": "1"})
    assert not run.ok
    assert any("UV_OFFLINE" in each for each in run.messages("error")), run.log


def test_a_mirror_does_not_excuse_a_drifted_lock(github: Github, project: Project, index: Index) -> None:
    run = github.run(project("drifted"), [setup(mirror=index.url)])
    assert not run.ok
    assert any("uv lock" in each for each in run.messages("error")), run.log


def test_a_mirror_serves_a_member_of_a_workspace_whatever_its_neighbours_lack(
    github: Github, project: Project, index: Index, commit_all: Callable[[Path], None]
) -> None:
    workspace = project("workspace")
    index.require_auth = False
    (workspace / "neighbour").mkdir()
    shutil.copy(workspace / "apps" / "worker" / "pyproject.toml", workspace / "neighbour")
    (workspace / "neighbour" / "uv.lock").write_text("<<<<<<< ours\n")
    commit_all(workspace)
    fetch_wheels(workspace / "uv.lock", index.packages)
    run = github.run(
        workspace,
        [
            setup(**{"working-directory": "apps/worker", "default-groups": "false"}, mirror=index.url),
            shell("cd apps/worker && uv run python -c 'import acme_core, acme_worker'"),
        ],
    )
    assert run.ok, run.log
