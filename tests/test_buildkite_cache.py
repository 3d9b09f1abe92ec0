"""The cache between jobs on Buildkite: who reads and who writes it, and that it fails no job."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engines.buildkite import Buildkite

Project = Callable[[str], Path]


def test_a_pull_request_reads_the_cache_and_writes_its_own(buildkite: Buildkite, project: Project) -> None:
    app = project("app")

    def job(cache: str | bool, **situation: str) -> str:
        plugin = buildkite.plugin("uv-setup", cache=cache, cache_store=str(buildkite.store))
        run = buildkite.step(app, plugin, command='test -d "$UV_CACHE_DIR"', **situation)
        assert run.ok, run.log
        return run.jobs[0].env["UV_ACTIONS_SETUP_CACHE_STATE"]

    def entries(level: str) -> int:
        return len(list((buildkite.store / level).glob("keys/*")))

    request = {"branch": "main", "pull_request": "7", "pull_request_repo": "https://github.com/stranger/app.git"}
    assert job(True, **request) == "miss"
    assert (entries("change"), entries("trusted")) == (1, 0)
    assert job("auto") == "miss"
    assert entries("trusted") == 1
    assert job("auto") == "exact"
    shutil.rmtree(buildkite.store / "change")
    assert job("auto", **request) == "exact"
    assert entries("change") == 0
    assert buildkite.left_over() == []


def test_the_cache_of_a_step_is_saved_though_its_command_fails(buildkite: Buildkite, project: Project) -> None:
    app = project("app")
    plugins = (
        buildkite.plugin("uv-setup", sync=False, cache=False),
        buildkite.plugin("uv-cache", cache_store=str(buildkite.store)),
    )
    run = buildkite.step(app, *plugins, command="uv sync --locked && exit 7")
    assert run.jobs[0].exit == 7
    assert run.jobs[0].env["UV_ACTIONS_CACHE_STATE"] == "miss"
    run = buildkite.step(app, *plugins, command="uv sync --locked --offline")
    assert run.ok, run.log
    assert run.jobs[0].env["UV_ACTIONS_CACHE_STATE"] == "exact"
    assert "the cache isn't saved: the store has this entry already" in run.log


def test_a_store_that_fails_does_not_fail_the_job(buildkite: Buildkite, project: Project) -> None:
    app = project("app")
    plugins = (
        buildkite.plugin("uv-setup", sync=False, cache=False),
        buildkite.plugin("uv-cache", cache_store=str(buildkite.store)),
    )
    command = f"uv sync --locked; rm -r '{buildkite.store}'; touch '{buildkite.store}'"
    run = buildkite.step(app, *plugins, command=command)
    assert run.ok, run.log
    assert "warning: there is no cache store" in run.log


def test_agents_of_one_host_at_the_same_time(buildkite: Buildkite, project: Project) -> None:
    app = project("app")
    plugin = buildkite.plugin("uv-setup", cache_store=str(buildkite.store))
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda agent: buildkite.step(app, plugin, buildkite.plugin("uv-test"), agent=agent), "ab"))
    assert [run.ok for run in runs] == [True, True], runs[0].log + runs[1].log
    assert len(list((buildkite.store / "trusted").glob("keys/*"))) == 1
    assert buildkite.left_over() == []
