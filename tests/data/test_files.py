"""Downloads from a local server: resumed, checked, renamed into place."""

import hashlib
from pathlib import Path

import pytest

from ganedu.data import files

BODY = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server(server):
    server.body = BODY
    return server


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "toy" / "file.bin"


def left(target: Path) -> list[str]:
    return sorted(file.name for file in target.parent.iterdir())


def test_a_download_is_the_file_and_leaves_nothing_beside_it(server, target):
    assert files.download([server.url], SHA256, target) == target
    assert target.read_bytes() == BODY
    assert left(target) == ["file.bin"]


def test_a_file_that_is_here_is_not_fetched_again(server, target):
    files.download([server.url], SHA256, target)
    files.download([server.url], SHA256, target)
    assert len(server.requests) == 1


def test_a_broken_download_goes_on_where_it_stopped(server, target):
    server.break_after = 300_000
    with pytest.raises(files.DataNotFound, match="GANEDU_DATA.*ganedu data get toy"):
        files.download([server.url], SHA256, target)
    assert left(target) == ["file.bin.part"]
    have = (target.parent / "file.bin.part").stat().st_size
    assert 200_000 < have <= 300_000

    server.break_after = None
    files.download([server.url], SHA256, target)
    assert server.requests == [None, f"bytes={have}-"]
    assert target.read_bytes() == BODY
    assert left(target) == ["file.bin"]


def test_a_server_that_knows_no_ranges_is_asked_for_everything(server, target):
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(BODY[:1000])
    server.ranges = False
    files.download([server.url], SHA256, target)
    assert target.read_bytes() == BODY


def test_a_part_that_was_whole_already_is_only_checked(server, target):
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(BODY)
    files.download([server.url], SHA256, target)
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("start", [b"", b"\xff" * 1000], ids=["wrong file", "wrong part"])
def test_a_wrong_checksum_is_said_and_nothing_is_kept(server, target, start):
    server.body = BODY if start else BODY[:-1] + b"x"
    target.parent.mkdir()
    if start:
        (target.parent / "file.bin.part").write_bytes(start)
    with pytest.raises(ValueError, match=f"(?s)file.bin.*{SHA256}.*[Dd]eleted"):
        files.download([server.url], SHA256, target)
    assert left(target) == []

    server.body = BODY
    assert files.download([server.url], SHA256, target).read_bytes() == BODY


def test_a_damaged_file_in_the_cache_is_replaced(server, target):
    target.parent.mkdir()
    target.write_bytes(b"damaged")
    assert files.download([server.url], SHA256, target).read_bytes() == BODY


def test_the_second_mirror_is_asked_where_the_first_is_down(server, target):
    nobody = "http://127.0.0.1:9/file.bin"
    assert files.download([nobody, server.url], SHA256, target).read_bytes() == BODY


def test_no_network_names_the_variable_and_the_command(target, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(files.DataNotFound) as error:
        files.download(["http://127.0.0.1:9/file.bin"], SHA256, target)
    for word in ("file.bin", "GANEDU_DATA", "ganedu data get toy", "127.0.0.1:9"):
        assert word in str(error.value)
    assert left(target) == []


def test_the_named_folder_comes_before_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GANEDU_DATA", str(tmp_path / "named"))
    cached, named = tmp_path / "cache" / "ganedu" / "data" / "toy", tmp_path / "named" / "toy"
    assert files.find("toy", ["a", "b"]) is None
    for folder in (cached, named):
        folder.mkdir(parents=True)
        (folder / "a").touch()
    (cached / "b").touch()
    assert files.find("toy", ["a", "b"]) == cached, "half a data set is none"
    (named / "b").touch()
    assert files.find("toy", ["a", "b"]) == named
