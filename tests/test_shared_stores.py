"""Stores that users share, and what names a store: understood or refused, never something else."""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmraw_protocol import MMRawError, open_store
from mmraw_protocol.stores import LocalStore
from mmraw_protocol.wire.hashes import sha256_hex

DATA = b"\x89PNG\r\n\x1a\n" + b"1" * 500
NAME = f"{sha256_hex(DATA)}.png"

if not hasattr(os, "fchown"):
    pytest.skip("owners and modes are those of POSIX", allow_module_level=True)


def code(work: Callable[[], Any]) -> str:
    with pytest.raises(MMRawError) as caught:
        work()
    return caught.value.code


def refusing(number: int) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(number, "refused")

    return refuse


# ----- putting what is stored already


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("error", ["EPERM", "EACCES", "EROFS"])
def test_putting_what_another_user_stored_succeeds(
    error: str, durable: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    LocalStore(tmp_path).put(DATA)
    store = LocalStore(tmp_path, durable=durable)
    refuse = refusing(getattr(errno, error))
    opened = os.open

    def read_only(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & (os.O_WRONLY | os.O_CREAT):
            refuse()
        return opened(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", read_only)
    for name in ("utime", "mkdir", "rename"):
        monkeypatch.setattr(os, name, refuse)
    assert store.put(DATA) == NAME
    # An object that is not there yet, or is damaged, is no success.
    assert code(lambda: store.put(DATA + b"2")) == "store_permission"
    monkeypatch.undo()
    (tmp_path / NAME).write_bytes(b"damaged")
    monkeypatch.setattr(os, "open", read_only)
    assert code(lambda: store.put(DATA)) == "store_permission"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs two users")
def test_two_users_share_a_store() -> None:
    with tempfile.TemporaryDirectory() as folder:
        # pytest's own folders are closed to other users.
        os.chmod(folder, 0o755)
        LocalStore(f"{folder}/store", dir_mode=0o755, file_mode=0o644).put(DATA)
        child = os.fork()
        if not child:
            result = 1
            try:
                os.setgid(65534)
                os.setuid(65534)
                store = LocalStore(f"{folder}/store", create=False)
                result = 0 if store.put(DATA) == NAME and store.get(NAME) == DATA else 2
            finally:
                os._exit(result)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# ----- permissions


def modes(root: Path) -> tuple[int, int]:
    file = next(path for path in root.rglob("*") if path.is_file())
    return stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)


def test_permissions_come_from_call_url_environment_and_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mmraw_protocol.cli import main

    open_store(tmp_path / "a", file_mode=0o664, dir_mode=0o770).put(DATA)
    assert modes(tmp_path / "a") == (0o664, 0o770)
    open_store(f"file://{tmp_path}/b?file_mode=0660&dir_mode=2775").put(DATA)
    assert modes(tmp_path / "b") == (0o660, 0o2775)
    picture = "data:image/png;base64," + __import__("base64").b64encode(_png()).decode()
    (tmp_path / "rows.jsonl").write_text(f'{{"image":"{picture}"}}\n')
    options = ["--file-mode", "0644", "--dir-mode", "0755"]
    files = ["offload", str(tmp_path / "rows.jsonl"), "--out", str(tmp_path / "out")]
    assert main([*files, "--store", str(tmp_path / "c"), *options]) == 0
    assert modes(tmp_path / "c") == (0o644, 0o755)
    capsys.readouterr()
    monkeypatch.setenv("MMRAW_STORE_FILE_MODE", "0600")
    monkeypatch.setenv("MMRAW_STORE_DIR_MODE", "0700")
    open_store(tmp_path / "d").put(DATA)
    assert modes(tmp_path / "d") == (0o600, 0o700)


def _png() -> bytes:
    import process_programs

    return process_programs.png(8)


@pytest.mark.parametrize("value", ["rw-r--r--", "9", "0999", "1000000", "-1"])
def test_permissions_are_octal_digits(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"file://{tmp_path}/a?file_mode={value}"
    assert code(lambda: open_store(url)) in ("unsupported_option", "store_invalid")
    monkeypatch.setenv("MMRAW_STORE_FILE_MODE", value)
    assert code(lambda: open_store(tmp_path / "a")) == "unsupported_option"
    assert not (tmp_path / "a").exists()


def test_a_directory_that_hands_its_group_down_does_so_below(tmp_path: Path) -> None:
    parent = tmp_path / "shared"
    parent.mkdir()
    if os.geteuid() == 0:
        os.chown(parent, -1, 12)
    parent.chmod(0o2775)
    store = open_store(parent / "run_root", run_ids=["a"], dir_mode=0o770)
    store.put(DATA, run_id="a")
    for path in (parent / "run_root").rglob("*"):
        assert path.stat().st_gid == parent.stat().st_gid
        assert not path.is_dir() or path.stat().st_mode & stat.S_ISGID


# ----- names of stores


@pytest.mark.parametrize(
    "place",
    [
        *("", " ", " /x", "/x\n", "$HOME/x", "s3:/b", "s3:b", "S3:/b/x", "gs:/b", "az:b"),
        *("http://host/x", "https:/x", "file:x", "file://host/x", "file:///", "file:///x#y"),
        *("file:///x?mode=1", "file:///x%zz", "~no_such_user_here/x", "memory:x", "x\0y"),
    ],
)
def test_what_names_no_store_is_refused_and_makes_nothing(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if place == "file:///":
        pytest.skip("the root directory is one")
    assert code(lambda: open_store(place)) == "store_invalid"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spelling", ["file:{}", "file://{}", "file://localhost{}", "FILE://{}"])
def test_file_urls_name_the_same_directory(spelling: str, tmp_path: Path) -> None:
    store: Any = open_store(spelling.format(tmp_path / "a b").replace(" ", "%20"))
    assert store.root == tmp_path / "a b"


def test_the_home_directory_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    store: Any = open_store("~/images")
    assert store.root == tmp_path / "images"
    assert open_store("./~/images", create=True)
    assert (tmp_path / "~" / "images").is_dir()
    assert open_store("exp:42/images")


@pytest.mark.parametrize("place", [None, 7, b"/x", ["/x"], object()])
def test_what_is_no_text_names_no_store(place: Any) -> None:
    assert code(lambda: open_store(place)) == "invalid_type"


@pytest.mark.parametrize("run_ids", ["exp42", b"exp42", 7, [7], [None]])
def test_a_label_is_no_list_of_labels(run_ids: Any, tmp_path: Path) -> None:
    assert code(lambda: open_store(tmp_path, run_ids=run_ids)) == "invalid_type"


def test_several_runs_may_come_in_any_collection(tmp_path: Path) -> None:
    labels: Any
    for labels in (["a"], ("a",), {"a"}, iter(["a"]), {"a": 1}):
        store: Any = open_store(tmp_path, run_ids=labels)
        assert store.run_ids == {"a"}


# ----- arguments


@pytest.mark.parametrize("kind", ["directory", "memory", "cache"])
@pytest.mark.parametrize("value", [None, 7, b"name", ["name"], object()])
def test_wrong_arguments_are_an_error_of_this_package(
    value: Any, kind: str, tmp_path: Path
) -> None:
    store: Any = open_store("memory://" if kind == "memory" else tmp_path / "store")
    if kind == "cache":
        store = open_store(tmp_path / "store", cache_dir=tmp_path / "cache")
    for work in (
        lambda: store.get(value),
        lambda: store.has(value),
        lambda: store.delete(value),
        lambda: store.url(value),
        lambda: store.put(value if not isinstance(value, bytes) else "text"),
    ):
        assert code(work) == "invalid_type"
    if value is not None:
        assert code(lambda: store.get(NAME, run_id=value)) == "invalid_type"
        assert code(lambda: store.check_run(value)) == "invalid_type"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_of_any_kind_are_stored(kind: Any, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    assert store.put(kind(DATA)) == NAME
    assert store.get(NAME) == DATA


@pytest.mark.parametrize("name", ["file_mode", "dir_mode"])
@pytest.mark.parametrize("value", ["0640", 1.5, True, -1, 1 << 20])
def test_permissions_are_numbers(name: str, value: Any, tmp_path: Path) -> None:
    options: Any = {name: value}
    assert code(lambda: LocalStore(tmp_path / "a", **options)) in (
        "invalid_type",
        "unsupported_option",
    )


# ----- a store that is gone


def test_a_store_whose_directory_is_gone_has_and_gets_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store")
    store.put(DATA)
    (tmp_path / "store" / NAME).unlink()
    assert not store.has(NAME)
    (tmp_path / "store").rmdir()
    for work in (lambda: store.has(NAME), lambda: store.get(NAME), lambda: store.put(DATA)):
        assert code(work) == "store_invalid"


@pytest.mark.parametrize("name", ["EACCES", "EIO", "EMFILE"])
def test_whether_an_object_is_there_is_not_guessed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    store = LocalStore(tmp_path)
    store.put(DATA)
    monkeypatch.setattr(os, "stat", refusing(getattr(errno, name)))
    assert code(lambda: store.has(NAME)).startswith("store_")
