"""What a folder gives back as the store of caches: the same tree at another path, or a miss that leaves nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ci_cache
import pytest
from distributions import wheel
from services.index import PASSWORD, USERNAME, Index

TOOL = Path(ci_cache.__file__)
TAG = "Signature: 8a477f597d28d172789f06886806bc55\n"


class Store:
    """A store, and runs of the tool with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "the store"
        self.folder.mkdir()
        self.temp = folder / "job temp"
        self.temp.mkdir()
        self.said = ""

    def run(self, command: str, path: Path, key: str = "fam-1", trust: str = "trusted", *more: str) -> dict[str, Any]:
        """The outputs of a run, which always ends with exit code 0."""
        outputs = self.temp / "outputs.json"
        outputs.unlink(missing_ok=True)
        result = subprocess.run(
            [
                *(sys.executable, TOOL, command, f"--store={self.folder}", f"--path={path}", f"--key={key}"),
                *(f"--trust={trust}", *more),
            ],
            env={**os.environ, "UV_ACTIONS_OUTPUT": str(outputs), "UV_ACTIONS_TEMP": str(self.temp)},
            capture_output=True,
            text=True,
            check=False,
        )
        self.said = result.stderr
        assert result.returncode == 0, result.stderr
        assert "Traceback" not in result.stderr
        return json.loads(outputs.read_text())

    def save(self, path: Path, key: str = "fam-1", trust: str = "trusted", *more: str) -> dict[str, Any]:
        return self.run("save", path, key, trust, *more)

    def restore(self, path: Path, key: str = "fam-1", trust: str = "trusted", *more: str) -> dict[str, Any]:
        return self.run("restore", path, key, trust, *more)

    def level(self, trust: str = "trusted") -> ci_cache.Level:
        return ci_cache.Level(self.folder / trust)

    def blob(self, trust: str = "trusted") -> Path:
        """The one blob of a level."""
        (blob,) = self.level(trust).blobs.iterdir()
        return blob

    def put(self, tar: bytes, key: str = "fam-1", **pointer: Any) -> None:
        """Puts an entry into `trusted` as somebody would who has the right to write there."""
        level = self.level()
        for folder in (level.keys, level.blobs):
            folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(tar).hexdigest()
        level.blob(digest).write_bytes(tar)
        level.pointer(key).write_text(json.dumps({"key": key, "sha256": digest, "bytes": len(tar), **pointer}))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A tree with all that a cache of uv has, and more."""
    folder = tmp_path / "saved here" / "cache"
    (folder / "archive-v0" / "abc" / "empty").mkdir(parents=True)
    (folder / "wheels").mkdir()
    (folder / "CACHEDIR.TAG").write_text(TAG)
    file = folder / "archive-v0" / "abc" / "ünï $(code) 'name'\n.py"
    file.write_bytes(b"content" * 9999)
    file.chmod(0o755)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    os.link(file, folder / "archive-v0" / "hard")
    (folder / "archive-v0" / "private").write_text("x")
    (folder / "archive-v0" / "private").chmod(0o400)
    (folder / "wheels" / "relative").symlink_to("../archive-v0/abc")
    (folder / "wheels" / "absolute").symlink_to(folder / "archive-v0" / "abc")
    (tmp_path / "saved by a link").symlink_to(tmp_path / "saved here")
    (folder / "wheels" / "dangling").symlink_to("../archive-v0/gone")
    os.utime(folder / "archive-v0", (1_100_000_000, 1_100_000_000))
    return folder


def tree(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that is below a folder: kind, mode, time, and content or target."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content: object = None
        if path.is_symlink():
            content = os.path.normpath(os.path.join(path.parent, os.readlink(path))).removeprefix(str(folder))
        elif path.is_file():
            content = path.read_bytes()
        mode, when = (0, 0) if path.is_symlink() else (stat.S_IMODE(status.st_mode), int(status.st_mtime))
        found[str(path.relative_to(folder))] = (stat.S_IFMT(status.st_mode), mode, when, content)
    return found


def left_over(path: Path) -> list[str]:
    """What lies beside a path that a restore would fill."""
    return [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []


# ---------------------------------------------------------------------------------------------------------------------
# The same tree again


def test_the_same_tree_comes_back_at_another_path(store: Store, cache: Path, tmp_path: Path) -> None:
    assert store.save(cache) == {"saved": "true", "reason": ""}
    before = tree(cache)
    shutil.rmtree(cache)
    back = tmp_path / "elsewhere" / "deep" / "other name"
    told = store.restore(back)
    assert (told["matched-key"], told["state"], told["bytes"]) == ("fam-1", "exact", str(store.blob().stat().st_size))
    assert told["seconds"].isdigit()
    assert tree(back) == before
    assert os.readlink(back / "wheels" / "absolute") == "../archive-v0/abc"
    assert (back / "archive-v0" / "hard").stat().st_nlink == 2
    assert left_over(back) == ["other name"]


def test_links_inside_stay_inside_where_the_caches_own_path_leads_through_a_link(
    store: Store, cache: Path, tmp_path: Path
) -> None:
    assert store.save(tmp_path / "saved by a link" / "cache")["saved"] == "true"
    assert "warning" not in store.said
    store.restore(tmp_path / "back")
    assert os.readlink(tmp_path / "back" / "wheels" / "absolute") == "../archive-v0/abc"
    assert tree(tmp_path / "back") == tree(cache)


def test_nothing_but_the_entry_stays_in_the_store(store: Store, cache: Path) -> None:
    store.save(cache)
    files = [str(each.relative_to(store.folder)) for each in store.folder.rglob("*") if each.is_file()]
    assert sorted(files) == [f"trusted/blobs/{store.blob().name}", "trusted/keys/fam-1.json"]
    assert all(stat.S_IMODE((store.folder / each).stat().st_mode) == 0o644 for each in files), "other users read it"


def test_a_key_is_saved_once(store: Store, cache: Path) -> None:
    store.save(cache)
    first = store.blob().stat()
    (cache / "more").write_text("more")
    told = store.save(cache)
    assert told["saved"] == "false"
    assert "already" in told["reason"]
    assert store.blob().stat().st_mtime_ns == first.st_mtime_ns, "nothing was packed"


def test_two_keys_with_the_same_content_share_it(store: Store, cache: Path) -> None:
    store.save(cache)
    assert store.save(cache, "fam-2")["saved"] == "true"
    assert store.blob()


def test_a_key_may_be_any_text(store: Store, cache: Path, tmp_path: Path) -> None:
    for number, key in enumerate(["../../evil", "..", ".", "a/b\\c:d", "ünï", "-x", "%2e%2e", "$(touch pwned)\n'"]):
        assert store.save(cache, key)["saved"] == "true", key
        assert store.restore(tmp_path / str(number), key)["matched-key"] == key
    assert len(list(store.level().keys.iterdir())) == 8
    assert [each.name for each in store.folder.iterdir()] == ["trusted"]
    assert not list(tmp_path.rglob("pwned"))


def test_what_no_cache_needs_is_left_out(
    store: Store, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "out").symlink_to("/etc/passwd")
    (cache / "wheels" / "up").symlink_to("../../outside")
    os.mkfifo(cache / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        # By a short name: a socket's path has about 100 bytes at most.
        monkeypatch.chdir(cache)
        server.bind("socket")
    (cache / "setuid").write_text("")
    (cache / "setuid").chmod(0o6755)
    assert store.save(cache)["saved"] == "true"
    assert "2 links that lead out of" in store.said
    back = tmp_path / "back"
    assert store.restore(back)["state"] == "exact"
    assert stat.S_IMODE((back / "setuid").stat().st_mode) == 0o755
    gone = [back / name for name in ("out", "wheels/up", "fifo", "socket")]
    assert not [each for each in gone if each.is_symlink() or each.exists()]


@pytest.mark.parametrize("make", [lambda _: None, Path.mkdir, lambda path: path.symlink_to("/etc")])
def test_nothing_is_saved_where_nothing_is(store: Store, tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "nothing")
    told = store.save(tmp_path / "nothing")
    assert (told["saved"], "nothing in" in told["reason"]) == ("false", True)
    assert not list(store.folder.iterdir())


# ---------------------------------------------------------------------------------------------------------------------
# Which entry


def test_without_an_entry_it_is_a_miss_without_a_word_of_warning(store: Store, tmp_path: Path) -> None:
    told = store.restore(tmp_path / "x" / "back", "fam-1", "trusted", "--restore-keys=fam-")
    assert (told["matched-key"], told["state"], told["bytes"]) == ("", "miss", "0")
    assert "warning" not in store.said
    assert left_over(tmp_path / "x" / "back") == []


def test_the_newest_of_a_prefix_stands_in(store: Store, cache: Path, tmp_path: Path) -> None:
    for number, key in enumerate(["fam-new", "fam-old", "family-no", "other-1"]):
        (cache / "key").write_text(key)
        store.save(cache, key)
        os.utime(store.level().pointer(key), (2_000_000_000 - number, 2_000_000_000 - number))
    back = tmp_path / "back"
    told = store.restore(
        back, "fam-1", "trusted", "--restore-keys=none-", "--restore-keys=fam-", "--restore-keys=other-"
    )
    assert (told["state"], told["matched-key"], (back / "key").read_text()) == ("partial", "fam-new", "fam-new")
    told = store.restore(tmp_path / "2", "fam-old", "trusted", "--restore-keys=fam-")
    assert (told["state"], told["matched-key"]) == ("exact", "fam-old"), "the key itself comes first"


def test_a_trusted_job_reads_nothing_that_others_wrote(store: Store, cache: Path, tmp_path: Path) -> None:
    assert store.save(cache, "fam-1", "change")["saved"] == "true"
    told = store.restore(tmp_path / "back", "fam-1", "trusted", "--restore-keys=fam-")
    assert told["state"] == "miss"
    assert store.save(cache, "fam-1", "trusted")["saved"] == "true", "nor is it kept from saving by them"


def test_a_change_reads_both_and_writes_its_own(store: Store, cache: Path, tmp_path: Path) -> None:
    store.save(cache, "fam-1", "trusted")
    assert store.restore(tmp_path / "1", "fam-1", "change")["state"] == "exact"
    told = store.save(cache, "fam-1", "change")
    assert (told["saved"], "`trusted`" in told["reason"]) == ("false", True)
    (cache / "mine").write_text("")
    assert store.save(cache, "fam-2", "change")["saved"] == "true"
    assert store.restore(tmp_path / "2", "fam-3", "change", "--restore-keys=fam-")["matched-key"] == "fam-2"
    assert [each.name for each in store.level("trusted").keys.iterdir()] == ["fam-1.json"]


def test_where_a_change_could_write_what_others_trust_it_says_so_once(
    store: Store, cache: Path, tmp_path: Path
) -> None:
    store.save(cache)
    assert "note:" not in store.said
    store.restore(tmp_path / "1", "fam-1", "change")
    assert "own user id" in store.said
    store.save(cache, "fam-2", "change")
    assert "note:" not in store.said


# ---------------------------------------------------------------------------------------------------------------------
# Broken and hostile entries


def test_a_bit_that_flipped_is_a_miss_and_the_next_save_mends_it(store: Store, cache: Path, tmp_path: Path) -> None:
    store.save(cache)
    content = bytearray(store.blob().read_bytes())
    content[content.index(b"contentcontent") + 3] ^= 1
    store.blob().write_bytes(content)
    back = tmp_path / "x" / "back"
    assert store.restore(back)["state"] == "miss"
    assert "differs from its digest" in store.said
    assert left_over(back) == []
    assert store.save(cache)["saved"] == "true"
    assert store.restore(back)["state"] == "exact"


def test_each_cut_is_a_miss(store: Store, cache: Path, tmp_path: Path) -> None:
    store.save(cache)
    whole = store.blob().read_bytes()
    back = tmp_path / "x" / "back"
    for size in (0, 1, 511, 512, 1024, len(whole) // 2, len(whole) - 1):
        # Told by its size, and where somebody has made the pointer fit that, by its digest.
        for bytes_ in (len(whole), size):
            store.put(whole, bytes=bytes_)
            store.blob().write_bytes(whole[:size])
            assert store.restore(back)["state"] == "miss", size
            assert "warning: a cache entry can't be used" in store.said
            assert left_over(back) == []


@pytest.mark.parametrize(
    "pointer",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000,
        b'{"key": "fam-1"}',
        b'{"key": "fam-1", "sha256": "../../../../etc/passwd", "bytes": 1}',
        b'{"key": "fam-1", "sha256": 1, "bytes": 1}',
        b'{"key": "fam-1", "sha256": "' + b"0" * 64 + b'", "bytes": "1"}',
        b'{"key": "fam-1", "sha256": "' + b"0" * 64 + b'", "bytes": 1}',
        b'{"key": "fam-2", "sha256": "' + b"0" * 64 + b'", "bytes": 1}',
        b'{"key": 7, "sha256": "' + b"0" * 64 + b'", "bytes": 1}',
    ],
    ids=lambda pointer: pointer[:50].decode(errors="replace"),
)  # fmt: skip
def test_a_pointer_that_says_nothing_is_a_miss(store: Store, cache: Path, tmp_path: Path, pointer: bytes) -> None:
    store.level().keys.mkdir(parents=True)
    store.level().pointer("fam-1").write_bytes(pointer)
    assert store.restore(tmp_path / "back")["state"] == "miss"
    assert "warning: a cache entry can't be used" in store.said
    assert store.save(cache)["saved"] == "true", "it is gone, so that a save may write it anew"


def test_after_a_broken_entry_comes_the_next(store: Store, cache: Path, tmp_path: Path) -> None:
    store.save(cache, "fam-0")
    store.put(b"no tar")
    told = store.restore(tmp_path / "back", "fam-1", "trusted", "--restore-keys=fam-")
    assert (told["state"], told["matched-key"]) == ("partial", "fam-0")


def test_a_change_leaves_a_broken_entry_of_others_alone(store: Store, tmp_path: Path) -> None:
    store.put(b"no tar")
    assert store.restore(tmp_path / "back", "fam-1", "change")["state"] == "miss"
    assert store.level().pointer("fam-1").exists()


def member(name: str, kind: bytes = tarfile.REGTYPE, *, link: str = "", mode: int = 0o644, data: bytes = b"") -> Any:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(data)
    return info, io.BytesIO(data)


def folder(name: str) -> Any:
    return member(name, tarfile.DIRTYPE, mode=0o755)


def link(name: str, target: str) -> Any:
    return member(name, tarfile.SYMTYPE, link=target)


HOSTILE: dict[str, list[Any]] = {
    "absolute": [member("/tmp/ci-cache-was-here", data=b"x")],
    "absolute folder": [folder("/tmp/ci-cache-was-here")],
    "up": [member("../evil", data=b"x")],
    "up within": [folder("a"), member("a/../../evil", data=b"x")],
    "up within, staying": [folder("a"), member("a/../b", data=b"x")],
    "dot": [member("./x", data=b"x")],
    "empty name": [member("", data=b"x")],
    "no such folder": [member("a/b", data=b"x")],
    "link out": [link("a", "../..")],
    "link up": [link("a", "..")],
    "absolute link": [link("a", "/tmp")],
    "link out of a folder": [folder("a"), link("a/b", "../../x")],
    "link up and down and up": [folder("a"), link("a/b", "../a/../../x")],
    "link to nothing": [link("a", "")],
    "write through a link out": [link("a", "../outside"), member("a/evil", data=b"x")],
    "write through a link inside": [folder("a"), link("b", "a"), member("b/x", data=b"x")],
    "write over a link": [link("a", "b"), member("a", data=b"x")],
    "two links that lead out together": [folder("d"), folder("d/e"), link("d/e/l", ".."), link("x", "d/e/l/../..")],
    "folder over a link": [link("a", "b"), folder("a")],
    "hard link out": [member("a", tarfile.LNKTYPE, link="../outside/secret")],
    "absolute hard link": [member("a", tarfile.LNKTYPE, link="/etc/passwd")],
    "hard link to a link": [link("a", "b"), member("c", tarfile.LNKTYPE, link="a")],
    "hard link to what comes later": [member("a", tarfile.LNKTYPE, link="b"), member("b", data=b"x")],
    "file twice": [member("a", data=b"x"), member("a", data=b"y")],
    "folder twice": [folder("a"), folder("a")],
    "device": [member("a", tarfile.CHRTYPE)],
    "block device": [member("a", tarfile.BLKTYPE)],
    "fifo": [member("a", tarfile.FIFOTYPE)],
    "a kind that nobody knows": [member("a", b"Z")],
    "setuid": [member("a", mode=0o4755)],
    "setgid folder": [member("a", tarfile.DIRTYPE, mode=0o2755)],
    "sticky": [member("a", mode=0o1644)],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_entry_is_a_miss_and_writes_nothing_elsewhere(store: Store, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "x" / "outside"
    outside.mkdir(parents=True)
    (outside / "secret").write_text("secret")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, data in [member("before", data=b"x"), *HOSTILE[name]]:
            tar.addfile(info, data)
    store.put(buffer.getvalue())
    before = tree(tmp_path / "x")
    back = tmp_path / "x" / "back"
    told = store.restore(back)
    assert told["state"] == "miss"
    assert "warning: a cache entry can't be used" in store.said
    assert tree(tmp_path / "x") == before
    assert not Path("/tmp/ci-cache-was-here").exists()


@pytest.mark.parametrize(
    "headers", [{"mtime": "nan"}, {"mtime": "1e999"}, {"size": "-1"}, {"path": "a\0b"}, {"GNU.sparse.map": "0,1,2"}]
)
def test_odd_headers_are_a_miss(store: Store, tmp_path: Path, headers: dict[str, str]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info, data = member("a", data=b"x" * 600)
        info.pax_headers = headers
        tar.addfile(info, data)
    store.put(buffer.getvalue())
    told = store.restore(tmp_path / "x" / "back")
    assert told["state"] == "miss"
    assert left_over(tmp_path / "x" / "back") == []


@pytest.mark.parametrize("what", ["keys/fam-1.json", "blobs"])
def test_a_pipe_in_the_store_holds_nobody_up(store: Store, cache: Path, tmp_path: Path, what: str) -> None:
    store.save(cache)
    victim = store.blob() if what == "blobs" else store.folder / "trusted" / what
    victim.unlink()
    os.mkfifo(victim)
    began = time.monotonic()
    assert store.restore(tmp_path / "back")["state"] == "miss"
    assert time.monotonic() - began < 60


# ---------------------------------------------------------------------------------------------------------------------
# The place that is filled


def test_a_cache_that_lies_there_is_replaced(store: Store, cache: Path, tmp_path: Path) -> None:
    store.save(cache)
    back = tmp_path / "x" / "back"
    back.mkdir(parents=True)
    assert store.restore(back)["state"] == "exact", "an empty folder is no obstacle"
    (back / "leftover").write_text("")
    assert store.restore(back)["state"] == "exact"
    assert not (back / "leftover").exists()
    assert left_over(back) == ["back"]


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_is_no_cache_is_never_touched(store: Store, cache: Path, tmp_path: Path, kind: str) -> None:
    store.save(cache)
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter-1").write_text("It was")
    path = {"folder": thesis, "file": thesis / "chapter-1", "link": tmp_path / "link"}[kind]
    if kind == "link":
        path.symlink_to(thesis)
    assert store.restore(path)["state"] == "miss"
    assert f"warning: {path} is" in store.said
    assert (thesis / "chapter-1").read_text() == "It was"
    assert left_over(thesis / "chapter-1") == ["chapter-1"]


def test_a_disk_that_is_full_leaves_nothing(store: Store, cache: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for the full disk: the same write fails at the same place."""
    limited = "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
    limited += "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    store.save(cache, "fam-2")
    for command, path in (("save", cache), ("restore", tmp_path / "x" / "back")):
        result = subprocess.run(
            [
                *(sys.executable, "-c", limited, TOOL, command, f"--store={store.folder}", f"--path={path}"),
                *("--trust=trusted", f"--key={'fam-1' if command == 'save' else 'fam-2'}"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert "warning: " in result.stderr
        assert ("saved=false" if command == "save" else "state=miss") in result.stdout
    assert not list(store.level().temporary.iterdir())
    assert not store.level().pointer("fam-1").exists()
    assert store.level().pointer("fam-2").exists(), "the entry is good"
    assert left_over(tmp_path / "x" / "back") == []


def test_an_absent_store_is_told_and_not_made(store: Store, cache: Path, tmp_path: Path) -> None:
    store.folder.rmdir()
    assert store.restore(tmp_path / "back")["state"] == "miss"
    assert "mkdir -p" in store.said
    told = store.save(cache)
    assert (told["saved"], "no cache store" in told["reason"]) == ("false", True)
    assert "warning" in store.said
    assert not store.folder.exists()


def test_a_store_that_cannot_be_written_is_told(store: Store, cache: Path, tmp_path: Path) -> None:
    """Root may write anything, so a file in the place of a folder stands in for a read-only store."""
    store.save(cache)
    store.level("change").folder.write_text("")
    told = store.save(cache, "fam-2", "change")
    assert told["saved"] == "false"
    assert told["reason"]
    assert "warning" in store.said
    assert store.restore(tmp_path / "back", "fam-1", "trusted")["state"] == "exact"


# ---------------------------------------------------------------------------------------------------------------------
# Jobs at once, killed jobs, servers that hang


def test_two_jobs_save_the_same_key_at_once(store: Store, cache: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(cache, other, symlinks=True)
    (other / "other").write_text("")
    told: list[dict[str, Any]] = []

    def run(path: Path) -> None:
        task = ci_cache.Task("save", str(store.folder), str(path), "fam-1", [], "trusted", "")
        told.append(vars(ci_cache.save(task)))

    threads = [threading.Thread(target=run, args=(each,)) for each in (cache, other) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each["saved"] for each in told].count(True) == 1
    assert store.restore(tmp_path / "back")["state"] == "exact"
    assert list(store.level().temporary.iterdir()) == []
    assert store.blob(), "what the others packed is gone"


def test_a_save_that_comes_too_late_leaves_the_entry_of_the_first(store: Store, cache: Path) -> None:
    store.save(cache)
    entry = store.level().pointer("fam-1").read_bytes()
    late = store.level().temporary / "late.tar"
    late.write_bytes(b"late")
    pointer = ci_cache.Pointer("fam-1", hashlib.sha256(b"late").hexdigest(), 4)
    assert ci_cache.publish(store.level(), late, pointer) is False
    assert store.level().pointer("fam-1").read_bytes() == entry
    assert store.blob().name != f"{pointer.sha256}.tar"


def test_a_file_system_without_hard_links_will_do(
    store: Store, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    task = ci_cache.Task("save", str(store.folder), str(cache), "fam-1", [], "trusted", "")
    assert ci_cache.save(task).saved
    monkeypatch.undo()
    assert store.restore(tmp_path / "back")["state"] == "exact"


def test_a_killed_save_leaves_no_entry_and_its_rest_is_removed_when_old(
    store: Store, cache: Path, tmp_path: Path
) -> None:
    (cache / "big").write_bytes(os.urandom(1024) * 1024 * 64)
    with subprocess.Popen(
        [
            *(sys.executable, TOOL, "save", f"--store={store.folder}", f"--path={cache}", "--key=fam-1"),
            "--trust=trusted",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not list(store.folder.rglob("*.tar")) and time.monotonic() < deadline:
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
    (rest,) = store.level().temporary.iterdir()
    assert store.restore(tmp_path / "back")["state"] == "miss"
    assert "warning" not in store.said

    orphan = store.level().blobs / f"{'0' * 64}.tar"
    orphan.write_text("a blob whose pointer was never written")
    assert store.save(cache, "fam-0")["saved"] == "true"
    assert rest.exists(), "its job may still be at work"
    long_ago = time.time() - 2 * ci_cache.OLD
    for file in (rest, orphan, *store.level().blobs.iterdir(), *store.level().keys.iterdir()):
        os.utime(file, (long_ago, long_ago))
    (cache / "big").unlink()
    assert store.save(cache)["saved"] == "true"
    assert not rest.exists()
    assert not orphan.exists()
    for key in ("fam-0", "fam-1"):
        assert store.restore(tmp_path / key, key)["state"] == "exact", "what a key names stays, however old"


def test_a_store_that_hangs_is_given_up(
    store: Store, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that nobody writes to, in the place of the blob, stands in for a share whose server is gone."""
    store.save(cache)
    hanging = tmp_path / "hanging.py"
    hanging.write_text(TOOL.read_text(encoding="utf-8").replace('getattr(os, "O_NONBLOCK", 0)', "0"), encoding="utf-8")
    shutil.copy(TOOL.with_name("_common.py"), tmp_path)
    blob = store.blob()
    blob.unlink()
    os.mkfifo(blob)
    monkeypatch.setattr(sys.modules[__name__], "TOOL", hanging)
    back = tmp_path / "x" / "back"
    began = time.monotonic()
    assert store.restore(back, "fam-1", "trusted", "--time-limit=2")["state"] == "miss"
    assert 2 <= time.monotonic() - began < 30
    assert "took more than 2 s" in store.said
    assert left_over(back) == []


# ---------------------------------------------------------------------------------------------------------------------
# Wrong use


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "restore"),
        (["load"], "load"),
        (["restore"], "--store"),
        (["save", "--store=x", "--path=x", "--key=x", "--trust=some"], "--trust"),
        (["save", "--store=x", "--path=x", "--key=", "--trust=change"], "--key"),
        (["save", "--store=x", "--path=x", f"--key={'k' * 241}", "--trust=change"], "--key"),
        (["save", "--store=x", "--path=x", "--key=x", "--trust=change", "--time-limit=0"], "--time-limit"),
        (["save", "--store=x", "--path=x", "--key=x", "--trust=change", "--time-limit=nan"], "--time-limit"),
    ],
)
def test_wrong_use_is_told_by_its_name(arguments: list[str], named: str) -> None:
    result = subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert named in result.stderr
    assert "Traceback" not in result.stderr


def test_options_may_be_variables(store: Store, cache: Path, tmp_path: Path) -> None:
    store.save(cache, "fam-0")
    given = {"STORE": store.folder, "PATH": tmp_path / "back", "KEY": "fam-1", "TRUST": "change"}
    result = subprocess.run(
        [sys.executable, TOOL, "restore"],
        env={
            **os.environ,
            **{f"UV_ACTIONS_CI_CACHE_{name}": str(value) for name, value in given.items()},
            "UV_ACTIONS_CI_CACHE_RESTORE_KEYS": "none-\nfam-\n",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert "matched-key=fam-0\n" in result.stdout


# ---------------------------------------------------------------------------------------------------------------------
# With the real uv


def test_uv_syncs_offline_from_a_cache_that_was_restored_elsewhere(store: Store, index: Index, tmp_path: Path) -> None:
    index.add(wheel(tmp_path / "built", "dep", "1.0"))
    index.add(wheel(tmp_path / "built", "other", "2.0"))
    project = tmp_path / "a project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["dep", "other"]\n'
        f'[[tool.uv.index]]\nname = "acme"\nurl = "{index.url}"\ndefault = true\n'
    )
    login = {"UV_INDEX_ACME_USERNAME": USERNAME, "UV_INDEX_ACME_PASSWORD": PASSWORD}
    cache = tmp_path / "first" / "cache"
    environment = {**os.environ, **login, "UV_CACHE_DIR": str(cache)}
    subprocess.run(["uv", "sync", "--quiet"], cwd=project, env=environment, check=True)
    # As uv 0.8 leaves them: links that hold the cache's own path.
    for each in [path for path in cache.rglob("*") if path.is_symlink()]:
        target = each.resolve()
        each.unlink()
        each.symlink_to(target)
    assert store.save(cache)["saved"] == "true"
    shutil.rmtree(cache)
    shutil.rmtree(project / ".venv")

    back = tmp_path / "second" / "other"
    assert store.restore(back)["state"] == "exact"
    environment = {**os.environ, "UV_CACHE_DIR": str(back), "UV_OFFLINE": "1"}
    subprocess.run(["uv", "sync", "--quiet", "--locked"], cwd=project, env=environment, check=True)
    installed = {each.name for each in (project / ".venv").rglob("*.dist-info")}
    assert {"dep-1.0.dist-info", "other-2.0.dist-info"} <= installed
