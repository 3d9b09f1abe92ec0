#!/usr/bin/env -S uv run --no-config --locked --script
# /// script
# requires-python = ">=3.10"
# dependencies = []
# ///
"""Keeps a job's cache between jobs in a folder: on the machine's disk, or on a share that several machines mount.

    ci_cache restore --store DIR --path P --key K [--restore-keys PREFIX] --trust trusted|change
    ci_cache save    --store DIR --path P --key K --trust trusted|change

`restore` takes the entry of that key, else the newest of the first prefix that has one, and tells `matched-key`,
`state` (`exact`, `partial` or `miss`), `seconds` and `bytes`. `save` adds the entry where there is none, and tells
`saved` and `reason`. Neither fails a job: what goes wrong is a warning and a miss, and the exit code is 0; only wrong
use is 2.

A job of level `trusted` reads and writes `<store>/trusted`. One of level `change` reads `<store>/change` and then
`<store>/trusted`, and writes `<store>/change`. That holds for jobs that keep to it. A folder that trusted and untrusted
jobs share is no security boundary, unless each level has its own user id, and `trusted` belongs to the trusted one.

In the folder of a level, `keys/<key>.json` names a tar in `blobs` by its sha256. An entry appears at once, when its tar
is whole, and never changes; no locks are needed, so the store may be on NFS. Nothing is trusted when it is read: of a
tar that was cut, altered or made to write elsewhere nothing is left behind. The entry may be restored to another path
than it was saved from, since links inside it are kept relative. Old entries are yours to delete: first the files in
`keys`; a later save then removes blobs that none names.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from _common import Exit, Failure, Items, Parser, human_size, job_temp, run_main, say, set_outputs, warn

# The levels that a job of each level reads, in this order. It writes its own.
READS = {"trusted": ("trusted",), "change": ("change", "trusted")}

# What a killed save left behind is removed by another one after so many seconds, a blob that no key names too.
OLD = 24 * 3600

# How many entries a restore tries where those before can't be used.
TRIES = 4

# File names have 255 bytes at most.
KEY_BYTES = 240
POINTER_BYTES = 64 * 1024
# More costs more: `tarfile` copies what it has buffered of a stream at each read and write.
CHUNK = 64 * 1024

# The first bytes of the file by which tools know a cache, which may be deleted: https://bford.info/cachedir/
CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55"

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Broken(Exception):
    """An entry that can't be used: it was cut, altered, or made to harm."""


@dataclass(frozen=True)
class Task:
    """What one run does, as it is given to the process that does it."""

    command: str
    store: str
    path: str
    key: str
    restore_keys: list[str]
    trust: str
    temporary: str

    def level(self, trust: str) -> Level:
        return Level(Path(self.store) / trust)

    @property
    def own(self) -> Level:
        """The level that this job writes."""
        return self.level(self.trust)


@dataclass
class Result:
    """What came of it. `matched` and `bytes` are of a restore, `saved` and `reason` of a save."""

    matched: str = ""
    bytes: int = 0
    saved: bool = False
    reason: str = ""
    warnings: list[str] = field(default_factory=list)
    shared: bool = False


@dataclass(frozen=True)
class Level:
    """The folder of a level of trust."""

    folder: Path

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    def pointer(self, key: str) -> Path:
        return self.keys / f"{quote(key, safe='')}.json"

    def blob(self, digest: str) -> Path:
        return self.blobs / f"{digest}.tar"

    def newest(self, prefix: str) -> list[tuple[float, Path]]:
        """The pointers of keys with that prefix, each with the time it was made."""
        found = []
        with contextlib.suppress(FileNotFoundError), os.scandir(self.keys) as files:
            for file in files:
                if file.name.startswith(quote(prefix, safe="")) and file.name.endswith(".json"):
                    with contextlib.suppress(FileNotFoundError):
                        found.append((file.stat().st_mtime, Path(file.path)))
        return found


@dataclass(frozen=True)
class Pointer:
    """What a key stands for: the digest of its blob and the blob's size in bytes."""

    key: str
    sha256: str
    bytes: int


# ---------------------------------------------------------------------------------------------------------------------
# Restore


def restore(task: Task) -> Result:
    """Unpacks the first entry that can be used, and puts it in place whole."""
    result = Result()
    check_store(task)
    check_place(Path(task.path))
    temporary = Path(task.temporary)
    for level, file in candidates(task):
        try:
            pointer = read_pointer(file)
            if level.pointer(pointer.key).name != file.name:
                raise Broken("it is of another key")
            unpack(level.blob(pointer.sha256), pointer, temporary)
        except Broken as error:
            shutil.rmtree(temporary, ignore_errors=True)
            result.warnings.append(f"a cache entry can't be used, {file}: {error}")
            if level == task.own:
                # The next save shall be able to write it anew.
                remove_entry(level, file)
            continue
        put_in_place(temporary, Path(task.path))
        result.matched, result.bytes = pointer.key, pointer.bytes
        break
    return result


def candidates(task: Task) -> Iterator[tuple[Level, Path]]:
    """The pointers to try: of the key itself, then for each prefix the newest; only as many as are worth the time."""
    levels = [task.level(trust) for trust in READS[task.trust]]
    found = [(level, level.pointer(task.key)) for level in levels if level.pointer(task.key).exists()]
    for prefix in task.restore_keys:
        of_prefix = [(*each, level) for level in levels for each in level.newest(prefix)]
        found += [(level, file) for _, file, level in sorted(of_prefix, key=lambda each: each[0], reverse=True)]
    yield from list(dict.fromkeys(found))[:TRIES]


def read_pointer(file: Path) -> Pointer:
    """What a key stands for.

    Raises:
        Broken: the file says nothing that this tool has written.
    """
    try:
        with open_regular(file) as stream:
            content = json.loads(stream.read(POINTER_BYTES))
        pointer = Pointer(content["key"], content["sha256"], content["bytes"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Broken("its pointer can't be read") from error
    if not isinstance(pointer.key, str) or not isinstance(pointer.bytes, int):
        raise Broken("its pointer can't be read")
    if not isinstance(pointer.sha256, str) or not re.fullmatch(r"[0-9a-f]{64}", pointer.sha256):
        raise Broken("its pointer names no digest")
    return pointer


def open_regular(file: Path) -> IO[bytes]:
    """Opens a file for reading, without waiting where somebody has put a pipe.

    Raises:
        Broken: it is gone, or something else than a file.
    """
    try:
        handle = os.open(file, os.O_RDONLY | NO_FOLLOW | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise Broken(f"{file.name} is gone") from None
    stream = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        stream.close()
        raise Broken(f"{file.name} is no file")
    return stream


class Hashed:
    """A stream whose bytes are hashed as they pass."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.hash = hashlib.sha256()
        self.bytes = 0

    def read(self, size: int) -> bytes:
        return self._passed(self.stream.read(size))

    def write(self, data: bytes) -> int:
        self.stream.write(data)
        return len(self._passed(data))

    def _passed(self, data: bytes) -> bytes:
        self.hash.update(data)
        self.bytes += len(data)
        return data


def unpack(blob: Path, pointer: Pointer, target: Path) -> None:
    """Unpacks a blob into a new folder. It is verified on the way, so the folder counts only if this returns.

    Raises:
        Broken: the blob isn't what the pointer names, or has what no cache has.
    """
    with open_regular(blob) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size != pointer.bytes:
            raise Broken(f"it has {size} of {pointer.bytes} bytes")
        hashed: Any = Hashed(stream)
        try:
            # The names are UTF-8 wherever this runs.
            with tarfile.open(fileobj=hashed, mode="r|", bufsize=CHUNK, encoding="utf-8") as tar:
                unpack_members(tar, target)
        except (tarfile.TarError, EOFError, ValueError, OverflowError, FileExistsError) as error:
            raise Broken(f"its tar can't be read: {error}") from error
        while hashed.read(CHUNK):
            pass
    if hashed.hash.hexdigest() != pointer.sha256:
        raise Broken("its content differs from its digest")


def unpack_members(tar: tarfile.TarFile, target: Path) -> None:
    """Unpacks each member beside those before it; `tarfile` itself checks nothing before Python 3.12.

    Nothing is written outside of `target`: each member's folder must be a real one that was made here before, so
    nothing is reached through a link, and each link's own way leads up and then down, never out.

    Raises:
        Broken: a member is what no cache has.
    """
    target.mkdir(mode=0o700)
    folders: dict[str, tarfile.TarInfo | None] = {"": None}
    files: set[str] = set()
    while member := tar.next():
        # It would keep them all.
        tar.members = []  # ty: ignore[missing-attribute]
        name = member.name
        check_name(name)
        if name.rpartition("/")[0] not in folders:
            raise Broken(f"{name!r} lies in no folder of it")
        if member.mode & ~0o777:
            raise Broken(f"{name!r} has the mode {member.mode:o}")
        path = target / name
        if member.isdir():
            path.mkdir(mode=0o700)
            folders[name] = member
        elif member.islnk():
            if member.linkname not in files:
                raise Broken(f"{name!r} is a link to {member.linkname!r}, which is no file of it")
            os.link(target / member.linkname, path)
            files.add(name)
        elif member.issym():
            if not stays_inside(name, member.linkname):
                raise Broken(f"{name!r} is a link out of it, to {member.linkname!r}")
            os.symlink(member.linkname, path)
        elif member.isreg() and member.size >= 0 and not member.issparse():
            unpack_file(tar, member, path)
            files.add(name)
        else:
            raise Broken(f"{name!r} is neither a file nor a folder nor a link")
    # At last, since a folder's time changes with what is put into it, and a mode may forbid to.
    for name, member in reversed(folders.items()):
        if member:
            os.chmod(target / name, member.mode)
            os.utime(target / name, (member.mtime, member.mtime))


def check_name(name: str) -> None:
    """Sees to it that a name leads down from where it is.

    Raises:
        Broken: it doesn't.
    """
    foreign = "\\:" if sys.platform == "win32" else ""
    if any(part in ("", ".", "..") for part in name.split("/")) or any(each in name for each in f"\0{foreign}"):
        raise Broken(f"it has the name {name!r}")


def stays_inside(name: str, target: str) -> bool:
    """Whether a link leads up at most to the root of the entry, and then only down.

    Such a link stays inside whatever it passes: its own folder is a real one, and links below are of this form too.
    """
    parts = target.split("/")
    up = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    if up > name.count("/"):
        return False
    try:
        check_name("/".join(parts[up:]) or "root")
    except Broken:
        return False
    return target != ""


def unpack_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """Writes a file, which must not be there yet."""
    source = tar.extractfile(member)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW, 0o600), "wb") as file:
        if source:
            shutil.copyfileobj(source, file, CHUNK)
    os.chmod(path, member.mode)
    os.utime(path, (member.mtime, member.mtime))


def check_place(path: Path) -> None:
    """Sees to it that something may be put there: nothing is lost but what says of itself that it is a cache.

    Raises:
        Failure: somebody else's things lie there.
    """
    if path.is_symlink() or path.is_file():
        raise Failure(f"{path} is in the way: it is no folder", f"rm {path}")
    if path.is_dir() and any(path.iterdir()) and not is_cache(path):
        raise Failure(
            f"{path} is not empty, and doesn't say that it is a cache", "restore to a new folder, or empty it"
        )


def is_cache(path: Path) -> bool:
    """Whether the folder holds the mark of a cache, as uv's does."""
    try:
        with (path / "CACHEDIR.TAG").open("rb") as file:
            return file.read(len(CACHE_TAG)) == CACHE_TAG
    except OSError:
        return False


def put_in_place(temporary: Path, path: Path) -> None:
    """Moves a restored folder to where it belongs; a cache that lies there is removed."""
    aside = temporary.with_name(f"{temporary.name}-old")
    with contextlib.suppress(FileNotFoundError):
        path.rename(aside)
    temporary.rename(path)
    shutil.rmtree(aside, ignore_errors=True)


def remove_entry(level: Level, file: Path) -> None:
    """Removes an entry that can't be used, its blob too, where this user may."""
    digest = ""
    with contextlib.suppress(Broken, OSError):
        digest = read_pointer(file).sha256
    with contextlib.suppress(OSError):
        file.unlink()
        if digest:
            level.blob(digest).unlink()


# ---------------------------------------------------------------------------------------------------------------------
# Save


def save(task: Task) -> Result:
    """Packs the folder and adds the entry, where the job's levels have none of this key."""
    check_store(task)
    path = Path(task.path)
    for trust in READS[task.trust]:
        if task.level(trust).pointer(task.key).exists():
            return Result(reason=f"the store has it already, in `{trust}`")
    if not path.is_dir() or path.is_symlink() or not any(path.iterdir()):
        return Result(reason=f"there is nothing in {path}")
    level = task.own
    for folder in (level.keys, level.blobs, level.temporary):
        folder.mkdir(parents=True, exist_ok=True)

    handle, temporary = tempfile.mkstemp(dir=level.temporary, suffix=".tar")
    try:
        with os.fdopen(handle, "wb") as stream:
            clean(level, os.fstat(stream.fileno()).st_mtime)
            hashed = Hashed(stream)
            left_out = pack(path, hashed)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        pointer = Pointer(task.key, hashed.hash.hexdigest(), hashed.bytes)
        saved = publish(level, Path(temporary), pointer)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    warnings = [f"{left_out} links that lead out of {path} are not in the cache entry"] if left_out else []
    reason = "" if saved else "another job has saved it meanwhile"
    return Result(saved=saved, reason=reason, bytes=pointer.bytes, warnings=warnings)


def clean(level: Level, now: float) -> None:
    """Removes what killed saves left long ago; `now` is by the clock of the store, which may be another machine's."""
    with contextlib.suppress(OSError):
        for file in old_files(level.temporary, now):
            file.unlink()
        unnamed = {file.name: file for file in old_files(level.blobs, now)}
        if unnamed:
            for _, file in level.newest(""):
                with contextlib.suppress(Broken):
                    unnamed.pop(level.blob(read_pointer(file).sha256).name, None)
        for file in unnamed.values():
            file.unlink()


def old_files(folder: Path, now: float) -> list[Path]:
    """The files that nobody has touched for long."""
    with os.scandir(folder) as files:
        return [Path(file.path) for file in files if now - file.stat(follow_symlinks=False).st_mtime > OLD]


def pack(path: Path, stream: Hashed) -> int:
    """Writes a tar of the folder's content: the number of links that lead out of it, which are left out.

    Owners are nobody's business elsewhere, and bits like setuid have no place in a cache. Times are kept to the second.
    """
    left_out = 0
    fileobj: Any = stream
    seen: dict[tuple[int, int], str] = {}
    with tarfile.open(
        fileobj=fileobj,
        mode="w|",
        bufsize=CHUNK,
        format=tarfile.GNU_FORMAT,
        encoding="utf-8",
        errors="surrogateescape",
    ) as tar:
        for name, status in walk(path, ""):
            member = tarfile.TarInfo(name)
            member.mode = stat.S_IMODE(status.st_mode) & 0o777
            member.mtime = int(status.st_mtime)
            same = seen.get((status.st_dev, status.st_ino))
            if stat.S_ISDIR(status.st_mode):
                member.type = tarfile.DIRTYPE
            elif stat.S_ISLNK(status.st_mode):
                member.type, member.linkname = tarfile.SYMTYPE, link_inside(path, name)
                if not stays_inside(name, member.linkname):
                    left_out += 1
                    continue
            elif not stat.S_ISREG(status.st_mode):
                continue
            elif same:
                member.type, member.linkname = tarfile.LNKTYPE, same
            else:
                if status.st_nlink > 1:
                    seen[status.st_dev, status.st_ino] = name
                with (path / name).open("rb") as file:
                    member.size = os.fstat(file.fileno()).st_size
                    tar.addfile(member, file)
                continue
            tar.addfile(member)
    return left_out


def walk(root: Path, folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """What is below a folder, sorted, each folder before its content: its name from the root, and its status."""
    with os.scandir(root / folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = f"{folder}/{entry.name}" if folder else entry.name
        # A scan's own status lacks the inode on Windows.
        yield name, os.lstat(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from walk(root, name)


def link_inside(root: Path, name: str) -> str:
    """Where a link leads, as a way from its own folder: older uv makes links that hold the cache's own path.

    That path may be another one than ours for the same folder, where a link leads to it.
    """
    target = os.readlink(root / name)
    for own in {root, root.resolve()} if os.path.isabs(target) else ():
        if Path(target).is_relative_to(own):
            target = os.path.relpath(target, (own / name).parent)
            break
    return target.replace(os.sep, "/")


def publish(level: Level, tar: Path, pointer: Pointer) -> bool:
    """Makes a packed tar an entry, all at once; false if another job's is there by now, which stays."""
    blob = level.blob(pointer.sha256)
    ours = not blob.exists()
    if ours:
        os.replace(tar, blob)
    else:
        # It is in use again: `clean` of another job leaves it.
        os.utime(blob)
    target = level.pointer(pointer.key)
    handle, temporary = tempfile.mkstemp(dir=level.temporary, suffix=".json")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(pointer), file)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        try:
            # The one way that never replaces what another job has put there, on NFS too.
            os.link(temporary, target)
        except FileExistsError:
            if ours:
                remove_unnamed(blob, target)
            return False
        except OSError:
            # A file system without hard links: the last of two jobs wins, with an entry as good as the other.
            os.replace(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    return True


def remove_unnamed(blob: Path, pointer: Path) -> None:
    """Removes the blob of a job that came too late, unless the entry of the other one is the very same."""
    with contextlib.suppress(Broken, OSError):
        if read_pointer(pointer).sha256 != blob.stem:
            blob.unlink()


# ---------------------------------------------------------------------------------------------------------------------
# In time


def check_store(task: Task) -> None:
    """Sees to it that there is a store: an absent one may be a share that isn't mounted, and must not be made here.

    Raises:
        Failure: there is none.
    """
    if not Path(task.store).is_dir():
        raise Failure(f"there is no cache store {task.store}", f"mount it, or mkdir -p {task.store}")


def work() -> int:
    """Does the task that is given on stdin, and tells on stdout what came of it."""
    task = Task(**json.load(sys.stdin))
    try:
        result = (restore if task.command == "restore" else save)(task)
    except (Failure, Broken) as failure:
        mend = f" (to mend it: {failure.mend})" if isinstance(failure, Failure) and failure.mend else ""
        result = Result(warnings=[f"{failure}{mend}"])
    except OSError as error:
        result = Result(warnings=[f"{error.filename or task.store}: {error.strerror or error}"])
    if task.command == "restore" and not result.matched:
        shutil.rmtree(task.temporary, ignore_errors=True)
    if result.warnings and not result.reason:
        result.reason = result.warnings[0]
    trusted = task.level("trusted").folder
    result.shared = task.trust == "change" and trusted.is_dir() and os.access(trusted, os.W_OK)
    json.dump(asdict(result), sys.stdout)
    return Exit.OK


def in_time(task: Task, seconds: float) -> Result:
    """Has the task done by a process of its own, which can be given up: a share whose server is gone lets none go."""
    command = [sys.executable, "-E", os.path.abspath(__file__), "work"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    try:
        told, errors = process.communicate(json.dumps(asdict(task)), timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        reason = f"the cache store {task.store} took more than {seconds:.0f} s and was given up"
        return Result(reason=reason, warnings=[reason])
    except BaseException:
        process.kill()
        raise
    try:
        return Result(**json.loads(told))
    except (ValueError, TypeError):
        reason = f"`{task.command}` broke: {(errors.strip().splitlines() or [f'exit code {process.returncode}'])[-1]}"
        return Result(reason=reason, warnings=[reason])


def note_shared_store(task: Task) -> None:
    """Says once a job who may do what with the store, where untrusted jobs could write what trusted ones read."""
    with contextlib.suppress(OSError):
        folder = job_temp() / "uv-actions"
        folder.mkdir(parents=True, exist_ok=True)
        os.close(os.open(folder / "shared-store-noted", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        say(
            f"note: this job's user may write {task.store}/trusted too, so the two levels are no security boundary:"
            " for one, give each level its own user id"
        )


# ---------------------------------------------------------------------------------------------------------------------
# Command line


def parse() -> Namespace:
    """The command line and the environment."""
    parser = Parser(description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="restore|save", required=True)
    for name, help_ in (("restore", "fill a folder from the store"), ("save", "add a folder to the store")):
        command = commands.add_parser(name, help=help_)
        add = command.add_argument
        add("--store", required=True, metavar="DIR", help="the folder that holds the entries, which must be there")
        add("--path", required=True, metavar="DIR", help="the cache's folder")
        add("--key", required=True, type=as_key, help="the entry's key")
        if name == "restore":
            add(
                "--restore-keys", action=Items, type=as_key, metavar="PREFIX", help="other keys that will do, by prefix"
            )
        add("--trust", required=True, choices=list(READS), help="the job's level of trust")
        add("--time-limit", type=as_seconds, default=150, metavar="SECONDS", help="then go on without (default: 150)")
    return parser.parse_args()


def as_key(text: str) -> str:
    """The type of an option that takes a key, or the beginning of one."""
    if not text.strip():
        raise ArgumentTypeError("a key must not be empty")
    if len(quote(text, safe="")) > KEY_BYTES:
        raise ArgumentTypeError(
            f"the key has more than {KEY_BYTES} characters, those counted three times that aren't plain"
        )
    return text


def as_seconds(text: str) -> float:
    """The type of an option that takes a number of seconds."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text) or not float(text):
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return float(text)


def main() -> int:
    if sys.argv[1:] == ["work"]:
        return work()
    options = parse()
    path = Path(os.path.abspath(options.path))
    task = Task(
        command=options.command,
        store=os.path.abspath(options.store),
        path=str(path),
        key=options.key,
        restore_keys=getattr(options, "restore_keys", []),
        trust=options.trust,
        temporary=str(path.with_name(f".{path.name}.{secrets.token_hex(6)}")),
    )
    began = time.monotonic()
    try:
        if options.command == "restore":
            path.parent.mkdir(parents=True, exist_ok=True)
        result = in_time(task, options.time_limit)
    except OSError as error:
        result = Result(warnings=[f"{error.filename or path}: {error.strerror or error}"])
    seconds = round(time.monotonic() - began)
    for warning in result.warnings:
        warn(warning, title="cache")
    if result.shared:
        note_shared_store(task)
    if options.command == "save":
        say(f"cache: saved, {human_size(result.bytes)}" if result.saved else f"cache: not saved: {result.reason}")
        set_outputs({"saved": result.saved, "reason": result.reason})
        return Exit.OK
    shutil.rmtree(task.temporary, ignore_errors=True)
    state = "miss" if not result.matched else "exact" if result.matched == task.key else "partial"
    say(f"cache: {state}" + (f", {human_size(result.bytes)} in {seconds} s" if result.matched else ""))
    set_outputs({"matched-key": result.matched, "state": state, "seconds": seconds, "bytes": result.bytes})
    return Exit.OK


if __name__ == "__main__":
    run_main(main)
