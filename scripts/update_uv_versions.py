#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = []
# ///
"""Brings `uv_versions.tsv` up to date: the sha256 of every wheel of every uv release, from the index's own hashes.

The file's first line, `# index: URL`, names the index. Each other line is `version<TAB>platform tag<TAB>sha256` of one
wheel, oldest version first. `install_uv.sh` reads it, and takes the index as its default.

Lines are added, and removed for what the index has yanked; a hash that is no longer what it was is refused, since
files of a release never change.

Exit: 0 fine, 1 the file is stale (`--check`), 2 wrong use or an unreadable file, 3 a hash has changed, 4 not
authorised, 5 no connection, or no index.
"""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from _common import Exit, Failure, Parser, run_main, say, write_atomic

FIRST_VERSION = (0, 7, 0)
HEADER = "# index: "
WHEEL = re.compile(r"uv-(?P<version>\d+\.\d+\.\d+)-py3-none-(?P<tag>[a-z0-9_.]+)\.whl")
SHA256 = re.compile(r"[0-9a-f]{64}")
TIMEOUT = 60.0  # seconds without an answer
JSON_API = "application/vnd.pypi.simple.v1+json"  # PEP 691


class Wheel(NamedTuple):
    """One wheel of a release, sorted as the file is."""

    version: tuple[int, ...]
    tag: str


class Plan(NamedTuple):
    """What makes the file current."""

    added: list[Wheel]
    removed: list[Wheel]
    changed: list[Wheel]


def main() -> int:
    """Reads file and index, then tells the difference or writes it."""
    options = parse_options()
    path: Path = options.versions_file
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    index_url = options.index_url or index_of(text, path)
    current = parse_file(text, path)
    wanted = wheels_of(fetch(index_url), index_url)
    plan = compare(current, wanted)

    for verb, wheels in zip(("add", "remove", "change"), plan, strict=True):
        for version in dict.fromkeys(wheel.version for wheel in wheels):
            count = sum(wheel.version == version for wheel in wheels)
            say(f"{verb}: uv {spell(version)}, {count} wheel{'' if count == 1 else 's'}")
    if plan.changed:
        raise Failure(
            f"the index has other hashes than {path.name} for {len(plan.changed)} wheels that were released before",
            "ask who runs the index; nothing was written",
            Exit.VERIFICATION,
        )
    new_text = render(index_url, wanted)
    if options.check:
        say(f"{path}: {'current' if new_text == text else 'stale; run update_uv_versions.py'}")
        return Exit.OK if new_text == text else Exit.FINDINGS
    if new_text != text:
        write_atomic(path, new_text)
    say(f"{path}: {len(wanted)} wheels of {len({wheel.version for wheel in wanted})} versions")
    return Exit.OK


def parse_options() -> Any:
    parser = Parser(prog="update_uv_versions", description=__doc__)
    parser.add_argument(
        "--versions-file",
        type=Path,
        default=Path(__file__).with_name("uv_versions.tsv"),
        metavar="FILE",
        help="the file to bring up to date (default: uv_versions.tsv beside this tool)",
    )
    parser.add_argument(
        "--index-url", default="", metavar="URL", help="the package index (default: the one in the file's first line)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file is stale")
    return parser.parse_args()


def index_of(text: str, path: Path) -> str:
    """The index that the file was made from."""
    first = text.partition("\n")[0]
    if not first.startswith(HEADER):
        raise Failure(f"the first line of {path} does not name an index", "give one by --index-url")
    return first.removeprefix(HEADER).strip()


def parse_file(text: str, path: Path) -> dict[Wheel, str]:
    """The wheels of the file with their sha256."""
    wheels = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 3 or not re.fullmatch(r"\d+\.\d+\.\d+", fields[0]) or not SHA256.fullmatch(fields[2]):
            raise Failure(
                f"{path}, line {number}, is not `version<TAB>platform tag<TAB>sha256`",
                "delete the line, then run this again",
            )
        wheels[Wheel(parse_version(fields[0]), fields[1])] = fields[2]
    return wheels


def parse_version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def spell(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def fetch(index_url: str) -> list[dict[str, Any]]:
    """The files of the index's page of uv, by the JSON form of the simple API (PEP 691)."""
    parts = urlsplit(index_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise Failure("the index URL is not an http or https URL without user information", "give https://host/simple/")
    url = f"{index_url.rstrip('/')}/uv/"
    request = urllib.request.Request(url, headers={"Accept": JSON_API, "User-Agent": "uv-actions"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            page = json.load(answer)
    except urllib.error.HTTPError as error:
        code = Exit.UNAUTHORISED if error.code in (401, 403) else Exit.NETWORK
        raise Failure(f"{url} answered {error.code} {error.reason}", "check the URL of the index", code) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise Failure(
            f"{url} can't be reached: {reason}", "check the connection, then run it again", Exit.NETWORK
        ) from None
    except ValueError:
        raise not_an_index(url) from None
    files = page.get("files") if isinstance(page, dict) else None
    if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
        raise not_an_index(url)
    return files


def not_an_index(url: str) -> Failure:
    return Failure(
        f"{url} answered with something that is not the JSON form of the simple API (PEP 691)",
        "give an index that has it by --index-url",
        Exit.NETWORK,
    )


def wheels_of(files: list[dict[str, Any]], index_url: str) -> dict[Wheel, str]:
    """The wheels to know: all since `FIRST_VERSION` but yanked ones, which no range may choose."""
    wheels = {}
    for file in files:
        name = WHEEL.fullmatch(str(file.get("filename", "")))
        if not name or parse_version(name["version"]) < FIRST_VERSION or file.get("yanked"):
            continue
        digest = str((file.get("hashes") or {}).get("sha256", ""))
        if not SHA256.fullmatch(digest):
            raise Failure(
                f"{index_url} gives no sha256 of {file['filename']}",
                "give an index that does by --index-url",
                Exit.VERIFICATION,
            )
        wheels[Wheel(parse_version(name["version"]), name["tag"])] = digest
    if not wheels:
        raise Failure(f"{index_url} has no wheel of uv", "give the URL of an index that has it", Exit.NETWORK)
    return wheels


def compare(current: dict[Wheel, str], wanted: dict[Wheel, str]) -> Plan:
    return Plan(
        added=sorted(wanted.keys() - current.keys()),
        removed=sorted(current.keys() - wanted.keys()),
        changed=sorted(wheel for wheel in wanted.keys() & current.keys() if wanted[wheel] != current[wheel]),
    )


def render(index_url: str, wheels: dict[Wheel, str]) -> str:
    rows = (f"{spell(wheel.version)}\t{wheel.tag}\t{wheels[wheel]}\n" for wheel in sorted(wheels))
    return f"{HEADER}{index_url}\n" + "".join(rows)


if __name__ == "__main__":
    run_main(main)
