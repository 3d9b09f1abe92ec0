"""What the Jenkins library keeps between builds: in a folder, by the plugin jobcacher, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from engines.jenkins import PLUGINS, Jenkins, Run

Project = Callable[[str], Path]

LIBRARY = "@Library('uv-actions@v1') _\n"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "a store"
    folder.mkdir()
    return folder


def on_node(body: str) -> str:
    return f"{LIBRARY}node {{\n    checkout scm\n{body}\n}}\n"


def setup(store: Path, more: str = "", body: str = "") -> str:
    return on_node(
        f"uvSetup(cacheStore: '{store}'{more}) {{ setup ->\n"
        "    note name: 'setup', value: setup\n"
        "    note name: 'cache', value: uvSh(script: 'uv cache dir', returnStdout: true).trim()\n"
        f"{body}\n}}"
    )


def entries(store: Path, level: str) -> list[str]:
    return sorted(path.name for path in (store / level / "keys").glob("*"))


def state(run: Run) -> str:
    return run.notes["setup"]["cacheState"]


def test_a_folder_is_cold_then_exact(new_jenkins: Callable[[str], Jenkins], project: Project, store: Path) -> None:
    folder = project("app")
    cold = new_jenkins("first").run(folder, setup(store))
    assert cold.ok, cold.log
    assert state(cold) == "miss"
    assert len(entries(store, "trusted")) == 1
    # Another agent, with nothing of its own; that the network is away shows that the entry has all.
    exact = new_jenkins("second").run(folder, setup(store), env={"UV_OFFLINE": "1"})
    assert exact.ok, exact.log
    assert state(exact) == "exact"
    assert exact.notes["setup"]["cacheKey"] == cold.notes["setup"]["cacheKey"]
    assert exact.notes["cache"].startswith(f"{exact.workspace}@tmp/uv-actions/")
    assert not Path(exact.notes["cache"]).exists()


def test_a_change_request_reads_what_it_never_writes(jenkins: Jenkins, project: Project, store: Path) -> None:
    folder = project("app")
    assert state(jenkins.run(folder, setup(store))) == "miss"
    before = entries(store, "trusted")
    reads = jenkins.run(folder, setup(store), situation="fork")
    assert state(reads) == "exact", reads.log
    # Even what `cache: 'true'` lets it save is kept apart.
    changed = jenkins.run(folder, setup(store, ", cache: 'true', cacheProfile: 'other'"), situation="fork")
    assert state(changed) == "miss", changed.log
    assert entries(store, "trusted") == before
    assert len(entries(store, "change")) == 1
    tag = jenkins.run(folder, setup(store), situation="tag")
    assert state(tag) == "off"


def test_failing_tests_dont_cost_the_cache(jenkins: Jenkins, project: Project, store: Path) -> None:
    run = jenkins.run(project("failing-tests"), setup(store, body="uvTest(args: ['tests'])"))
    assert run.result == "FAILURE"
    assert run.junit[0]["failCount"] > 0
    assert len(entries(store, "trusted")) == 1


# ---------------------------------------------------------------------------------------------------------------------
# uvCache

SYNC = "note name: 'setup', value: [cacheState: made.state, key: made.key]; uvSh 'uv sync --locked --quiet'"


def test_a_folder_for_what_users_do(jenkins: Jenkins, project: Project, store: Path) -> None:
    folder = project("app")
    jenkinsfile = on_node(f"uvCache(cacheStore: '{store}') {{ made -> {SYNC}; if (params.fail) {{ error 'no' }} }}")
    failed = jenkins.run(folder, jenkinsfile, params={"fail": True})
    assert failed.result == "FAILURE"
    assert state(failed) == "miss"
    assert entries(store, "trusted") == []
    cold = jenkins.run(folder, jenkinsfile, params={"fail": False})
    assert cold.ok, cold.log
    assert state(cold) == "miss"
    exact = jenkins.run(folder, jenkinsfile, params={"fail": False})
    assert exact.ok, exact.log
    assert state(exact) == "exact"
    assert exact.notes["setup"]["key"] == cold.notes["setup"]["key"]


def test_the_plugin_jobcacher(new_jenkins: Callable[[str], Jenkins], project: Project) -> None:
    folder = project("app")
    jenkins = new_jenkins("jenkins")
    jenkinsfile = on_node(f"sh 'rm -rf \"$WORKSPACE_TMP\"'\nuvCache {{ made -> {SYNC} }}")
    plugins = PLUGINS | {"jobcacher"}
    cold = jenkins.run(folder, jenkinsfile, plugins=plugins)
    assert cold.ok, cold.log
    assert state(cold) == "miss"
    exact = jenkins.run(folder, jenkinsfile, plugins=plugins)
    assert exact.ok, exact.log
    assert state(exact) == "exact"
    assert "Skip cache creation as the cache is up-to-date" in exact.log
    # Another key begins clean, whatever lies in the workspace.
    other = jenkins.run(folder, jenkinsfile.replace("uvCache {", "uvCache(profile: 'x') {"), plugins=plugins)
    assert state(other) == "miss", other.log


def test_without_store_and_plugin_the_cache_is_off(jenkins: Jenkins, project: Project) -> None:
    run = jenkins.run(project("app"), on_node(f"uvCache {{ made -> {SYNC} }}"))
    assert run.ok, run.log
    assert state(run) == "off"
    assert "no folder is named by cacheStore, and the plugin jobcacher isn't here" in run.log


def test_what_setup_finds_around_it_is_its_cache(jenkins: Jenkins, project: Project, store: Path) -> None:
    body = f"uvCache(cacheStore: '{store}') {{ uvSetup {{ setup -> note name: 'setup', value: setup }} }}"
    for expected in (0, 1):
        assert len(entries(store, "trusted")) == expected
        run = jenkins.run(
            project("app") if not expected else jenkins.state.parent / "my projects" / "app", on_node(body)
        )
        assert run.ok, run.log
        assert state(run) == "off"
