"""`publish` as jobs of GitLab, Jenkins and Buildkite run it: whose identity, which password, which files, which tag."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jwt
import pytest
from distributions import sdist, wheel
from services import gitlab_registry
from services.gitlab_registry import Registry
from services.index import PASSWORD, USERNAME, Index
from services.oidc import AUDIENCE, Oidc

TOOL = Path(__file__).resolve().parents[1] / "scripts" / "publish.py"
FILES = ["app-0.1.0-py3-none-any.whl", "app-0.1.0.tar.gz"]
PASSWORD_OPTIONS = {"gitlab": "password-env", "jenkins": "credentialsId", "buildkite": "password-env"}


@dataclasses.dataclass(frozen=True)
class Result:
    """How a run ended; `outputs` are what a shell that sources the wrapper's file gets."""

    code: int
    log: str
    outputs: dict[str, str]


Publish = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder, with a blank in its path, whose `dist` holds one release of a project."""
    path = tmp_path / "my project"
    wheel(path / "dist")
    sdist(path / "dist")
    return path


@pytest.fixture
def publish(folder: Path) -> Publish:
    """Runs the tool as a wrapper does: options as arguments, the password in its own process alone."""

    def run(
        platform: str, options: Mapping[str, object], env: Mapping[str, str] | None = None, password: str = ""
    ) -> Result:
        output = folder / "outputs.sh"
        output.unlink(missing_ok=True)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("UV_")},
            "HOME": str(folder),
            "UV_HTTP_RETRIES": "0",
            "UV_ACTIONS_PLATFORM": platform,
            "UV_ACTIONS_OUTPUT": str(output),
            "UV_ACTIONS_PUBLISH_PASSWORD": password,
            **(env or {}),
        }
        command = [sys.executable, str(TOOL), "--wait=1", *(f"--{name}={value}" for name, value in options.items())]
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        text = output.read_text() if output.exists() else ""
        outputs = dict(re.findall(r"^uv_out_(\w+)='(.*)'$", text, re.MULTILINE))
        return Result(done.returncode, done.stdout + done.stderr, outputs)

    return run


@pytest.fixture
def registry(index: Index) -> Iterator[Registry]:
    """The package registry of a GitLab project."""
    with Registry(index) as registry:
        yield registry


def addresses(index: Index) -> dict[str, str]:
    return {"publish-url": index.upload_url, "check-url": index.url}


def login(index: Index) -> dict[str, str]:
    return {**addresses(index), "username": USERNAME}


# ---------------------------------------------------------------------------------------------------------------------
# What was built


def hashes(folder: Path) -> str:
    """What `build` gives out as `sha256`."""
    files = sorted((folder / "dist").iterdir())
    return "\n".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in files)


def test_what_was_built_is_published(publish: Publish, index: Index, folder: Path) -> None:
    built = hashes(folder)

    result = publish("gitlab", {**login(index), "sha256": built}, password=PASSWORD)

    assert (result.code, result.outputs["published"]) == (0, "2"), result.log
    by_variable = publish("github", login(index), {"UV_ACTIONS_PUBLISH_SHA256": f"{built}\n"}, PASSWORD)
    assert "skipped 2" in by_variable.log


def swap(dist: Path) -> str:
    wheel(dist, text="import os  # something else\n")
    return f"{FILES[0]} has other content"


def add(dist: Path) -> str:
    wheel(dist, "evil", "1.0")
    return "evil-1.0-py3-none-any.whl was not built"


def remove(dist: Path) -> str:
    (dist / FILES[1]).unlink()
    return f"{FILES[1]} is missing"


@pytest.mark.parametrize("change", [swap, add, remove])
def test_what_was_not_built_is_refused_before_anything_is_uploaded(
    publish: Publish, index: Index, folder: Path, change: Callable[[Path], str]
) -> None:
    built = hashes(folder)
    said = change(folder / "dist")

    result = publish("buildkite", {**login(index), "sha256": built}, password=PASSWORD)

    assert result.code == 3
    assert said in result.log
    assert "To mend it" in result.log
    assert index.requests == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("abc  app-0.1.0.tar.gz", "no hash, two spaces and a name"),
        (f"{'0' * 64}\tapp-0.1.0.tar.gz", "no hash, two spaces and a name"),
        (f"{'0' * 64}  a.whl\n{'1' * 64}  a.whl", "two hashes of a.whl"),
    ],
)
def test_a_list_that_is_none(publish: Publish, index: Index, text: str, said: str) -> None:
    result = publish("jenkins", {**login(index), "sha256": text}, password=PASSWORD)
    assert result.code == 2
    assert said in result.log
    assert index.requests == []


# ---------------------------------------------------------------------------------------------------------------------
# Variables that a job has from others


def test_variables_of_other_jobs_do_not_move_the_upload(publish: Publish, index: Index, folder: Path) -> None:
    nowhere = "http://127.0.0.1:9/"
    (folder / "other.toml").write_text(
        f'publish-url = "{nowhere}"\n[[index]]\nname="x"\nurl="{nowhere}"\npublish-url="{nowhere}"\n'
    )
    dotenv = {
        **dict.fromkeys(("UV_PUBLISH_URL", "UV_PUBLISH_CHECK_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"), nowhere),
        **dict.fromkeys(("UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS"), nowhere),
        "UV_PUBLISH_INDEX": "x",
        "UV_CONFIG_FILE": str(folder / "other.toml"),
        "UV_PUBLISH_TOKEN": "stale",
        "UV_PUBLISH_USERNAME": "stale",
        "UV_PUBLISH_PASSWORD": "stale",
        "UV_PUBLISH_DRY_RUN": "true",
        "UV_ACTIONS_PUBLISH_PUBLISH_URL": nowhere,
        "UV_ACTIONS_PUBLISH_CHECK_URL": nowhere,
    }

    result = publish("gitlab", login(index), dotenv, PASSWORD)

    assert (result.code, result.outputs["published"]) == (0, "2"), result.log
    assert index.files() == FILES
    assert [upload.username for upload in index.uploads] == [USERNAME, USERNAME]
    assert "stale" not in result.log


def test_an_option_given_empty_is_not_taken_from_variables_of_other_jobs(
    publish: Publish, index: Index, folder: Path
) -> None:
    (folder / "uv.toml").write_text(f'publish-url = "{index.upload_url}"\ncheck-url = "{index.url}"\n')
    (folder / "other.toml").write_text('publish-url = "http://127.0.0.1:9/"\n')
    dotenv = {
        "UV_ACTIONS_PUBLISH_PUBLISH_URL": "http://127.0.0.1:9/",
        "UV_ACTIONS_PUBLISH_INDEX": "x",
        "UV_ACTIONS_PUBLISH_SHA256": f"{'0' * 64}  x.whl",
        "UV_CONFIG_FILE": str(folder / "other.toml"),
    }
    empty = {"publish-url": "", "check-url": "", "index": "", "sha256": "", "username": USERNAME}

    result = publish("gitlab", empty, dotenv, PASSWORD)

    assert (result.code, result.outputs["published"]) == (0, "2"), result.log
    assert "UV_CONFIG_FILE of the environment is not used" in result.log


# ---------------------------------------------------------------------------------------------------------------------
# GitLab's own registry


def to_registry(registry: Registry) -> dict[str, str]:
    return {
        "publish-url": registry.publish_url,
        "check-url": registry.check_url,
        "username": gitlab_registry.USERNAME,
    }


def test_a_gitlab_projects_own_registry(publish: Publish, registry: Registry) -> None:
    # The public index has a project of that name, with other content under the very names.
    registry.public = "".join(f'<a href="../../{name}#sha256={"0" * 64}">{name}</a>' for name in FILES)

    first = publish("gitlab", to_registry(registry), password=gitlab_registry.TOKEN)

    assert (first.code, first.outputs["published"]) == (0, "2"), first.log
    assert registry.index.files() == FILES
    assert first.outputs["url"] == f"{registry.check_url}/app/"
    second = publish("gitlab", to_registry(registry), password=gitlab_registry.TOKEN)
    assert (second.code, second.outputs["published"], second.outputs["skipped"]) == (0, "0", "2")
    assert registry.strangers == []
    assert gitlab_registry.TOKEN not in first.log + second.log


def test_a_new_version_beside_one_that_the_registry_holds(publish: Publish, registry: Registry, folder: Path) -> None:
    registry.index.add(folder / "dist" / FILES[0])
    wheel(folder / "dist", version="0.2.0")

    result = publish("gitlab", to_registry(registry), password=gitlab_registry.TOKEN)

    assert (result.outputs["published"], result.outputs["skipped"]) == ("2", "1"), result.log


def test_the_registry_says_that_a_file_is_there(publish: Publish, registry: Registry) -> None:
    options = {**to_registry(registry), "check-url": ""}
    assert publish("gitlab", options, password=gitlab_registry.TOKEN).code == 0

    again = publish("gitlab", options, password=gitlab_registry.TOKEN)

    assert again.code == 2
    assert "already holds a file of that name" in again.log
    assert "give `check-url`" in again.log


def test_a_job_token_that_the_registry_does_not_take(publish: Publish, registry: Registry) -> None:
    result = publish("gitlab", {**to_registry(registry), "check-url": ""}, password="glcbt-0ther")
    assert result.code == 4
    assert "check `username` and `password-env`" in result.log
    assert "glcbt-0ther" not in result.log


# ---------------------------------------------------------------------------------------------------------------------
# Trusted publishing: GitLab


@pytest.mark.parametrize("way", ["auto", "always"])
def test_gitlab_job_publishes_by_its_id_token(publish: Publish, oidc: Oidc, way: str) -> None:
    # The local runner of the tests says `false`, of which uv would take the job for none.
    env = {**oidc.gitlab_env, "GITLAB_CI": "false"}

    result = publish("gitlab", {"publish-url": oidc.publish_url, "trusted-publishing": way}, env)

    assert (result.code, result.outputs["published"]) == (0, "2"), result.log
    assert oidc.burned == oidc.minted
    assert len(oidc.minted) == 1
    for secret in (oidc.minted[0], *(value for name, value in env.items() if name.endswith("_ID_TOKEN"))):
        assert secret not in result.log


def test_gitlab_job_without_an_id_token(publish: Publish, oidc: Oidc) -> None:
    result = publish("gitlab", {"publish-url": oidc.publish_url}, {**oidc.trust, "GITLAB_CI": "true"})
    assert result.code == 4
    assert "id_tokens:\n    TEST_INDEX_ID_TOKEN:\n      aud: test-index\n" in result.log
    assert "password-env" in result.log
    assert oidc.index.uploads == []


def test_gitlab_claims_that_fit_no_publisher(publish: Publish, oidc: Oidc) -> None:
    oidc.publisher["environment"] = "release"
    env = oidc.gitlab_env

    result = publish("gitlab", {"publish-url": oidc.publish_url}, env)

    assert result.code == 4
    for text in (
        "invalid-publisher",
        "project_path: acme/app",
        "ci_config_ref_uri: gitlab.acme.example/acme/app//release.yml@refs/tags/v0.1.0",
        "ref_protected: true",
        "namespace acme, project app, top-level pipeline file release.yml, environment (none: leave it empty)",
    ):
        assert text in result.log
    signature = next(value for name, value in env.items() if name.endswith("_ID_TOKEN")).rpartition(".")[2]
    assert signature not in result.log
    assert oidc.index.uploads == []


def test_a_pipeline_whose_configuration_is_elsewhere_fits_no_publisher(publish: Publish, oidc: Oidc) -> None:
    oidc.publisher["workflow"] = ".gitlab-ci.yml"
    oidc.gitlab_claims["ci_config_ref_uri"] = ""
    result = publish("gitlab", {"publish-url": oidc.publish_url}, oidc.gitlab_env)
    assert result.code == 4
    assert "isn't a file of the project itself" in result.log


def test_a_gitlab_of_ones_own_is_sent_to_its_registry(publish: Publish, oidc: Oidc) -> None:
    oidc.refuse("mint", "invalid-token")
    result = publish("gitlab", {"publish-url": oidc.publish_url}, oidc.gitlab_env)
    assert result.code == 4
    assert "https://gitlab.com: give `password-env`" in result.log
    assert "$CI_API_V4_URL/projects/$CI_PROJECT_ID/packages/pypi" in result.log
    assert f"iss: {oidc.publish_url}issuer" in result.log


def test_an_id_token_for_another_audience(publish: Publish, oidc: Oidc) -> None:
    claims = {**oidc.gitlab_claims, "iss": "https://gitlab.com", "aud": "https://gitlab.com"}
    token = jwt.encode(claims, "of no issuer that the index knows", algorithm="HS256")
    result = publish("gitlab", {"publish-url": oidc.publish_url}, {**oidc.trust, "TEST_INDEX_ID_TOKEN": token})
    assert result.code == 4
    assert f"`aud: {AUDIENCE}`" in result.log


def test_an_id_token_that_is_none(publish: Publish, oidc: Oidc) -> None:
    env = {**oidc.trust, "TEST_INDEX_ID_TOKEN": "s3cret"}
    result = publish("gitlab", {"publish-url": oidc.publish_url}, env)
    assert result.code == 4
    assert "malformed JWT" in result.log
    assert "s3cret" not in result.log


# ---------------------------------------------------------------------------------------------------------------------
# Trusted publishing: Buildkite and Jenkins


@pytest.fixture
def agent(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Makes a stand-in for `buildkite-agent`, which answers `oidc request-token`, and gives a job's environment."""

    def make(token: str = "", error: str = "") -> dict[str, str]:
        folder = tmp_path / "agent"
        folder.mkdir(exist_ok=True)
        text = f"""#!{sys.executable}
import json, sys
from pathlib import Path
arguments, folder = sys.argv[1:], Path(__file__).parent
if arguments[0] != "oidc":
    sys.exit(0)
(folder / "asked.json").write_text(json.dumps(arguments))
if {error!r}:
    sys.exit({error!r})
print({token!r})
"""
        (folder / "buildkite-agent").write_text(text)
        (folder / "buildkite-agent").chmod(0o755)
        return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "BUILDKITE": "true"}

    return make


def test_buildkite_job_publishes_by_its_agents_token(
    publish: Publish, oidc: Oidc, agent: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    oidc.publisher["workflow"] = ""
    token = oidc.signed(oidc.buildkite_claims)

    result = publish("buildkite", {"publish-url": oidc.publish_url}, {**oidc.trust, **agent(token)})

    assert (result.code, result.outputs["published"]) == (0, "2"), result.log
    assert json.loads((tmp_path / "agent" / "asked.json").read_text()) == [
        *("oidc", "request-token", "--audience", AUDIENCE)
    ]
    assert token not in result.log
    assert oidc.burned == oidc.minted


def test_buildkite_agent_that_gives_no_token(
    publish: Publish, oidc: Oidc, agent: Callable[..., dict[str, str]]
) -> None:
    env = {**oidc.trust, **agent(error="fatal: not allowed")}
    result = publish("buildkite", {"publish-url": oidc.publish_url}, env)
    assert result.code == 4
    assert "fatal: not allowed" in result.log
    assert "give `password-env`" in result.log


def test_buildkite_claims_that_fit_no_publisher(
    publish: Publish, oidc: Oidc, agent: Callable[..., dict[str, str]]
) -> None:
    oidc.publisher["repository"] = "acme/another"
    env = {**oidc.trust, **agent(oidc.signed(oidc.buildkite_claims))}
    result = publish("buildkite", {"publish-url": oidc.publish_url}, env)
    assert result.code == 4
    assert "invalid-publisher" in result.log
    assert "pipeline_slug: app" in result.log
    assert (
        "organization acme, pipeline app; or, if it has no publishers for Buildkite, give `password-env`" in result.log
    )


@pytest.mark.parametrize("way", ["auto", "always", "never"])
def test_jenkins_has_no_identity(publish: Publish, oidc: Oidc, way: str) -> None:
    # Whatever else this machine may be: an identity of its cloud is none of this job.
    result = publish("jenkins", {"publish-url": oidc.publish_url, "trusted-publishing": way}, oidc.env)
    assert result.code == 2
    assert "give `credentialsId`" in result.log
    assert oidc.requests == []


# ---------------------------------------------------------------------------------------------------------------------
# On each of them


@pytest.mark.parametrize("platform", ["gitlab", "jenkins", "buildkite"])
def test_a_refused_password_is_not_followed_by_another_way(
    publish: Publish, oidc: Oidc, agent: Callable[..., dict[str, str]], platform: str
) -> None:
    env = {**oidc.gitlab_env, **agent(oidc.signed(oidc.buildkite_claims)), "UV_PUBLISH_TOKEN": "pypi-other"}
    result = publish(platform, {"publish-url": oidc.publish_url}, env, "wr0ng")
    assert result.code == 4
    assert f"`{PASSWORD_OPTIONS[platform]}`" in result.log
    assert "wr0ng" not in result.log
    assert oidc.requests == []
    assert oidc.index.uploads == []


@pytest.mark.parametrize("platform", ["gitlab", "jenkins", "buildkite"])
def test_contradictions_name_the_option_of_the_platform(publish: Publish, platform: str) -> None:
    result = publish(platform, {"trusted-publishing": "always"}, password="x")
    assert result.code == 2
    assert f"`{PASSWORD_OPTIONS[platform]}` is given beside `trusted-publishing: always`" in result.log


@pytest.mark.parametrize(
    ("platform", "variable"), [("gitlab", "CI_COMMIT_TAG"), ("jenkins", "TAG_NAME"), ("buildkite", "BUILDKITE_TAG")]
)
def test_the_tag_has_to_be_the_version(publish: Publish, index: Index, platform: str, variable: str) -> None:
    options = login(index)
    wrong = publish(platform, options, {variable: "v0.2.0"}, PASSWORD)
    assert wrong.code == 2
    assert "the tag 'v0.2.0' and the version of" in wrong.log
    assert index.requests == []
    # Another platform's variables are anybody's.
    others = {"GITHUB_REF": "refs/tags/v9", "CI_COMMIT_TAG": "v9", "TAG_NAME": "v9", "BUILDKITE_TAG": "v9"}
    right = publish(platform, options, {**others, variable: "v0.1.0"}, PASSWORD)
    assert (right.code, right.outputs["published"]) == (0, "2"), right.log
