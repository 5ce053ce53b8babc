"""The weights folder: files put there by hand, remembered checksums, mirrors, descriptions that cannot be."""

import errno
import json

import pytest

from src.errors import UserError
from src.fetch import RemoteFile, WeightsFolder
from tests.fetch.fetching import DATA, NAME, OTHER, SHA, names
from tests.fetch.server import file


def test_a_file_put_there_by_hand_is_used_without_network(folder, fetch):
    folder.mkdir()
    (folder / NAME).write_bytes(DATA)
    assert fetch("http://127.0.0.1:9/x", sha256=SHA[:10], size=len(DATA)) == folder / NAME
    assert json.loads((folder / "checksums.json").read_text())[NAME]["source"] == "placed by hand"


@pytest.mark.parametrize(
    ("content", "facts", "words"),
    [
        (OTHER, {"sha256": SHA}, "its sha256 is"),
        (DATA[:1000], {"size": len(DATA)}, "it has 1000 bytes, not 300000"),
        (b"<!doctype html><p>quota", {}, "is a web page"),
    ],
)
def test_a_wrong_file_put_there_by_hand_is_refused_and_kept(folder, content, facts, words, refusal):
    folder.mkdir()
    (folder / NAME).write_bytes(content)
    assert words in refusal("http://127.0.0.1:9/x", **facts)
    assert (folder / NAME).read_bytes() == content


def test_a_checked_file_is_not_read_again(server, folder, monkeypatch, fetch, refusal):
    path = fetch(server.serve("/a", file(DATA)))
    monkeypatch.setattr("src.fetch.checksums.file_sha256", lambda path: pytest.fail("read again"))
    assert fetch(sha256=SHA) == path
    assert "is not the published file" in refusal(sha256="0" * 64)  # published later, and another one


def test_a_changed_file_is_reported(server, folder, fetch, refusal):
    url = server.serve("/a", file(DATA))
    path = fetch(url)
    path.touch()
    assert fetch(url) == path
    path.write_bytes(OTHER)
    message = refusal(url)
    assert "has changed" in message and SHA in message and url in message
    path.unlink()
    server.serve("/a", file(OTHER))
    assert f"{SHA} was recorded at the first fetch" in refusal(url)
    server.serve("/a", file(DATA))
    assert fetch(url).read_bytes() == DATA


@pytest.mark.parametrize("content", ["{", "[]", '{"net.pkl": 3}', '{"net.pkl": {"sha256": 1}}'])
def test_damaged_records_are_named(server, folder, content, refusal):
    folder.mkdir()
    (folder / "checksums.json").write_text(content)
    assert "checksums.json is damaged" in refusal(server.serve("/a", file(DATA)))
    assert server.asked == []


def test_a_mirror_comes_first(server, folder, tmp_path, fetch):
    url = server.serve("/a", file(OTHER))
    server.serve("/mirror/net.pkl", file(DATA))
    remote = RemoteFile(NAME, (url,), "CC0")
    assert WeightsFolder(folder, f"{server.base}/mirror/").fetch(remote).read_bytes() == DATA
    assert server.ranges("/a") == []
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / NAME).write_bytes(DATA)
    for i, mirror in enumerate((str(shelf), shelf.as_uri(), f"file:{shelf}")):
        assert WeightsFolder(tmp_path / f"w{i}", mirror).fetch(remote).read_bytes() == DATA
    (shelf / NAME).write_bytes(DATA[:9])
    checked = RemoteFile(NAME, (server.serve("/b", file(DATA)),), "CC0", sha256=SHA)
    assert WeightsFolder(tmp_path / "w4", str(shelf)).fetch(checked).read_bytes() == DATA
    (shelf / NAME).unlink()
    assert WeightsFolder(tmp_path / "w5", str(shelf)).fetch(remote).read_bytes() == OTHER


def test_file_addresses_are_opened_and_others_refused(tmp_path, fetch):
    (tmp_path / "there").write_bytes(DATA)
    assert fetch((tmp_path / "there").as_uri()).read_bytes() == DATA
    for url in ("ftp://host/net.pkl", "data:,x", "net.pkl", "file://host/net.pkl", "http://[::1/net.pkl"):
        with pytest.raises(UserError, match=r"urls=.*(only http, https, file URLs|not a URL)|of this machine"):
            WeightsFolder(tmp_path).fetch(RemoteFile("other.pkl", (url,), "CC0"))
    for mirror in ("ftp://host", "s3://bucket", "file://host/x"):
        with pytest.raises(UserError, match=r"mirror=.*only http, https, file URLs|of this machine"):
            WeightsFolder(mirror=mirror)


@pytest.mark.parametrize(
    "facts",
    [
        {"name": "a/b"},
        {"name": ".."},
        {"name": ""},
        {"licence": ""},
        {"size": 0},
        {"size": True},
        {"sha256": "abc"},
        {"sha256": SHA.upper()},
        {"sha256": SHA + "0"},
    ],
)
def test_impossible_descriptions_are_refused(facts):
    with pytest.raises(UserError, match=r"^(name|licence|size|sha256)=.*: give "):
        RemoteFile(**{"name": NAME, "urls": (), "licence": "CC0", **facts})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"folder": ""}, "^folder=: give a path"),
        ({"folder": 3}, "^folder=3"),
        ({"mirror": 3}, "^mirror=3: give a text"),
    ],
)
def test_impossible_settings_are_named(options, words):
    with pytest.raises(UserError, match=words):
        WeightsFolder(**options)


def test_a_folder_that_cannot_be_written_still_serves_its_files(folder, monkeypatch, fetch, refusal):
    folder.mkdir()
    (folder / NAME).write_bytes(DATA)

    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("src.lock.FileLock.acquire", refuse)
    assert fetch(sha256=SHA) == folder / NAME
    assert names(folder) == [NAME]
    (folder / NAME).unlink()
    assert "permission denied" in refusal("http://127.0.0.1:9/x")
