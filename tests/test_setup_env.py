"""How `setup_env` ends when an index fails, with uv's own words for it: the exit code, and what it says to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from distributions import wheel
from services.index import PASSWORD, USERNAME, Fault, Index

TOOL = Path(__file__).resolve().parents[1] / "scripts" / "setup_env.py"
LOGIN = {"UV_INDEX_ACME_USERNAME": USERNAME, "UV_INDEX_ACME_PASSWORD": PASSWORD}


@pytest.fixture
def project(index: Index, tmp_path: Path) -> Path:
    """A project with one dependency, locked from the index."""
    index.add(wheel(tmp_path / "built", "dep", "1.0"))
    folder = tmp_path / "a project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["dep"]\n'
        f'[[tool.uv.index]]\nname = "acme"\nurl = "{index.url}"\ndefault = true\n'
    )
    subprocess.run(["uv", "lock", "--quiet"], cwd=folder, env={**os.environ, **LOGIN}, check=True)
    return folder


def setup_env(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {"UV_CACHE_DIR": str(project.parent / "cache"), "UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "5"}
    return subprocess.run(
        [sys.executable, TOOL, *arguments],
        cwd=project,
        env={**os.environ, **own, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_environment_has_what_the_lock_says(project: Path) -> None:
    result = setup_env(project, **LOGIN)
    assert result.returncode == 0, result.stderr
    outputs = dict(line.split("=", 1) for line in result.stdout.splitlines())
    assert Path(outputs["venv"]) == project / ".venv"
    assert list((project / ".venv").rglob("dep-1.0.dist-info"))
    assert PASSWORD not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("fault", "code", "mend"),
    [
        (401, 4, "UV_INDEX_<NAME>_USERNAME"),
        (403, 4, "UV_INDEX_<NAME>_USERNAME"),
        (404, 5, "bring it there"),
        ("wrong-hash", 3, "before you lock anew"),
        ("hang", 5, "run the job again"),
    ],
)
def test_a_fault_of_the_index(project: Path, index: Index, fault: Fault, code: int, mend: str) -> None:
    index.fail("/packages/*", fault)
    result = setup_env(project, **LOGIN)
    assert result.returncode == code, result.stderr
    assert mend in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_password_is_not_a_drift(project: Path) -> None:
    result = setup_env(project)
    assert result.returncode == 4, result.stderr
    assert "UV_INDEX_<NAME>_USERNAME and _PASSWORD" in result.stderr


def test_a_drift_is_a_finding(project: Path) -> None:
    file = project / "pyproject.toml"
    file.write_text(file.read_text().replace('["dep"]', '["dep>=1"]'))
    result = setup_env(project, **LOGIN)
    assert result.returncode == 1, result.stderr
    assert "run `uv lock` and commit `uv.lock`" in result.stderr


def test_a_project_without_lock_says_how_to_make_one(project: Path) -> None:
    (project / "uv.lock").unlink()
    result = setup_env(project, **LOGIN)
    assert result.returncode == 2, result.stderr
    assert "uv lock" in result.stderr


def test_without_sync_nothing_is_made(project: Path) -> None:
    result = setup_env(project, "--no-sync", "--python-version", f"{sys.version_info.major}.{sys.version_info.minor}")
    assert result.returncode == 0, result.stderr
    assert not (project / ".venv").exists()
    assert f"UV_PYTHON={sys.version_info.major}.{sys.version_info.minor}\n" in result.stdout


def test_the_environment_may_lie_elsewhere(project: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    elsewhere = project.parent / "elsewhere"
    result = setup_env(project, f"--python-version={version}", **LOGIN, UV_PROJECT_ENVIRONMENT=str(elsewhere))
    assert result.returncode == 0, result.stderr
    assert f"venv={elsewhere}\n" in result.stdout
    assert list(elsewhere.rglob("dep-1.0.dist-info"))


# ---------------------------------------------------------------------------------------------------------------------
# The marker of a cache on GitLab


@pytest.fixture
def gitlab(project: Path) -> dict[str, str]:
    """The variables of a job of the default branch, whose plan says that it saves."""
    return {
        **LOGIN,
        "GITLAB_CI": "true",
        "CI_JOB_ID": "1",
        "UV_ACTIONS_TEMP": str(project.parent),
        "UV_ACTIONS_SETUP_ENV_CACHE_PATH": str(project / ".uv-actions" / "cache"),
        "UV_ACTIONS_SETUP_ENV_CACHE_KEY": "family-1",
        "UV_ACTIONS_SETUP_ENV_CACHE_SAVE": "true",
    }


def test_after_a_good_sync_the_marker_names_what_is_in_the_cache(project: Path, gitlab: dict[str, str]) -> None:
    result = setup_env(project, "--cache-state=miss", **gitlab)
    assert result.returncode == 0, result.stderr
    folder = project / ".uv-actions"
    assert (folder / "key").read_text() == "family-1\n"
    assert list((folder / "cache").glob("archive-v0/*")), "uv's cache is there, and not in the caller's"

    subprocess.run(["rm", "-rf", project / ".venv"], check=True)
    again = setup_env(project, "--cache-state=exact", **gitlab, UV_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert (folder / "key").read_text() == "family-1\n"
    assert "cache-save=false\n" in again.stdout


@pytest.mark.parametrize("fault", [404, "wrong-hash"])
def test_a_failed_sync_leaves_no_marker(project: Path, gitlab: dict[str, str], index: Index, fault: Fault) -> None:
    folder = project / ".uv-actions"
    (folder / "cache" / "old").mkdir(parents=True)
    (folder / "key").write_text("family-0\n")
    index.fail("/packages/*", fault)
    result = setup_env(project, "--cache-state=miss", **gitlab)
    assert result.returncode != 0
    assert not (folder / "key").exists()
    assert not (folder / "cache" / "old").exists()


def test_a_sync_that_is_killed_leaves_no_marker(project: Path, gitlab: dict[str, str], index: Index) -> None:
    folder = project / ".uv-actions"
    (folder / "cache").mkdir(parents=True)
    (folder / "key").write_text("family-0\n")
    index.fail("/packages/*", "hang")
    with subprocess.Popen(
        [sys.executable, TOOL, "--cache-state=miss"],
        cwd=project,
        env={**os.environ, **gitlab, "UV_HTTP_TIMEOUT": "60", "UV_HTTP_RETRIES": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not (folder / "cache" / "CACHEDIR.TAG").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    assert (folder / "cache" / "CACHEDIR.TAG").exists(), "it was killed while uv was at work"
    assert not (folder / "key").exists()


def test_without_sync_nobody_vouches_for_the_cache(project: Path, gitlab: dict[str, str]) -> None:
    result = setup_env(project, "--cache-state=miss", "--no-sync", **gitlab)
    assert result.returncode == 0, result.stderr
    assert not (project / ".uv-actions" / "key").exists()


def test_a_job_that_only_restores_leaves_the_marker(project: Path, gitlab: dict[str, str]) -> None:
    folder = project / ".uv-actions"
    (folder / "cache").mkdir(parents=True)
    (folder / "key").write_text("family-0\n")
    result = setup_env(project, "--cache-state=partial", **gitlab | {"UV_ACTIONS_SETUP_ENV_CACHE_SAVE": "false"})
    assert result.returncode == 0, result.stderr
    assert (folder / "key").read_text() == "family-0\n"


def test_a_cache_that_is_off_may_come_with_an_empty_folder(project: Path, gitlab: dict[str, str]) -> None:
    empty = project.parent / "empty"
    result = setup_env(
        project, "--cache-state=off", "--cache-reason=a job for a tag uses no cache", f"--cache-path={empty}", **gitlab
    )
    assert result.returncode == 0, result.stderr
    assert f"UV_CACHE_DIR={empty}\n" in result.stdout
    assert list(empty.glob("archive-v0/*"))
