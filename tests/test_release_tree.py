"""The release tree: what is in it, that it is the same each time, what is refused, and how a release is committed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from engines.gitlab import Gitlab, Situation
from release_tree import ALWAYS, BUILDKITE_SCRIPT, COMPONENT_SCRIPTS, LARGEST_TEMPLATE, NOT_RELEASED

ROOT = Path(__file__).resolve().parent.parent
TOOLS = sorted(path.stem for path in (ROOT / "scripts").glob("*.py") if path.stem not in NOT_RELEASED)

COMMON = '''
    """What tools share."""

    from __future__ import annotations

    import os
    from pathlib import Path

    VERSION = "0.0.0"


    def greet() -> Path:
        return Path(os.sep, VERSION)
'''
TOOL = '''
    #!/usr/bin/env -S uv run --no-config --locked --script
    # /// script
    # requires-python = ">=3.10"
    # dependencies = []
    # ///
    """A tool."""

    from __future__ import annotations

    import os
    from pathlib import Path

    from _common import (
        VERSION,
        greet,
    )

    if __name__ == "__main__":
        print(VERSION, os.fspath(greet()), Path("x"))
'''


class Repository:
    """A source tree of our form in a folder of its own, with the real release_tree.py."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.write("scripts/release_tree.py", (ROOT / "scripts/release_tree.py").read_text(encoding="utf-8"))
        self.write("scripts/_common.py", (ROOT / "scripts/_common.py").read_text(encoding="utf-8"))
        self.write("scripts/hello.py", TOOL.replace("greet", "find_uv").replace("os.fspath(find_uv())", "find_uv"))
        self.write("scripts/hello.py.lock", "version = 1\n")
        self.write("scripts/run", "#!/bin/sh\n")
        (self.folder / "scripts/run").chmod(0o755)
        self.write("actions/setup/action.yml", "name: setup\n")
        self.write("tests/test_x.py", "")
        self.write(".github/workflows/ci.yml", "on: push\n")
        self.write(".gitignore", "*.log\n__pycache__/\n")
        self.write("README.md", "# readme\n")
        self.write("LICENSE", "free\n")
        self.commit("first")

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8", newline="\n")

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=A Maker", "-c", "user.email=maker@example.org"]
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, encoding="utf-8").stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def refs(self) -> dict[str, str]:
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.split(" ") for line in lines)

    def run(self, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return release_tree(self.folder, arguments, environment)

    def ok(self, *arguments: str | Path, **environment: str) -> str:
        done = self.run(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str | Path, **environment: str) -> str:
        done = self.run(*arguments, **environment)
        assert done.returncode == 2, done.stderr
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        assert "To mend it: " in done.stderr
        return done.stderr


def release_tree(
    root: Path, arguments: Sequence[str | Path], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a source tree's release_tree.py from a foreign folder, as the first command on a machine."""
    command = [sys.executable, str(root / "scripts/release_tree.py"), *map(str, arguments)]
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=root.anchor,
        # Python's own cache of `_common` is not the tool's doing.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
    )


def content(folder: Path) -> dict[str, tuple[bool, bytes]]:
    """The files of a folder: whether each is executable, and its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): (os.access(path, os.X_OK), path.read_bytes()) for path in files}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "a source")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "an out"


# ---------------------------------------------------------------------------------------------------------------------
# This repository's release tree


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "tree"
    done = release_tree(ROOT, ["build", folder, "--version", "1.2.3"])
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("tool", TOOLS)
def test_released_tool_runs_alone(tool: str, ours: Path, tmp_path: Path) -> None:
    alone = tmp_path / "nothing else"
    alone.mkdir()
    for name in (f"{tool}.py", f"{tool}.py.lock"):
        (alone / name).write_bytes((ours / "scripts" / name).read_bytes())
    (alone / f"{tool}.py").chmod(0o755)
    # `uv run pytest` tells in UV where uv is, which needs not be on PATH.
    path = (
        os.pathsep.join([str(Path(os.environ["UV"]).parent), os.environ["PATH"]])
        if "UV" in os.environ
        else os.environ["PATH"]
    )
    done = subprocess.run(
        [str(alone / f"{tool}.py"), "--help"],
        check=False,
        capture_output=True,
        text=True,
        cwd=alone,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert f"usage: {tool}" in done.stdout


@pytest.mark.parametrize("tool", TOOLS)
def test_released_tool_states_its_version_and_keeps_its_mode(tool: str, ours: Path) -> None:
    released = ours / "scripts" / f"{tool}.py"
    assert released.read_text(encoding="utf-8").count('\nVERSION = "1.2.3"\n') == 1
    assert os.access(released, os.X_OK)


def test_holds_what_users_need_and_nothing_else(ours: Path) -> None:
    actions = {path.name for path in (ROOT / "actions").iterdir() if (path / "action.yml").exists()}
    by_platform = {
        "gitlab-templates": {"templates", ".gitlab-ci.yml"},
        "jenkins-shared-lib": {"vars", "src", "resources", "jenkins-shared-lib"},
        "buildkite-plugins": {"buildkite-plugins"},
    }
    others = set().union(*(names for folder, names in by_platform.items() if (ROOT / folder).exists()))
    there = {path.name for path in ours.iterdir()}
    assert there - others == {"scripts", "README.md", "LICENSE", ".release-tree", *actions}
    assert {path.stem for path in (ours / "scripts").glob("*.py")} == set(TOOLS)
    assert {"run", "install_uv.sh", "uv_versions.tsv"} <= {path.name for path in (ours / "scripts").iterdir()}


# ---------------------------------------------------------------------------------------------------------------------
# Scripts inside the parts that can't see the others


@pytest.mark.parametrize("component", COMPONENT_SCRIPTS)
def test_component_has_the_tools_that_it_runs(component: str) -> None:
    tools = COMPONENT_SCRIPTS[component]
    action = (ROOT / "actions" / component / "action.yml").read_text(encoding="utf-8")
    run = {name for pair in re.findall(r'scripts/run" (\w+)|scripts/(\w+)[.]py', action) for name in pair if name}
    assert run
    for tool in tools:
        text = (ROOT / "scripts" / f"{tool}.py").read_text(encoding="utf-8")
        run |= set(re.findall(r'with_name\("(\w+)[.]py"\)', text))
    assert run <= set(tools)


SHELLS = {"bash": ("bash",), "dash": ("dash",), "busybox": ("busybox", "sh")}

# What an sh, YAML or GitLab might take for its own.
AWKWARD = (
    "\ttab first, two spaces last  \n   \n\t\n\n\n"
    "# $(touch broken) `touch broken` $HOME ${HOME} $$ $5 %s \"quotes' \\n and backslashes \\\\ at the end \\\n"
    "---\n...\n- a: |\n  [ ] { } & * ! # : ? @\n"
    "UV_ACTIONS_EN\n EOF\nünï — ✓ 😀\n" + "x" * 5000 + "\n"
)


@pytest.fixture
def platforms(repository: Repository) -> Repository:
    """A source tree with a component on each platform, and scripts that are hard to embed."""
    hello = (repository.folder / "scripts/hello.py").read_text(encoding="utf-8")
    tools = {tool for each in COMPONENT_SCRIPTS.values() for tool in each}
    for tool in tools - {"publish"} | {BUILDKITE_SCRIPT}:
        repository.write(f"scripts/{tool}.py", hello)
        repository.write(f"scripts/{tool}.py.lock", "version = 1\n")
    repository.write("scripts/publish.py", hello.replace('"""A tool."""', f"'''{AWKWARD}'''"))
    repository.write("scripts/publish.py.lock", "")
    repository.write("scripts/install_uv.sh", "OLDEST_SUPPORTED=0.8.18\n")
    rows = [f"{uv}\t{wheel}\t{'0' * 64}\n" for uv in ("0.8.9", "0.8.18", "0.10.0") for wheel in WHEELS]
    repository.write("scripts/uv_versions.tsv", "# index: https://example.org/\n" + "".join(rows))
    (repository.folder / "scripts/run").write_text(AWKWARD, encoding="utf-8", newline="\n")
    repository.write("gitlab-templates/publish.yml", TEMPLATE)
    repository.write("gitlab-templates/_before.sh", "mkdir made\n# uv-actions: include _in.sh\n")
    repository.write("gitlab-templates/_in.sh", "if true; then\n\n    echo included > made/file\nfi\n")
    repository.write("gitlab-templates/README.md", "[a](publish.yml) [b](../scripts/run) [c](examples/x.yml)\n")
    repository.write("gitlab-templates/examples/x.yml", "include: []\n")
    repository.write("jenkins-shared-lib/vars/uvPublish.groovy", "def call() {}\n")
    repository.write("jenkins-shared-lib/src/org/uvactions/Options.groovy", "class Options {}\n")
    repository.write("jenkins-shared-lib/resources/org/uvactions/x.sh", "true\n")
    repository.write("jenkins-shared-lib/README.md", "[a](vars/uvPublish.groovy) [b](examples/Jenkinsfile)\n")
    repository.write("jenkins-shared-lib/examples/Jenkinsfile", "uvPublish()\n")
    repository.write("buildkite-plugins/README.md", "[a](uv-publish/plugin.yml) [b](../scripts/run)\n")
    repository.write("buildkite-plugins/lib/common.bash", "# shared\n")
    repository.write("buildkite-plugins/uv-publish/plugin.yml", "name: uv-publish\n")
    repository.write("buildkite-plugins/uv-publish/hooks/command", "#!/bin/bash\n")
    (repository.folder / "buildkite-plugins/uv-publish/hooks/command").chmod(0o755)
    return repository


WHEELS = (
    "macosx_11_0_arm64",
    "manylinux_2_17_i686.manylinux2014_i686",
    "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "musllinux_1_1_x86_64",
    "win_amd64",
)
TEMPLATE = """\
spec:
  inputs:
    image: {description: "$[[ is for inputs"}
---
publish:
  image: $[[ inputs.image ]]
  script:
    - |
      echo one
      # uv-actions: include _before.sh
      # uv-actions: embed run install_uv.sh uv_versions.tsv publish
      cat made/file
    - echo two
"""


def test_rows_of_the_platforms(platforms: Repository, out: Path) -> None:
    platforms.ok("build", out)
    made = content(out)
    needed = {"install_uv.sh", "publish.py", "publish.py.lock", "run", "uv_versions.tsv"}
    plugins_only = {f"{BUILDKITE_SCRIPT}.py", f"{BUILDKITE_SCRIPT}.py.lock"}
    all_scripts = {path.removeprefix("scripts/") for path in made if path.startswith("scripts/")} - {
        "hello.py",
        "hello.py.lock",
    }
    assert {path for path in made if not path.startswith(("scripts/", "setup/")) and path.count("/")} == {
        "templates/publish.yml",
        "templates/README.md",
        "templates/examples/x.yml",
        "vars/uvPublish.groovy",
        "src/org/uvactions/Options.groovy",
        "resources/org/uvactions/x.sh",
        "resources/org/uvactions/scripts/MANIFEST",
        *(f"resources/org/uvactions/scripts/{name}" for name in all_scripts - plugins_only),
        "jenkins-shared-lib/README.md",
        "jenkins-shared-lib/examples/Jenkinsfile",
        "buildkite-plugins/README.md",
        "buildkite-plugins/uv-publish/plugin.yml",
        "buildkite-plugins/uv-publish/hooks/command",
        "buildkite-plugins/uv-publish/lib/common.bash",
        *(f"buildkite-plugins/uv-publish/scripts/{name}" for name in needed | plugins_only),
    }
    assert made["buildkite-plugins/uv-publish/hooks/command"] == (True, b"#!/bin/bash\n")
    for path, file in made.items():
        if "/scripts/" in path and not path.endswith("MANIFEST"):
            assert file == made[f"scripts/{path.rpartition('/')[2]}"]
    manifest = made["resources/org/uvactions/scripts/MANIFEST"][1].decode().splitlines()
    assert f"publish: {' '.join(sorted(needed))}" in manifest
    assert [line.partition(":")[0] for line in manifest] == sorted(COMPONENT_SCRIPTS)
    links = {path: file[1].decode() for path, file in made.items() if path.endswith("README.md")}
    assert links["templates/README.md"] == "[a](publish.yml) [b](../scripts/run) [c](examples/x.yml)\n"
    assert links["jenkins-shared-lib/README.md"] == "[a](../vars/uvPublish.groovy) [b](examples/Jenkinsfile)\n"
    assert links["buildkite-plugins/README.md"] == "[a](uv-publish/plugin.yml) [b](../scripts/run)\n"


@pytest.mark.parametrize(
    "row", ["actions", "gitlab-templates", "jenkins-shared-lib", "buildkite-plugins", "README.md", "LICENSE"]
)
def test_without_a_row(row: str, platforms: Repository, out: Path) -> None:
    whole = tree_of(platforms, out)
    platforms.commit("all of it")
    platforms.git("rm", "--quiet", "-r", row)
    part = tree_of(platforms, out)
    assert part < whole
    assert (".gitlab-ci.yml" in part) == (row != "gitlab-templates")
    assert any(path.startswith("resources/") for path in part) == (row != "jenkins-shared-lib")


def tree_of(repository: Repository, out: Path) -> set[str]:
    repository.ok("build", out)
    return set(content(out))


def test_plugin_of_no_component(platforms: Repository, out: Path) -> None:
    platforms.write("buildkite-plugins/uv-tset/plugin.yml", "name: uv-tset\n")
    assert "`buildkite-plugins/uv-tset` is no component's" in platforms.refused("build", out)


def test_part_that_needs_a_script_that_is_not_there(platforms: Repository, out: Path) -> None:
    (platforms.folder / "scripts/publish.py").unlink()
    assert "there is no script `publish`" in platforms.refused("build", out)


def scripts_of(value: Any) -> Iterator[str]:
    """The script bodies in a parsed template."""
    if isinstance(value, dict):
        for each in value.values():
            yield from scripts_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from scripts_of(each)
    elif isinstance(value, str) and "uv_actions_scripts=$(mktemp" in value:
        yield value


def bodies_with_scripts(template: Path) -> list[str]:
    documents = [*yaml.load_all(template.read_text(encoding="utf-8"), Loader=GitlabLoader)]
    return [body for document in documents for body in scripts_of(document)]


class GitlabLoader(yaml.SafeLoader):
    """YAML with GitLab's `!reference`."""


GitlabLoader.add_constructor("!reference", lambda loader, node: loader.construct_sequence(node))


@pytest.mark.parametrize("shell", SHELLS)
def test_embedded_scripts_come_out_as_they_went_in(
    shell: str, platforms: Repository, out: Path, tmp_path: Path
) -> None:
    platforms.ok("build", out, "--version", "1.2.3")
    [body] = bodies_with_scripts(out / "templates/publish.yml")
    job, temp = tmp_path / "a job's folder", tmp_path / "its temp"
    job.mkdir()
    temp.mkdir()
    environment = {**os.environ, "UV_ACTIONS_TEMP": str(temp), "HOME": "/home of a user"}
    done = subprocess.run(
        [*SHELLS[shell], "-eu"], input=body.encode(), cwd=job, env=environment, capture_output=True, check=True
    )
    assert done.stdout == b"one\nincluded\n"
    assert done.stderr == b""
    assert [path.name for path in job.iterdir()] == ["made"]
    [folder] = temp.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    made = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "_common"}
    released = {name: (out / "scripts" / name).read_bytes() for name in made}
    # Rows that no runner of GitLab can use, and versions that aren't supported, are left out.
    rows = [f"{uv}\t{wheel}\t{'0' * 64}\n" for uv in ("0.8.18", "0.10.0") for wheel in WHEELS[2:4]]
    released["uv_versions.tsv"] = ("# index: https://example.org/\n" + "".join(rows)).encode()
    assert made.keys() == {"run", "install_uv.sh", "uv_versions.tsv", "publish.py", "publish.py.lock"}
    assert made == released
    assert b'VERSION = "1.2.3"' in made["publish.py"]


@pytest.mark.parametrize("shell", SHELLS)
def test_our_embedded_scripts_come_out_as_they_went_in(shell: str, ours: Path, tmp_path: Path) -> None:
    for template in (ours / "templates").glob("*.yml"):
        for body in bodies_with_scripts(template):
            start = body.index("uv_actions_scripts=$(mktemp")
            end = max(match.end() for match in re.finditer(r'^UV_ACTIONS_END\n|^cp "\$uv_.*\n', body, re.MULTILINE))
            folder = tmp_path / "a folder"
            folder.mkdir(exist_ok=True)
            script = body[start:end] + 'printf %s "$uv_actions_scripts"\n'
            environment = {**os.environ, "UV_ACTIONS_TEMP": str(folder)}
            done = subprocess.run(
                [*SHELLS[shell], "-eu"], input=script.encode(), env=environment, capture_output=True, check=True
            )
            made = {path.name: path.read_bytes() for path in Path(done.stdout.decode()).iterdir()}
            assert made.keys() >= set(ALWAYS)
            for name in made.keys() - {"_common", "uv_versions.tsv"}:
                assert made[name] == (ours / "scripts" / name).read_bytes(), (template.name, name)


@pytest.mark.parametrize("shell", SHELLS)
def test_no_place_for_embedded_scripts_ends_the_job(
    shell: str, platforms: Repository, out: Path, tmp_path: Path
) -> None:
    platforms.ok("build", out)
    [body] = bodies_with_scripts(out / "templates/publish.yml")
    environment = {**os.environ, "UV_ACTIONS_TEMP": str(tmp_path / "absent")}
    done = subprocess.run(SHELLS[shell], input=body.encode(), cwd=tmp_path, env=environment, capture_output=True)
    assert done.returncode == 2
    assert done.stdout == b"one\n"


@pytest.mark.parametrize(
    ("path", "old", "new", "error"),
    [
        ("scripts/run", "---", "$[[ inputs.x ]]", "scripts/run:7 has '$[['"),
        ("scripts/run", "---", "${{ x }}", "scripts/run:7 has '${{'"),
        ("scripts/run", "UV_ACTIONS_EN\n", "UV_ACTIONS_END\n", "scripts/run:11 has 'UV_ACTIONS_END'"),
        ("scripts/run", "---\n", "---\r\n", "scripts/run:7 has '\\r'"),
        ("scripts/run", "---", "\x1b[1m", "scripts/run:7 has '\\x1b'"),
        ("scripts/run", "---", "\u2028", "scripts/run:7 has '\\u2028'"),
        ("scripts/run", "x\n", "x", "scripts/run has no line end after its last line"),
        ("gitlab-templates/_in.sh", "if true", "if $[[ inputs.x ]]", "gitlab-templates/_in.sh:1 has '$[['"),
        ("gitlab-templates/_in.sh", "fi\n", "# uv-actions: include _before.sh\n", "_before.sh includes itself"),
        ("gitlab-templates/publish.yml", "embed run", "embed run lock_check", "embeds lock_check, but publish has"),
        ("gitlab-templates/publish.yml", ": embed run", ": embd run", "says `# uv-actions: embd run"),
        ("gitlab-templates/publish.yml", "_before.sh", "_after.sh", "gitlab-templates/_after.sh is missing"),
        ("gitlab-templates/publish.yml", "- |\n", "- >\n", "is not at the margin of a script"),
        ("gitlab-templates/publish.yml", "      # uv-actions: embed", "        # uv-actions: embed", "margin"),
        ("scripts/install_uv.sh", "OLDEST_SUPPORTED", "OLDEST", "names no oldest uv"),
    ],
)
def test_what_can_not_be_embedded_is_refused(
    path: str, old: str, new: str, error: str, platforms: Repository, out: Path
) -> None:
    file = platforms.folder / path
    text = file.read_bytes().decode()
    assert old in text
    file.write_bytes(text.replace(old, new).encode())
    assert error in platforms.refused("build", out)
    assert not out.exists()


def test_template_knows_as_many_versions_as_it_has_room_for(platforms: Repository, out: Path) -> None:
    table = platforms.folder / "scripts/uv_versions.tsv"
    row = f"{WHEELS[3]}\t{'0' * 64}\n"
    many = "".join(f"0.9.{number}\t{row}" for number in range(6000))
    table.write_text(f"# index: https://example.org/\n0.8.18\t{row}{many}1.0.0\t{row}", newline="\n")
    platforms.write("gitlab-templates/build.yml", TEMPLATE.replace(" publish\n", "\n"))
    platforms.ok("build", out)
    sizes, known = [], []
    for name in ("publish", "build"):
        text = (out / f"templates/{name}.yml").read_text(encoding="utf-8")
        sizes.append(len(text.encode()))
        known.append(re.findall(r"^ +(\S+)\tmusl", text, re.MULTILINE))
    assert LARGEST_TEMPLATE - 200 < max(sizes) <= LARGEST_TEMPLATE
    assert known[0] == known[1]
    assert known[0][-2:] == ["0.9.5999", "1.0.0"]
    assert "0.8.18" not in known[0]


def test_template_that_is_too_large(platforms: Repository, out: Path) -> None:
    platforms.write("gitlab-templates/_in.sh", "# 34567\n" * (LARGEST_TEMPLATE // 10))
    assert "templates/publish.yml would have 7" in platforms.refused("build", out)


def test_pipeline_of_the_catalogue(platforms: Repository, out: Path) -> None:
    platforms.ok("build", out)
    pipeline = yaml.safe_load((out / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    # No tag may publish to an index from here.
    [include] = pipeline["include"]
    assert include["component"] == "$CI_SERVER_FQDN/$CI_PROJECT_PATH/publish@$CI_COMMIT_SHA"
    assert include["inputs"] == {"rules": [{"when": "never"}]}
    assert pipeline["release"]["release"]["tag_name"] == "$CI_COMMIT_TAG"
    assert pipeline["release"]["rules"] == [{"if": r"$CI_COMMIT_TAG =~ /^v[0-9]+\.[0-9]+\.[0-9]+$/"}]
    assert pipeline.keys() == {"include", "release"}


@pytest.mark.parametrize("tag", ["", "v1.2.3"])
def test_pipeline_of_the_catalogue_runs(
    tag: str, ours: Path, gitlab: Gitlab, commit_all: Callable[[Path], None], tmp_path: Path
) -> None:
    shutil.copytree(ours, tmp_path / "catalogue")
    commit_all(tmp_path / "catalogue")
    pipeline = gitlab.run(tmp_path / "catalogue", situation=Situation(tag=tag), validate=True)
    assert pipeline.ok, pipeline.invalid or pipeline.log
    assert set(pipeline.jobs) == {"use-setup", "use-cache", "uv-lock-check", *(["release"] if tag else [])}
    assert re.search(r"^uv \d+\.\d+\.\d+", pipeline.job("use-setup").log, re.MULTILINE)


# ---------------------------------------------------------------------------------------------------------------------
# A build


def test_rows(repository: Repository, out: Path) -> None:
    repository.ok("build", out)
    made = content(out)
    assert sorted(made) == [
        ".release-tree",
        "LICENSE",
        "README.md",
        "scripts/hello.py",
        "scripts/hello.py.lock",
        "scripts/run",
        "setup/action.yml",
    ]
    assert made["scripts/run"] == (True, b"#!/bin/sh\n")
    assert made["README.md"] == (False, b"# readme\n")


def test_links_lead_to_where_a_release_has_the_file(repository: Repository, out: Path) -> None:
    readme = (
        "[a](actions/setup/README.md#inputs) [b](actions/setup/) [c](scripts/run) [d](tests/x.py) [e](#top) "
        "[f](https://example.org/actions/setup) [g](/actions/setup) `actions/setup` [h](LICENSE)\n"
    )
    repository.write("README.md", readme)
    repository.write("actions/setup/README.md", "[a](../../README.md) [b](../../scripts/run) [c](examples/x.yml)\n")
    repository.write("scripts/README.md", "[a](../actions/setup/action.yml) [b](run) [c](../actions)\n")
    repository.ok("build", out)
    assert (out / "README.md").read_text(encoding="utf-8") == readme.replace("](actions/", "](")
    assert (out / "setup/README.md").read_text(encoding="utf-8") == (
        "[a](../README.md) [b](../scripts/run) [c](examples/x.yml)\n"
    )
    assert (out / "scripts/README.md").read_text(encoding="utf-8") == "[a](../setup/action.yml) [b](run) [c](..)\n"


def test_prints_the_id_that_git_gives_to_the_folder(repository: Repository, out: Path) -> None:
    identity = repository.ok("build", out, "--version", "1.2.3").strip()
    (out / ".release-tree").unlink()
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=out, check=True)
    tree = subprocess.run(["git", "write-tree"], cwd=out, check=True, capture_output=True, text=True).stdout.strip()
    assert tree == identity


def test_same_input_gives_the_same_tree(repository: Repository, tmp_path: Path) -> None:
    umask = os.umask(0o077)
    try:
        first = repository.ok("build", tmp_path / "1", TZ="Asia/Tokyo", LC_ALL="C")
    finally:
        os.umask(umask)
    repository.git("config", "core.autocrlf", "true")
    second = repository.ok("build", tmp_path / "2", PYTHONHASHSEED="7")
    from_commit = repository.ok("build", tmp_path / "3", "--source", "HEAD")
    assert first == second == from_commit
    assert content(tmp_path / "1") == content(tmp_path / "2") == content(tmp_path / "3")
    assert repository.ok("build", tmp_path / "4", "--version", "1.2.3") != first


def test_working_copy_is_what_a_commit_of_it_would_hold(repository: Repository, out: Path) -> None:
    repository.write("actions/test/action.yml", "name: test\n")
    repository.write("actions/test/debug.log", "ignored\n")
    repository.write("README.md", "# changed\n")
    (repository.folder / "actions/setup/action.yml").unlink()
    before = repository.git("status", "--porcelain"), content(repository.folder / ".git")
    repository.ok("build", out)
    assert (repository.git("status", "--porcelain"), content(repository.folder / ".git")) == before
    made = content(out)
    assert made["README.md"][1] == b"# changed\n"
    assert "test/action.yml" in made
    assert not {"test/debug.log", "setup/action.yml"} & made.keys()


def test_any_commit_can_be_the_source(repository: Repository, out: Path) -> None:
    old = repository.ok("build", out)
    repository.write("README.md", "# newer\n")
    repository.commit("second")
    repository.write("README.md", "# newest\n")
    assert repository.ok("build", out, "--source", "HEAD~1") == old
    assert (out / "README.md").read_text(encoding="utf-8") == "# readme\n"


def test_a_git_that_is_told_of_another_repository(repository: Repository, tmp_path: Path) -> None:
    plain = repository.ok("build", tmp_path / "1")
    in_a_hook = repository.ok("build", tmp_path / "2", GIT_DIR=str(ROOT / ".git"), GIT_INDEX_FILE=str(tmp_path / "no"))
    assert in_a_hook == plain


def test_builds_again_into_its_own_folder(repository: Repository, out: Path) -> None:
    repository.ok("build", out)
    (repository.folder / "actions/setup/action.yml").rename(repository.folder / "actions/setup/README.md")
    repository.ok("build", out)
    assert sorted(path.name for path in (out / "setup").iterdir()) == ["README.md"]
    repository.git("rm", "--quiet", "-r", "--cached", "actions")
    (repository.folder / "actions/setup/README.md").unlink()
    repository.ok("build", out)
    assert not (out / "setup").exists()


def test_builds_into_an_empty_folder(repository: Repository, out: Path) -> None:
    out.mkdir()
    repository.ok("build", out)
    assert (out / "README.md").exists()


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        pytest.param(lambda out: (out / "notes.txt").write_text("mine"), "notes.txt", id="an added file"),
        pytest.param(lambda out: (out / "README.md").write_text("mine"), "README.md", id="a changed file"),
        pytest.param(lambda out: (out / "setup" / "link").symlink_to("/"), "setup/link", id="a link"),
        pytest.param(lambda out: (out / ".release-tree").unlink(), "LICENSE", id="a folder without our list"),
    ],
)
def test_never_deletes_what_it_did_not_make(
    spoil: Callable[[Path], object], named: str, repository: Repository, out: Path
) -> None:
    repository.ok("build", out)
    spoil(out)
    before = sorted(out.rglob("*")), (out / "README.md").read_bytes()
    assert named in repository.refused("build", out, "--version", "9.9.9")
    assert (sorted(out.rglob("*")), (out / "README.md").read_bytes()) == before


def test_a_file_in_place_of_the_folder(repository: Repository, out: Path) -> None:
    out.write_text("mine", encoding="utf-8")
    assert str(out) in repository.refused("build", out)
    assert out.read_text(encoding="utf-8") == "mine"


def test_dry_run_of_a_build_predicts_and_writes_nothing(repository: Repository, out: Path) -> None:
    predicted = repository.ok("build", out, "--dry-run")
    assert not out.exists()
    assert repository.ok("build", out) == predicted
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    repository.refused("build", out, "--dry-run")


# ---------------------------------------------------------------------------------------------------------------------
# A tool as one file


def test_tool_becomes_one_file(repository: Repository, out: Path) -> None:
    repository.write("scripts/_common.py", COMMON)
    repository.write("scripts/hello.py", TOOL)
    # The makers' tool keeps its own _common: the one that this test replaces would not do for it.
    assert release_with(repository, out).returncode == 0
    tool = out / "scripts/hello.py"
    text = tool.read_text(encoding="utf-8")
    assert "_common" not in text
    assert "What tools share" not in text
    assert text.count("from __future__") == 1
    done = subprocess.run([sys.executable, str(tool)], check=True, capture_output=True, text=True)
    assert done.stdout == f"1.2.3 {Path(os.sep, '1.2.3')} x\n"


def release_with(repository: Repository, out: Path) -> subprocess.CompletedProcess[str]:
    """A build whose source is the repository's commit, by a release_tree.py that lies beside the real _common.py."""
    repository.commit("the source")
    source = repository.git("rev-parse", "HEAD")
    repository.write("scripts/_common.py", (ROOT / "scripts/_common.py").read_text(encoding="utf-8"))
    return repository.run("build", out, "--version", "1.2.3", "--source", source)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        pytest.param("def greet() -> None: ...", "greet", id="a function"),
        pytest.param("class greet: ...", "greet", id="a class"),
        pytest.param("VERSION = 2", "VERSION", id="a value"),
        pytest.param("if True:\n    VERSION = 2", "VERSION", id="a value in a branch"),
        pytest.param("for VERSION in (): ...", "VERSION", id="a loop"),
        pytest.param("from posixpath import sep as os", "os", id="another import of that name"),
        pytest.param("Path = None", "Path", id="what _common imports"),
        pytest.param("def f() -> None:\n    global VERSION\n    VERSION = 2", "VERSION", id="a global"),
    ],
)
def test_colliding_names_are_refused(statement: str, names: str, repository: Repository, out: Path) -> None:
    repository.write("scripts/_common.py", COMMON)
    repository.write("scripts/hello.py", textwrap.dedent(TOOL).replace("import os\n", "") + statement + "\n")
    done = release_with(repository, out)
    assert done.returncode == 2
    assert f"scripts/hello.py and scripts/_common.py both define: {names}\n" in done.stderr
    assert not out.exists()


def replaced(old: str, new: str) -> str:
    tool = textwrap.dedent(TOOL)
    assert old in tool
    return tool.replace(old, new)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        pytest.param(
            replaced("    VERSION,\n", "    VERSION as V,\n"), "scripts/hello.py:13: `VERSION as V` can't", id="renamed"
        ),
        pytest.param(replaced("    greet,\n", "    gret,\n"), "`gret` can't be taken from _common", id="absent"),
        pytest.param(
            replaced("from _common import (\n    VERSION,\n    greet,\n)", "import _common"), ":13:", id="whole"
        ),
        pytest.param(TOOL + "    from _common import os\n", "one `from _common import …`, at top level", id="twice"),
        pytest.param(
            replaced("from _common import (\n    VERSION,\n    greet,\n)", "def f():\n    from _common import greet"),
            "scripts/hello.py:14:",
            id="in a function",
        ),
        pytest.param(replaced("from __future__ import annotations\n", ""), "__future__", id="other futures"),
        pytest.param(replaced("import os\n", "import os os\n"), "scripts/hello.py:10:", id="not Python"),
    ],
)
def test_other_ways_to_take_from_common_are_refused(text: str, error: str, repository: Repository, out: Path) -> None:
    repository.write("scripts/_common.py", COMMON)
    repository.write("scripts/hello.py", text)
    done = release_with(repository, out)
    assert done.returncode == 2
    assert error in done.stderr
    assert "To mend it: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_source_that_can_not_be_released(repository: Repository, out: Path) -> None:
    (repository.folder / "scripts/hello.py.lock").unlink()
    assert "uv lock --script scripts/hello.py" in repository.refused("build", out)
    repository.write("scripts/hello.py.lock", "version = 1\n")
    (repository.folder / "actions/link").symlink_to("setup")
    assert "actions/link" in repository.refused("build", out)
    (repository.folder / "actions/link").unlink()
    repository.write("actions/scripts/run", "another\n")
    assert "`scripts/run` of the release tree would be made twice" in repository.refused("build", out)
    assert not out.exists()


def test_source_without_anything(repository: Repository, out: Path) -> None:
    empty = repository.git("commit-tree", "-m", "empty", repository.git("mktree", "--missing"))
    assert "nothing that a release consists of" in repository.refused("build", out, "--source", empty)


@pytest.mark.parametrize("revision", ["nonsense", "--all", "HEAD:README.md", ""])
def test_source_that_is_no_commit(revision: str, repository: Repository, out: Path) -> None:
    assert "names no commit" in repository.refused("build", out, f"--source={revision}")


# ---------------------------------------------------------------------------------------------------------------------
# A commit


def test_commit_makes_branch_and_tags_and_nothing_else(repository: Repository, out: Path) -> None:
    main, before = repository.git("rev-parse", "HEAD"), content(repository.folder)
    done = repository.run("commit", "--version", "1.2.3")
    assert done.returncode == 0, done.stderr
    refs = repository.refs()
    made = refs["refs/tags/v1.2.3"]
    assert refs == {
        "refs/heads/main": main,
        "refs/heads/releases/v1": made,
        "refs/tags/v1": made,
        "refs/tags/v1.2": made,
        "refs/tags/v1.2.3": made,
    }
    assert repository.git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert repository.git("status", "--porcelain") == ""
    work_tree = {path: file for path, file in content(repository.folder).items() if not path.startswith(".git/")}
    assert work_tree == {path: file for path, file in before.items() if not path.startswith(".git/")}
    tree = repository.ok("build", out, "--version", "1.2.3", "--source", main).strip()
    assert repository.git("rev-parse", f"{made}^{{tree}}") == tree
    assert repository.git("show", "--no-patch", "--format=%(trailers:key=Source-Commit,valueonly)", made) == main
    assert repository.git("rev-list", "--parents", made) == made


def test_commit_is_the_same_on_each_machine(repository: Repository, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "--quiet", str(repository.folder), str(tmp_path / "clone")], check=True)
    elsewhere = release_tree(tmp_path / "clone", ["commit", "--version", "1.2.3"], {"TZ": "Asia/Tokyo"})
    assert elsewhere.returncode == 0, elsewhere.stderr
    repository.ok("commit", "--version", "1.2.3")
    repository.git("fetch", "--quiet", str(tmp_path / "clone"), "refs/tags/v1.2.3")
    assert repository.git("rev-parse", "FETCH_HEAD") == repository.refs()["refs/tags/v1.2.3"]
    date = repository.git("show", "--no-patch", "--format=%cI", "main")
    assert repository.git("show", "--no-patch", "--format=%cI", "v1.2.3") == date


def test_releases_follow_each_other(repository: Repository) -> None:
    for version in ("1.2.3", "1.2.4", "1.3.0", "2.0.0", "1.10.0"):
        repository.ok("commit", "--version", version)
    refs = repository.refs()
    chain = repository.git("rev-list", "refs/heads/releases/v1").splitlines()
    assert chain == [refs[f"refs/tags/v{version}"] for version in ("1.10.0", "1.3.0", "1.2.4", "1.2.3")]
    assert refs["refs/tags/v1"] == refs["refs/tags/v1.10"] == refs["refs/tags/v1.10.0"]
    assert refs["refs/tags/v1.2"] == refs["refs/tags/v1.2.4"]
    assert refs["refs/tags/v2"] == refs["refs/heads/releases/v2"] == refs["refs/tags/v2.0.0"]


def test_commit_of_an_older_source(repository: Repository) -> None:
    old = repository.git("rev-parse", "HEAD")
    repository.write("README.md", "# newer\n")
    repository.commit("second")
    repository.ok("commit", "--version", "1.0.0", "--source", old)
    assert repository.git("show", "v1.0.0:README.md") == "# readme"
    assert old in repository.git("show", "--no-patch", "--format=%b", "v1.0.0")


def test_what_it_prints_can_be_pushed(repository: Repository, tmp_path: Path) -> None:
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    for version in ("1.2.3", "1.2.4"):
        refspecs = repository.ok("commit", "--version", version).splitlines()
        repository.git("push", "--quiet", "--atomic", str(remote), *refspecs)
    pushed = subprocess.run(
        ["git", "-C", str(remote), "for-each-ref", "--format=%(refname) %(objectname)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    mine = repository.refs()
    del mine["refs/heads/main"]
    assert dict(line.split(" ") for line in pushed) == mine


def test_dry_run_of_a_commit_predicts_and_writes_nothing(repository: Repository) -> None:
    before = content(repository.folder)
    predicted = repository.run("commit", "--version", "1.2.3", "--dry-run")
    assert predicted.returncode == 0, predicted.stderr
    assert content(repository.folder) == before
    real = repository.run("commit", "--version", "1.2.3")
    assert predicted.stdout == real.stdout
    assert predicted.stderr.replace("would release", "released") == real.stderr


@pytest.mark.parametrize(
    "version", ["", "1", "1.2", "v1.2.3", "1.2.3.4", "1.02.3", "1.2.3-rc1", "1.2.3\n", "\u0661.2.3"]
)
def test_malformed_version(version: str, repository: Repository, out: Path) -> None:
    before = repository.refs()
    assert "must be three numbers" in repository.refused("commit", "--version", version)
    assert repository.refs() == before
    assert "must be three numbers" in repository.refused("build", out, "--version", version)
    assert not out.exists()


def test_version_that_is_not_the_newest(repository: Repository) -> None:
    for earlier in ("0.10.0", "1.1.0", "1.2.0", "3.0.0"):
        repository.ok("commit", "--version", earlier)
    before = repository.refs()
    for version, why in (
        ("1.2.0", "v1.2.0 is released, and a released version never changes"),
        ("1.1.0", "v1.1.0 is lower than v1.2.0, the newest release of v1"),
        ("1.1.5", "v1.1.5 is lower than v1.2.0, the newest release of v1"),
        ("0.9.0", "v0.9.0 is lower than v0.10.0, the newest release of v0"),
    ):
        assert why in repository.refused("commit", "--version", version)
    assert repository.refs() == before


@pytest.mark.parametrize("path", ["README.md", "unknown.txt", "tests/test_x.py"])
def test_dirty_tree(path: str, repository: Repository) -> None:
    repository.write(path, "changed\n")
    before = repository.refs()
    assert path in repository.refused("commit", "--version", "1.2.3")
    assert repository.refs() == before


def test_branch_that_holds_something_else(repository: Repository) -> None:
    repository.git("branch", "releases/v1")
    assert "refs/heads/releases/v1 is at" in repository.refused("commit", "--version", "1.2.3")


def test_clone_without_the_tags(repository: Repository, tmp_path: Path) -> None:
    repository.ok("commit", "--version", "1.2.3")
    command = ["git", "clone", "--quiet", "--no-tags", str(repository.folder), str(tmp_path / "clone")]
    subprocess.run(command, check=True)
    done = release_tree(tmp_path / "clone", ["commit", "--version", "1.3.0"])
    assert done.returncode == 2
    assert "refs/remotes/origin/releases/v1" in done.stderr
    assert "git fetch --tags" in done.stderr


def test_branch_that_is_checked_out_elsewhere(repository: Repository, tmp_path: Path) -> None:
    repository.ok("commit", "--version", "1.2.3")
    repository.git("worktree", "add", "--quiet", str(tmp_path / "other"), "releases/v1")
    assert "releases/v1 is checked out" in repository.refused("commit", "--version", "1.3.0")


def test_outside_of_a_repository(tmp_path: Path, out: Path) -> None:
    for name in ("release_tree.py", "_common.py"):
        (tmp_path / "scripts").mkdir(exist_ok=True)
        (tmp_path / "scripts" / name).write_bytes((ROOT / "scripts" / name).read_bytes())
    done = release_tree(tmp_path, ["build", out], {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})
    assert done.returncode == 2
    assert "not a git repository" in done.stderr
    assert not out.exists()
