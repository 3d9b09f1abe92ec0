#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = []
# ///
"""Makes what users consume, the release tree, from the source tree: as a folder, or as a commit with its tags.

    python3 scripts/release_tree.py build .release
    python3 scripts/release_tree.py commit --version 1.2.3

`build` takes the working copy, or the commit that `--source` names, and prints the id that git gives to the tree.
`commit` adds a commit to the branch `releases/v1`, tags it `v1.2.3`, `v1.2` and `v1`, and prints what to push, one
refspec a line; it pushes nothing and touches neither the work tree nor HEAD. The same source and version always give
the same tree. Standard library only, since it runs before uv exists.
"""

from __future__ import annotations

import ast
import bisect
import contextlib
import dataclasses
import hashlib
import os
import posixpath
import re
import shutil
import subprocess
import symtable
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path, PurePosixPath

from _common import Exit, Failure, Parser, run_main, say, write_atomic

ROOT = Path(__file__).resolve().parent.parent

# The list of what a build made, beside it: only that may be deleted by the next one. It is in no commit.
MANIFEST = ".release-tree"

# What of `scripts/` users don't get: the text that is put into each tool, and the makers' own tools.
NOT_RELEASED = ("_common", "release_tree", "update_reference", "update_uv_versions")

# What each component runs of `scripts/`, beside what every one starts with. A tool is named as `scripts/run` knows it,
# and those that it starts by itself are in its component's row too.
COMPONENT_SCRIPTS = {
    "setup": ("cache_key", "setup_env", "lock_check", "ci_cache"),
    "cache": ("cache_key", "ci_cache"),
    "lock-check": ("lock_check", "ci_report"),
    "test": ("cache_key", "setup_env", "lock_check", "ci_cache", "run_tests", "ci_report"),
    "build": ("build_dist", "check_dist", "ci_report"),
    "publish": ("publish",),
}
VERSION_TABLE = "uv_versions.tsv"
ALWAYS = ("run", "install_uv.sh", VERSION_TABLE)
# What every Buildkite plugin has beside it: no agent checks its options.
BUILDKITE_SCRIPT = "buildkite_options"

# A line of a GitLab template that a release replaces.
DIRECTIVE = re.compile(r"( *)# uv-actions: *(\w*) *(.*)")
# The line before it: it opens a literal block scalar.
BLOCK_SCALAR = re.compile(r".*(?::|-) \|[+-]?")
TERMINATOR = "UV_ACTIONS_END"
# What doesn't come out of YAML or GitLab's interpolation as it went in: control characters, other line ends, a BOM.
NOT_EMBEDDED = re.compile(r"\$\[\[|\$\{\{|" + TERMINATOR + r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
# In bytes. GitLab refuses larger ones only at some megabytes, but a pipeline has several.
LARGEST_TEMPLATE = 500_000
# The wheels that are embedded: for what GitLab's own images of the runner's helper exist.
GITLAB_PLATFORMS = re.compile(r"(many|musl)linux_.*_(x86_64|aarch64|armv7l|ppc64le|s390x|riscv64)")
CATALOGUE = """\
# Made by scripts/release_tree.py. It uses the components of the commit that it runs for, and makes of a tag a version
# in the CI/CD catalogue, which GitLab does for a job with `release:` only.
include:
{includes}
release:
  stage: deploy
  image: registry.gitlab.com/gitlab-org/cli:v1.80.4
  rules:
    - if: $CI_COMMIT_TAG =~ /^v[0-9]+\\.[0-9]+\\.[0-9]+$/
  script:
    - echo "releasing $CI_COMMIT_TAG"
  release:
    tag_name: $CI_COMMIT_TAG
    description: uv-actions $CI_COMMIT_TAG
"""
CATALOGUE_INCLUDE = "  - component: $CI_SERVER_FQDN/$CI_PROJECT_PATH/{component}@$CI_COMMIT_SHA\n{inputs}"
# There is no project here to sync, test, build or publish; GitLab takes a template without running its job.
CATALOGUE_NEVER = "    inputs: {rules: [{when: never}]}\n"
CATALOGUE_INPUTS = {
    "setup": "    inputs: {sync: 'false', cache: 'false'}\n",
    "cache": "    inputs: {key-files: scripts/*.lock}\n",
    "test": CATALOGUE_NEVER,
    "build": CATALOGUE_NEVER,
    "publish": CATALOGUE_NEVER,
}
# Fragments do nothing by themselves.
CATALOGUE_JOBS = {
    "setup": """
use-setup:
  extends: .uv-setup
  script:
    - !reference [.uv-setup, script]
    - uv --version
""",
    "cache": """
use-cache:
  extends: .uv-cache
  image: python:3-slim
  script:
    - !reference [.uv-cache, script]
    - !reference [.uv-cache-save, script]
""",
}
OLDEST_SUPPORTED = re.compile(r"^OLDEST_SUPPORTED=([0-9.]+)$", re.MULTILINE)

# The line of `_common` that a release stamps.
VERSION_LINE = 'VERSION = "0.0.0"\n'

# The target of a Markdown link that is a path: neither a URL, nor an anchor, nor from the root.
RELATIVE_LINK = re.compile(rb"(?<=\]\()(?!/)[\w./-]+(?=[)#])")

# What makes git look at another repository than this one, as in a hook.
FOREIGN_GIT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE", "GIT_PREFIX")

# A part is a number without leading zeros, or nothing would be the newest.
NUMBER = r"(0|[1-9][0-9]*)"
VERSION_FORM = re.compile(rf"{NUMBER}\.{NUMBER}\.{NUMBER}")

PLAIN, EXECUTABLE = "100644", "100755"


@dataclasses.dataclass(frozen=True)
class File:
    """A file as git keeps it: its mode, `100644` or `100755`, and its bytes."""

    mode: str
    data: bytes


# A tree: paths with `/` between their parts, and their files.
Tree = Mapping[str, File]


# ---------------------------------------------------------------------------------------------------------------------
# What is made of the parts


@dataclasses.dataclass(frozen=True)
class Scripts:
    """The scripts as they are released, and the text of `_common` that is in the tools among them."""

    files: Tree
    common: str

    def of(self, component: str) -> Tree:
        """The files that a component needs."""
        scripts = (*ALWAYS, *COMPONENT_SCRIPTS[component])
        return {name: self.files[name] for script in scripts for name in self.names(script)}

    def names(self, script: str) -> tuple[str, ...]:
        """The files of a script: a tool's own and its lock."""
        names = (f"{script}.py", f"{script}.py.lock") if f"{script}.py" in self.files else (script,)
        if names[0] not in self.files:
            raise Failure(f"there is no script `{script}`", "correct COMPONENT_SCRIPTS in scripts/release_tree.py")
        return names


def tools(files: Tree, version: str) -> Scripts:
    """The scripts, each tool as one file that needs nothing but its lock."""
    if not files:
        return Scripts({}, "")
    released = {}
    common = text_of(files, "scripts", "_common.py")
    for path, file in files.items():
        name, _, kind = path.partition(".")
        if name in NOT_RELEASED and kind in ("py", "py.lock"):
            continue
        if kind == "py" and "/" not in name:
            if f"{path}.lock" not in files:
                raise Failure(f"scripts/{path} has no lock beside it", f"uv lock --script scripts/{path}")
            text = with_common(path, text_of(files, "scripts", path), common, version)
            released[path] = File(file.mode, text.encode())
        else:
            released[path] = file
    return Scripts(released, shared_text(common, version))


def as_it_is(files: Tree, _scripts: Scripts) -> Tree:
    """The files unchanged."""
    return files


def the_scripts(_files: Tree, scripts: Scripts) -> Tree:
    """The scripts."""
    return scripts.files


def resources(_files: Tree, scripts: Scripts) -> Tree:
    """The scripts for `libraryResource`, which can't list a folder: `MANIFEST` has a line for each component."""
    needed = {component: scripts.of(component) for component in COMPONENT_SCRIPTS}
    listing = "".join(f"{component}: {' '.join(sorted(files))}\n" for component, files in sorted(needed.items()))
    made = {name: file for files in needed.values() for name, file in files.items()}
    return made | {"MANIFEST": File(PLAIN, listing.encode())}


def plugins(files: Tree, scripts: Scripts) -> Tree:
    """The plugins, each with all it needs in its own folder, since users copy that folder alone."""
    library = part_of(files, "lib")
    made = {path: file for path, file in files.items() if not path.startswith("lib/")}
    for folder in sorted({path.partition("/")[0] for path in made if "/" in path}):
        component = folder.removeprefix("uv-")
        if component == folder or component not in COMPONENT_SCRIPTS:
            raise Failure(f"`buildkite-plugins/{folder}` is no component's", "name it uv-<component>")
        made |= {f"{folder}/lib/{path}": file for path, file in library.items()}
        made |= {f"{folder}/scripts/{path}": file for path, file in scripts.of(component).items()}
        made |= {f"{folder}/scripts/{path}": scripts.files[path] for path in scripts.names(BUILDKITE_SCRIPT)}
    return made


# ---------------------------------------------------------------------------------------------------------------------
# GitLab's templates


def templates(files: Tree, scripts: Scripts) -> Tree:
    """The templates, each with all it needs inside, since a consumer's job sees nothing else of this repository.

    All know the same versions of uv: those from the oldest supported on, as far as they fit into the largest template.
    """
    made = {path: file for path, file in files.items() if not is_piece(path)}
    whole = {path: with_pieces(files, path) for path in files if is_template(path)}
    rows = table_rows(scripts)
    versions = list(dict.fromkeys(row.partition("\t")[0] for row in rows[1:]))

    def with_versions(first: int) -> dict[str, bytes]:
        known = set(versions[first:])
        table = "".join(row for row in rows if row[0] == "#" or row.partition("\t")[0] in known)
        cut = dataclasses.replace(scripts, files={**scripts.files, VERSION_TABLE: File(PLAIN, table.encode())})
        return {path: with_scripts(path, text, cut).encode() for path, text in whole.items()}

    def fits(first: int) -> bool:
        return all(len(data) <= LARGEST_TEMPLATE for data in with_versions(first).values())

    newest = max(len(versions) - 1, 0)
    ready = with_versions(bisect.bisect_left(range(newest), True, key=fits))
    for path, data in ready.items():
        if len(data) > LARGEST_TEMPLATE:
            raise Failure(
                f"templates/{path} would have {len(data):,} bytes, but {LARGEST_TEMPLATE:,} is the most",
                f"embed less in gitlab-templates/{path}",
            )
    return made | {path: File(PLAIN, data) for path, data in ready.items()}


def is_template(path: str) -> bool:
    """Whether a file of `gitlab-templates/` is a template."""
    return "/" not in path and path.endswith(".yml")


def is_piece(path: str) -> bool:
    """Whether a file of `gitlab-templates/` is only there to be included in templates."""
    return path.startswith("_")


def table_rows(scripts: Scripts) -> list[str]:
    """The lines of the version table that GitLab's runners can use, oldest version first, after its first line."""
    if VERSION_TABLE not in scripts.files:
        return []
    head, *rows = text_of(scripts.files, "scripts", VERSION_TABLE).splitlines(keepends=True)
    oldest = OLDEST_SUPPORTED.search(text_of(scripts.files, "scripts", "install_uv.sh"))
    if not oldest:
        raise Failure("scripts/install_uv.sh names no oldest uv", "write OLDEST_SUPPORTED=X.Y.Z in it")
    least = numbers(oldest[1])
    cells = [row.split("\t") for row in rows]
    usable = [cell for cell in cells if GITLAB_PLATFORMS.fullmatch(cell[1]) and numbers(cell[0]) >= least]
    return [head, *("\t".join(cell) for cell in sorted(usable, key=lambda cell: numbers(cell[0])))]


def numbers(version: str) -> tuple[int, ...]:
    """A version of uv as numbers, to compare."""
    return tuple(int(part) for part in version.split("."))


def with_pieces(files: Tree, path: str, within: tuple[str, ...] = ()) -> str:
    """The text of a template or a piece, with the pieces that it includes."""
    if path in within:
        raise Failure(f"gitlab-templates/{path} includes itself", "include it once")
    text = text_of(files, "gitlab-templates", path)
    if within:
        refuse_unfit(f"gitlab-templates/{path}", text)
    return replaced(path, text, "include", lambda piece: with_pieces(files, piece, (*within, path)))


def with_scripts(path: str, text: str, scripts: Scripts) -> str:
    """A template's text with the scripts that it embeds."""
    component = path.removesuffix(".yml")
    allowed = (*ALWAYS, *COMPONENT_SCRIPTS.get(component, ()))

    def embed(names: str) -> str:
        if strange := [name for name in names.split() if name not in allowed]:
            raise Failure(
                f"gitlab-templates/{path} embeds {', '.join(strange)}, but {component} has only {', '.join(allowed)}",
                "correct the line, or COMPONENT_SCRIPTS in scripts/release_tree.py",
            )
        return embedding({file: scripts.files[file] for name in names.split() for file in scripts.names(name)}, scripts)

    return replaced(path, text, "embed", embed)


def replaced(path: str, text: str, word: str, replacement: Callable[[str], str]) -> str:
    """The text with what `replacement` makes of a directive's arguments in place of each directive with this word."""
    lines: list[str] = []
    for line in lines_of(text):
        directive = DIRECTIVE.fullmatch(line.rstrip("\n"))
        if directive and directive[2] not in ("embed", "include"):
            raise Failure(f"gitlab-templates/{path} says `{line.strip()}`", "write `embed` or `include`")
        if not directive or directive[2] != word:
            lines.append(line)
            continue
        indent = directive[1]
        if path.endswith(".yml") and not opens_block(lines, len(indent)):
            raise Failure(
                f"gitlab-templates/{path}: `{line.strip()}` is not at the margin of a script that begins with `|`",
                "put it there",
            )
        lines += (each if each == "\n" else f"{indent}{each}" for each in lines_of(replacement(directive[3])))
    return "".join(lines)


def lines_of(text: str) -> list[str]:
    """The lines with their ends. Only a newline is one: Python knows of others, YAML and sh don't."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def opens_block(before: list[str], indent: int) -> bool:
    """Whether lines with this indent are at the margin of a literal block scalar."""
    for line in reversed(before):
        if line.strip() and len(line) - len(line.lstrip(" ")) < indent:
            return BLOCK_SCALAR.fullmatch(line.rstrip()) is not None
    return False


def embedding(files: Tree, scripts: Scripts) -> str:
    """sh that makes a folder, names it in `uv_actions_scripts`, and writes the files into it, byte for byte."""
    folder = '"$uv_actions_scripts"'
    made = ['uv_actions_scripts=$(mktemp -d "${UV_ACTIONS_TEMP:-${TMPDIR:-/tmp}}/uv-actions.XXXXXX") || exit 2\n']
    texts = {name: text_of(files, "scripts", name) for name in files}
    # What several files hold is there once: it is a third of the whole.
    if any(scripts.common in text for text in texts.values()):
        made += heredoc(f"cat > {folder}/_common", f"{scripts.common}\n")
    first: dict[str, str] = {}
    for name, text in texts.items():
        refuse_unfit(f"scripts/{name}", text)
        before, common, after = text.partition(f"{scripts.common}\n")
        if same := first.get(text):
            made.append(f"cp {folder}/{same} {folder}/{name} || exit 2\n")
        elif scripts.common and common:
            made += heredoc(f"cat - {folder}/_common > {folder}/{name}", before)
            made += heredoc(f"cat >> {folder}/{name}", after)
        else:
            made += heredoc(f"cat > {folder}/{name}", text)
        first.setdefault(text, name)
    return "".join(made)


def heredoc(command: str, text: str) -> Iterator[str]:
    """A command whose standard input is the text."""
    yield f"{command} <<'{TERMINATOR}' || exit 2\n"
    yield text
    yield f"{TERMINATOR}\n"


def refuse_unfit(name: str, text: str) -> None:
    """Fails where a text would not come out of a template as it went in."""
    if unfit := NOT_EMBEDDED.search(text):
        line = text.count("\n", 0, unfit.start()) + 1
        raise Failure(f"{name}:{line} has {unfit[0]!r}, which can't be in a GitLab template", "write it in another way")
    if text and not text.endswith("\n"):
        raise Failure(f"{name} has no line end after its last line", "add one")


def catalogue(files: Tree, _scripts: Scripts) -> Tree:
    """The pipeline of the release tree itself, by which GitLab's catalogue gets a version."""
    components = sorted(path.removesuffix(".yml") for path in files if is_template(path))
    includes = (CATALOGUE_INCLUDE.format(component=each, inputs=CATALOGUE_INPUTS.get(each, "")) for each in components)
    jobs = "".join(CATALOGUE_JOBS.get(each, "") for each in components)
    text = CATALOGUE.format(includes="".join(includes)) + jobs
    return {".gitlab-ci.yml": File(PLAIN, text.encode())} if components else {}


# ---------------------------------------------------------------------------------------------------------------------
# The rows


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the release tree: a folder or file of the source, where it goes, and what happens to it on the way.

    `make` gets the row's files, their paths relative to `source` (a single file's is empty), and the scripts.
    """

    source: str
    target: str
    make: Callable[[Tree, Scripts], Tree] = as_it_is


# Of two rows with one source the first says where a link to a file of it leads.
ROWS = (
    Row("actions", ""),
    Row("gitlab-templates", "templates", templates),
    Row("gitlab-templates", "", catalogue),
    Row("jenkins-shared-lib/vars", "vars"),
    Row("jenkins-shared-lib/vars", "resources/org/uvactions/scripts", resources),
    Row("jenkins-shared-lib/src", "src"),
    Row("jenkins-shared-lib/resources", "resources"),
    Row("jenkins-shared-lib/README.md", "jenkins-shared-lib/README.md"),
    Row("jenkins-shared-lib/examples", "jenkins-shared-lib/examples"),
    Row("buildkite-plugins", "buildkite-plugins", plugins),
    Row("scripts", "scripts", the_scripts),
    Row("README.md", "README.md"),
    Row("LICENSE", "LICENSE"),
)


def release(source: Tree, version: str) -> Tree:
    """The release tree of a source tree."""
    source = {path: relinked(path, file) if path.endswith(".md") else file for path, file in source.items()}
    scripts = tools(part_of(source, "scripts"), version)
    made: dict[str, File] = {}
    for row in ROWS:
        files = part_of(source, row.source)
        for path, file in (row.make(files, scripts) if files else {}).items():
            target = str(PurePosixPath(row.target, path))
            if target in made:
                raise Failure(f"`{target}` of the release tree would be made twice", f"rename it in `{row.source}`")
            made[target] = file
    if not made:
        raise Failure("this source has nothing that a release consists of", "name another commit by --source")
    return made


def relinked(page: str, file: File) -> File:
    """A page of the source tree, its links to other files leading to where a release has them."""

    def replace(match: re.Match[bytes]) -> bytes:
        link = match[0].decode()
        target = released_path(posixpath.normpath(posixpath.join(posixpath.dirname(page), link)))
        if target is None:
            return match[0]
        folder = posixpath.dirname(released_path(page) or page) or "."
        return (posixpath.relpath(target, folder) + ("/" if link.endswith("/") else "")).encode()

    return File(file.mode, RELATIVE_LINK.sub(replace, file.data))


def released_path(source: str) -> str | None:
    """Where a release has a path of the source tree; none if no row speaks of it."""
    for row in ROWS:
        if source == row.source or source.startswith(f"{row.source}/"):
            return str(PurePosixPath(row.target, source.removeprefix(row.source).lstrip("/")))
    return None


def part_of(source: Tree, name: str) -> Tree:
    """The files of a row's source."""
    if name in source:
        return {"": source[name]}
    return {path.removeprefix(f"{name}/"): file for path, file in source.items() if path.startswith(f"{name}/")}


def text_of(files: Tree, folder: str, path: str) -> str:
    """The text of a file of a folder."""
    try:
        return files[path].data.decode()
    except KeyError:
        raise Failure(f"{folder}/{path} is missing", "restore it from git") from None
    except UnicodeDecodeError as error:
        raise Failure(f"{folder}/{path} is not UTF-8: {error}", "save it as UTF-8") from None


# ---------------------------------------------------------------------------------------------------------------------
# A tool as one file


def with_common(path: str, tool: str, common: str, version: str) -> str:
    """The tool's text with `_common`'s in place of its `from _common import …`.

    Both become one module. So the statement must be one at top level, renames nothing, and the tool must not define
    what `_common` defines.
    """
    module, common_module = parse(path, tool), parse("_common.py", common)
    statements = [node for node in ast.walk(module) if "_common" in imported_modules(node)]
    if not statements:
        return tool
    statement = statements[0]
    if len(statements) > 1 or statement not in module.body or not isinstance(statement, ast.ImportFrom):
        raise Failure(
            f"scripts/{path}:{line_of(statements[-1])}: a tool has one `from _common import …`, at top level",
            "join them into one statement among the imports",
        )
    shared = defined_names(common)
    for alias in statement.names:
        if alias.asname or alias.name not in shared:
            raise Failure(
                f"scripts/{path}:{statement.lineno}: `{ast.unparse(alias)}` can't be taken from _common",
                "import something that _common defines, under its own name",
            )
    clashes = sorted(
        name
        for name, origin in defined_names(tool).items()
        if name in shared and origin != f"_common.{name}" and (origin != shared[name] or not origin)
    )
    if clashes:
        raise Failure(
            f"scripts/{path} and scripts/_common.py both define: {', '.join(clashes)}",
            "give it another name in the tool, or import it from _common",
        )
    if futures(module) != futures(common_module):
        raise Failure(
            f"scripts/{path} and scripts/_common.py differ in `from __future__ import …`, which holds for a whole file",
            "write the same statement in both",
        )
    lines = tool.split("\n")
    before, after = lines[: statement.lineno - 1], lines[statement.end_lineno :]
    return "\n".join([*before, shared_text(common, version), *after])


def shared_text(common: str, version: str) -> str:
    """What a tool gets of `_common`, without the last line end."""
    return stamped(body_of(common, parse("_common.py", common)), version).rstrip("\n")


def parse(path: str, text: str) -> ast.Module:
    """A script's syntax tree."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise Failure(f"scripts/{path}:{error.lineno}: {error.msg}", f"python3 -m py_compile scripts/{path}") from None


def imported_modules(node: ast.AST) -> list[str]:
    """The modules that a node imports, if it is an import."""
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def line_of(node: ast.AST) -> int:
    """The line of a statement, from 1."""
    return getattr(node, "lineno", 1)


def defined_names(text: str) -> dict[str, str]:
    """The names that a module defines at top level; with what it stands for if it is only imported, else with ''."""
    origins: dict[str, str] = {}
    assigned: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            origins |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            origins |= {alias.asname or alias.name.partition(".")[0]: alias.name for alias in node.names}
        elif isinstance(node, ast.Global):
            assigned |= set(node.names)
    symbols = symtable.symtable(text, "script", "exec").get_symbols()
    assigned |= {symbol.get_name() for symbol in symbols if symbol.is_assigned()}
    imported = {symbol.get_name() for symbol in symbols if symbol.is_imported()}
    return {name: "" if name in assigned else origins[name] for name in assigned | imported}


def futures(module: ast.Module) -> set[str]:
    """The features that a module takes from `__future__`."""
    statements = [node for node in module.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    return {alias.name for node in statements for alias in node.names}


def body_of(text: str, module: ast.Module) -> str:
    """A module's text from its first statement after the docstring and the `from __future__` imports."""
    first = next(
        node
        for node in module.body
        if imported_modules(node) != ["__future__"]
        and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    )
    return "\n".join(text.split("\n")[first.lineno - 1 :])


def stamped(text: str, version: str) -> str:
    """The text with the release's version in it."""
    if text.count(VERSION_LINE) != 1:
        raise Failure("scripts/_common.py states its version not once", f"write {VERSION_LINE.strip()} in it")
    return text.replace(VERSION_LINE, f'VERSION = "{version}"\n')


# ---------------------------------------------------------------------------------------------------------------------
# Git


class Git:
    """The repository's git, by plumbing: no hook, no work tree and no HEAD is touched.

    New objects go to `objects` where it is given, a folder that the caller throws away, else into the repository.
    """

    def __init__(self, objects: Path | None = None) -> None:
        self.environment = {key: value for key, value in os.environ.items() if key not in FOREIGN_GIT}
        self.environment["LC_ALL"] = "C"
        if objects:
            store = self("rev-parse", "--path-format=absolute", "--git-path", "objects")
            self.environment |= {"GIT_OBJECT_DIRECTORY": str(objects), "GIT_ALTERNATE_OBJECT_DIRECTORIES": store}

    def __call__(self, *arguments: str, data: bytes = b"", **environment: str) -> str:
        """What git prints, without the last line end."""
        return self.raw(*arguments, data=data, **environment).decode(errors="surrogateescape").rstrip("\n")

    def raw(self, *arguments: str, data: bytes = b"", **environment: str) -> bytes:
        """What git prints."""
        try:
            done = subprocess.run(
                ["git", "-C", str(ROOT), *arguments],
                input=data,
                capture_output=True,
                check=False,
                env=self.environment | environment,
            )
        except FileNotFoundError:
            raise Failure("git is not on PATH", "install git") from None
        if done.returncode:
            why = done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}"
            raise Failure(f"`git {arguments[0]}`: {why}", f"run it in a clone of the repository: {ROOT}")
        return done.stdout

    def commit(self, revision: str) -> str:
        """The id of the commit that a revision names."""
        try:
            return self("rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}")
        except Failure as failure:
            raise Failure(f"{revision!r} names no commit: {failure.message}", "git log shows the commits") from None

    def working_copy(self) -> str:
        """The id of a tree with the files of the working copy that git doesn't ignore, as a commit would keep them."""
        names = {row.source for row in ROWS}
        known = self("ls-files", "--", *names).splitlines()
        given = [name for name in names if (ROOT / name).exists() or any(path.startswith(name) for path in known)]
        with self.index() as index:
            # The index of the repository knows the modes where the file system has none, as on Windows.
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(self("rev-parse", "--path-format=absolute", "--git-path", "index"), index)
            self("add", "--all", "--", *given, GIT_INDEX_FILE=index)
            return self("write-tree", GIT_INDEX_FILE=index)

    def read(self, tree: str) -> Tree:
        """The files of a tree or commit that a release may need."""
        listed = self("ls-tree", "-r", "-z", tree, "--", *(row.source for row in ROWS)).split("\0")
        entries = [(*entry.partition("\t")[0].split(" "), entry.partition("\t")[2]) for entry in listed if entry]
        output = self.raw("cat-file", "--batch", data="".join(f"{entry[2]}\n" for entry in entries).encode())
        files = {}
        for mode, _, _, path in entries:
            if mode not in (PLAIN, EXECUTABLE):
                raise Failure(f"`{path}` is a link or a submodule; a release has only files", "put the file there")
            header, _, output = output.partition(b"\n")
            size = int(header.split()[-1])
            files[path] = File(mode, output[:size])
            output = output[size + 1 :]
        return files

    def write(self, tree: Tree) -> str:
        """The id of a tree with these files, which from then on is in git."""
        paths = sorted(tree)
        # By way of files, since git takes the names of any number of them in one process, but one content.
        with tempfile.TemporaryDirectory(prefix="release_tree.") as folder:
            copies = [Path(folder, str(number)) for number in range(len(paths))]
            for copy, path in zip(copies, paths, strict=True):
                copy.write_bytes(tree[path].data)
            names = "".join(f"{copy.as_posix()}\n" for copy in copies)
            blobs = self("hash-object", "-w", "--no-filters", "--stdin-paths", data=names.encode()).splitlines()
        entries = zip(paths, blobs, strict=True)
        lines = [f"{tree[path].mode} {blob}\t{path}\0" for path, blob in entries]
        with self.index() as index:
            self("update-index", "-z", "--index-info", data="".join(lines).encode(), GIT_INDEX_FILE=index)
            return self("write-tree", GIT_INDEX_FILE=index)

    @contextlib.contextmanager
    def index(self) -> Generator[str]:
        """The path of an index of our own."""
        with tempfile.TemporaryDirectory(prefix="release_tree.") as folder:
            yield str(Path(folder, "index"))


# ---------------------------------------------------------------------------------------------------------------------
# A folder


def write_folder(folder: Path, tree: Tree, dry_run: bool) -> None:
    """Makes the folder hold exactly the tree; an earlier build's files go, if nobody changed them."""
    former = former_files(folder)
    if dry_run:
        return
    for path in former:
        (folder / path).unlink(missing_ok=True)
    for parent in sorted({parent for path in former for parent in PurePosixPath(path).parents}, reverse=True):
        with contextlib.suppress(OSError):
            (folder / parent).rmdir()
    # Before the files, so that a build that was interrupted can be repeated.
    listing = "".join(f"{hashlib.sha256(file.data).hexdigest()}  {path}\n" for path, file in sorted(tree.items()))
    write_atomic(folder / MANIFEST, listing)
    for path, file in tree.items():
        write_atomic(folder / path, file.data, 0o755 if file.mode == EXECUTABLE else 0o644)


def former_files(folder: Path) -> list[str]:
    """The files that an earlier build made in the folder, which must hold nothing else."""
    if not os.path.lexists(folder):
        return []
    if not folder.is_dir():
        raise Failure(f"{folder} is not a folder", "choose a folder that is absent or empty")
    found = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()
    }
    listing = (folder / MANIFEST).read_text(encoding="utf-8") if MANIFEST in found else ""
    former = {path: digest for digest, _, path in (line.partition("  ") for line in listing.splitlines())}
    foreign = sorted(
        path
        for path in found - {MANIFEST}
        if path not in former or former[path] != hashlib.sha256((folder / path).read_bytes()).hexdigest()
    )
    if foreign:
        raise Failure(
            f"{folder} holds what no build made there: {some_of(foreign)}",
            "choose an empty folder, or remove these files if nobody needs them",
        )
    return list(former)


def some_of(items: list[str]) -> str:
    """The first few items for a message."""
    return ", ".join(items[:5]) + (f" and {len(items) - 5} more" if len(items) > 5 else "")


# ---------------------------------------------------------------------------------------------------------------------
# A commit with its tags


@dataclasses.dataclass(frozen=True, order=True)
class Version:
    """A release's version, which is three numbers."""

    major: int
    minor: int
    patch: int

    @classmethod
    def of(cls, text: str) -> Version:
        """The version that a text states."""
        match = VERSION_FORM.fullmatch(text)
        if not match:
            raise Failure(f"`version` is {text!r}, but must be three numbers such as 1.2.3", "--version 1.2.3")
        return cls(*map(int, match.groups()))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def branch(self) -> str:
        """The branch that holds the releases of this major version."""
        return f"refs/heads/releases/v{self.major}"

    @property
    def tag(self) -> str:
        """The tag that never moves."""
        return f"refs/tags/v{self}"

    @property
    def moving_tags(self) -> tuple[str, str]:
        """The tags that name the newest release of a minor and of a major version."""
        return f"refs/tags/v{self.major}.{self.minor}", f"refs/tags/v{self.major}"


def newest_release(git: Git, major: int) -> tuple[Version, str] | None:
    """The newest release of a major version, with its commit."""
    tags = git("for-each-ref", "--format=%(refname:strip=2) %(objectname)", f"refs/tags/v{major}.*").splitlines()
    pairs = (tag.removeprefix("v").split(" ") for tag in tags)
    return max(((Version.of(text), commit) for text, commit in pairs if VERSION_FORM.fullmatch(text)), default=None)


def refuse_unreleasable(git: Git, version: Version, newest: tuple[Version, str] | None) -> None:
    """Fails where this version can't be released from this repository."""
    changed = git("status", "--porcelain", "--untracked-files=normal").splitlines()
    if changed:
        raise Failure(
            f"the work tree has changes: {some_of([line[3:] for line in changed])}", "git commit or git stash"
        )
    if newest and version == newest[0]:
        raise Failure(f"v{version} is released, and a released version never changes", "choose a higher version")
    if newest and version < newest[0]:
        raise Failure(
            f"v{version} is lower than v{newest[0]}, the newest release of v{version.major}",
            f"choose a version above {newest[0]}",
        )
    name = version.branch.removeprefix("refs/heads/")
    branches = git("for-each-ref", "--format=%(refname) %(objectname)", version.branch, f"refs/remotes/*/{name}")
    for branch, tip in (line.split(" ") for line in branches.splitlines()):
        if not newest or tip != newest[1]:
            raise Failure(
                f"{branch} is at {tip[:12]}, which is not the newest release of v{version.major} that is tagged here",
                "git fetch --tags brings the tags; a commit on that branch that is no release has to go",
            )
    if git("for-each-ref", "--format=%(worktreepath)", version.branch):
        raise Failure(f"{name} is checked out in a work tree", "git switch to another branch there")


def make_commit(git: Git, tree: str, version: Version, source: str, parent: str | None) -> str:
    """The id of the release's commit; who and when are the source commit's, so that it is the same on each machine."""
    name, mail, date = git("show", "--no-patch", "--format=%cn%n%ce%n%cd", "--date=raw", source).split("\n")
    who = {
        f"GIT_{role}_{key}": value
        for role in ("AUTHOR", "COMMITTER")
        for key, value in (("NAME", name), ("EMAIL", mail), ("DATE", date))
    }
    message = f"Release {version}\n\nSource-Commit: {source}\n"
    parents = ["-p", parent] if parent else []
    return git("commit-tree", tree, *parents, "-F", "-", data=message.encode(), **who)


# ---------------------------------------------------------------------------------------------------------------------
# The commands


def build(folder: Path, version: str | None, revision: str | None, dry_run: bool) -> None:
    """Writes the release tree into a folder, and its id to stdout."""
    stamp = "0.0.0" if version is None else str(Version.of(version))
    with tempfile.TemporaryDirectory(prefix="release_tree.") as objects:
        git = Git(Path(objects))
        source = git.read(git.working_copy() if revision is None else git.commit(revision))
        tree = release(source, stamp)
        identity = git.write(tree)
    write_folder(folder, tree, dry_run)
    print(identity)


def commit(version: Version, revision: str, dry_run: bool) -> None:
    """Commits and tags a release, and writes to stdout what to push."""
    with tempfile.TemporaryDirectory(prefix="release_tree.") as objects:
        git = Git(Path(objects) if dry_run else None)
        newest = newest_release(git, version.major)
        refuse_unreleasable(git, version, newest)
        source = git.commit(revision)
        tree = git.write(release(git.read(source), str(version)))
        made = make_commit(git, tree, version, source, newest[1] if newest else None)
        updates = [
            f"update {version.branch} {made}",
            f"create {version.tag} {made}",
            *(f"update {tag} {made}" for tag in version.moving_tags),
        ]
        if not dry_run:
            git("update-ref", "--stdin", data="".join(f"{line}\n" for line in updates).encode())
    refspecs = [version.branch, version.tag, *(f"+{tag}" for tag in version.moving_tags)]
    say(f"{'would release' if dry_run else 'released'} {version} from {source[:12]} as {made[:12]}; to publish it:")
    say(f"  git push --atomic origin {' '.join(refspecs)}")
    print("\n".join(refspecs))


def parser() -> Parser:
    """The command line."""
    top = Parser(description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="build | commit")
    into_folder = commands.add_parser("build", help="write the release tree into a folder")
    into_folder.add_argument("folder", type=Path, metavar="OUT_DIR", help="absent, empty, or made by an earlier build")
    into_folder.add_argument("--version", help="the version that the tools state (default: 0.0.0)")
    into_folder.add_argument("--source", metavar="REV", help="a commit (default: the working copy)")
    as_commit = commands.add_parser("commit", help="commit and tag a release; nothing is pushed")
    as_commit.add_argument("--version", required=True, help="the version to release: three numbers")
    as_commit.add_argument("--source", metavar="REV", default="HEAD", help="a commit (default: HEAD)")
    for command in (into_folder, as_commit):
        command.add_argument("--dry-run", action="store_true", help="do all the checks, write nothing")
    return top


def main() -> int:
    options = parser().parse_args()
    if options.command == "build":
        build(options.folder, options.version, options.source, options.dry_run)
    else:
        commit(Version.of(options.version), options.source, options.dry_run)
    return Exit.OK


if __name__ == "__main__":
    run_main(main)
