"""Downloads from servers that misbehave: what arrives is the whole file, or one message that says why not."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from src.errors import UserError
from src.fetch import RemoteFile, WeightsFolder
from src.fetch.web import Failed, Session
from tests.fetch.fetching import DATA, NAME, OTHER, SHA, names
from tests.fetch.server import chunked, file, page, stall, status

ROOT = Path(__file__).resolve().parents[2]


def test_a_file_is_fetched_once_and_recorded(server, folder, fetch):
    url = server.serve("/a", file(DATA))
    path = fetch(url)
    assert path == folder / NAME
    assert path.read_bytes() == DATA
    entry = json.loads((folder / "checksums.json").read_text())[NAME]
    assert (entry["sha256"], entry["size"], entry["source"]) == (SHA, len(DATA), url)
    assert entry["mtime_ns"] == path.stat().st_mtime_ns
    fetch(url)
    assert len(server.asked) == 1
    assert names(folder) == ["checksums.json", NAME]


def test_user_and_password_are_those_of_netrc(server, folder, fetch, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    fetch(server.serve("/a", file(DATA)))
    assert [headers["Authorization"] for _, headers in server.asked] == [requests.auth._basic_auth_str("me", "hunter2")]
    assert "hunter2" not in (folder / "checksums.json").read_text()


@pytest.mark.parametrize("digits", [8, 63, 64])
def test_a_published_checksum_may_be_its_beginning(server, digits, fetch):
    assert fetch(server.serve("/a", file(DATA)), sha256=SHA[:digits]).read_bytes() == DATA


def test_what_was_lost_midway_is_asked_for_alone(server, folder, waits, fetch):
    url = server.serve("/a", file(DATA, stop=100_000), file(DATA, stop=50_000), file(DATA))
    assert fetch(url).read_bytes() == DATA
    assert server.ranges("/a") == [None, "bytes=100000-", "bytes=150000-"]
    assert [headers.get("If-Range") for _, headers in server.asked] == [None, '"1"', '"1"']
    assert waits == [1, 2]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server, folder, fetch, refusal):
    url = server.serve("/a", file(DATA, stop=100_000), status(503))
    message = refusal(url)
    assert "503" in message and "given up after 3 attempts" in message
    assert (folder / f"{NAME}.part").stat().st_size == 100_000
    server.serve("/a", file(DATA))
    server.asked.clear()
    assert fetch(url).read_bytes() == DATA
    assert server.ranges("/a") == ["bytes=100000-"]
    assert names(folder) == ["checksums.json", NAME]


@pytest.fixture
def ctrl_c():
    """Ctrl-C as Python answers it, whatever answered it before."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_keeps_what_was_received(server, folder, fetch, ctrl_c):
    part, ended = folder / f"{NAME}.part", threading.Event()

    def press():
        while not ended.wait(0.01):
            if part.exists() and part.stat().st_size > 110_000:  # the last bytes may wait in the writer's buffer
                os.kill(os.getpid(), signal.SIGINT)
                ended.wait(10)

    url = server.serve("/a", file(DATA, stop=120_000, then=press), file(DATA))
    try:
        with pytest.raises(KeyboardInterrupt):
            fetch(url)
    finally:
        ended.set()
    kept = part.stat().st_size
    assert kept > 110_000
    assert names(folder) == [f"{NAME}.part", f"{NAME}.part.json"]
    assert fetch(url).read_bytes() == DATA
    assert server.ranges("/a") == [None, f"bytes={kept}-"]


@pytest.mark.parametrize(
    "second",
    [
        file(OTHER, etag='"2"'),  # answers 200, as If-Range asks
        file(OTHER, etag='"2"', if_range=False),  # answers 206 of another file
        file(OTHER, ranges=False),  # knows no ranges
        file(OTHER[:200_000], etag='"1"', if_range=False),  # another size under the same name
        file(OTHER[:90_000], etag='"2"', if_range=False),  # so short that there is no rest: 416
    ],
)
def test_two_versions_of_a_file_are_never_joined(server, second, fetch):
    url = server.serve("/a", file(DATA, stop=100_000), second)
    assert fetch(url).read_bytes() in (OTHER, OTHER[:200_000], OTHER[:90_000])


def test_without_a_sign_of_change_it_begins_anew_unless_the_checksum_is_known(server, fetch):
    url = server.serve("/a", file(DATA, etag='W/"1"', stop=100_000), file(DATA, etag=None))
    assert fetch(url).read_bytes() == DATA
    assert server.ranges("/a") == [None, None]


def test_wrongly_joined_parts_are_fetched_anew_where_the_checksum_is_known(server, fetch):
    url = server.serve("/a", file(OTHER, etag=None, stop=100_000), file(DATA, etag=None))
    assert fetch(url, sha256=SHA).read_bytes() == DATA
    assert server.ranges("/a") == [None, "bytes=100000-", None]


@pytest.mark.parametrize("if_range", [True, False])
def test_last_modified_is_a_sign_of_change_too(server, if_range, fetch):
    dates = "Mon, 02 Nov 2020 00:00:00 GMT", "Tue, 03 Nov 2020 00:00:00 GMT"
    first = file(DATA, etag=None, modified=dates[0], stop=100_000)
    url = server.serve("/a", first, file(OTHER, etag=None, modified=dates[1], if_range=if_range))
    assert fetch(url).read_bytes() == OTHER
    assert server.asked[1][1]["If-Range"] == dates[0]


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504, 408])
def test_passing_trouble_is_waited_for(server, code, fetch):
    assert fetch(server.serve("/a", status(code), status(code), file(DATA))).read_bytes() == DATA


def test_the_server_says_how_long_within_reason(server, waits, fetch):
    fetch(server.serve("/a", status(429, Retry_After="7"), status(503, Retry_After="86400"), file(DATA)))
    assert waits == [7, 60]


@pytest.mark.parametrize(
    ("answer", "facts", "reason"),
    [
        (status(404), {}, "404 Not Found"),
        (status(403), {}, "403 Forbidden"),
        (status(500), {}, "500 Internal Server Error; given up after 3 attempts"),
        (status(204), {}, "answered 204"),
        (stall(), {}, "no answer in time; given up after 3 attempts"),
        (file(DATA, length=400_000), {}, "connection lost after 300000 of 400000 bytes"),
        (file(DATA, length=200_000), {"sha256": SHA}, "its sha256 is"),
        (file(DATA), {"size": 299_999}, "has 300000 bytes there, not 299999"),
        (chunked(DATA), {"size": 299_999}, "sends more than the 299999 bytes"),
        (chunked(DATA), {"size": 300_001}, "connection lost after 300000 of 300001 bytes"),
        (chunked(DATA, whole=False), {}, "connection lost"),
        (file(DATA, length=False), {}, "states no length"),
        (file(OTHER), {"sha256": SHA}, f"its sha256 is {hashlib.sha256(OTHER).hexdigest()}, not {SHA}"),
        (page("<p>Moved"), {}, "a web page"),
        (file(b"  \n<!DOCTYPE HTML><p>Moved"), {}, "a web page"),
        (file(b"\xef\xbb\xbf<html>" + DATA), {}, "a web page"),
        (status(200), {}, "sent nothing"),
        (status(302, Location="ftp://127.0.0.1/a"), {}, "redirects to ftp://127.0.0.1/a, which is not opened"),
        (status(302, Location="file:///etc/hostname"), {}, "redirects to file:///etc/hostname, which is not opened"),
        (status(302, Location="/bad"), {}, "redirects without an end"),
    ],
)
def test_what_is_not_the_file_is_refused_and_the_next_address_tried(
    server, folder, answer, facts, reason, fetch, refusal
):
    bad = server.serve("/bad", answer)
    message = refusal(bad, **facts)
    assert f"{bad} (" in message and reason in message
    assert not (folder / NAME).exists()
    assert not (folder / "checksums.json").exists()
    facts = {**facts, "size": None}
    assert fetch(bad, server.serve("/good", file(DATA)), **facts).read_bytes() == DATA
    assert names(folder) == ["checksums.json", NAME]


def test_a_secure_address_does_not_lead_to_an_open_one():
    answer = requests.Response()
    answer.status_code, answer.url, answer.headers["Location"] = 302, "https://host/a", "http://host/b"
    with pytest.raises(Failed, match="redirects to http://host/b, which is not opened"):
        Session().get_redirect_target(answer)
    answer.url, answer.headers["Location"] = "http://host/a", "https://host/b"
    assert Session().get_redirect_target(answer) == "https://host/b"


def test_wrong_bytes_leave_nothing(server, folder, refusal):
    refusal(server.serve("/a", file(OTHER)), sha256=SHA)
    assert names(folder) == []


def test_a_web_page_does_not_cost_the_part_that_is_there(server, folder, fetch, refusal):
    url = server.serve("/a", file(DATA, stop=100_000), page("try later"), file(DATA))
    assert "a web page" in refusal(url)
    assert (folder / f"{NAME}.part").stat().st_size == 100_000
    assert fetch(url).read_bytes() == DATA
    assert server.ranges("/a") == [None, "bytes=100000-", "bytes=100000-"]


def test_chunks_and_endings_by_closing_are_taken_when_they_can_be_checked(server, folder, fetch):
    assert fetch(server.serve("/a", chunked(DATA))).read_bytes() == DATA
    (folder / NAME).unlink()
    assert fetch(server.serve("/b", file(DATA, length=False)), sha256=SHA).read_bytes() == DATA


def test_offline_the_message_says_everything(folder, refusal):
    urls = "http://127.0.0.1:9/x", "https://caricature.invalid/net.pkl"
    message = refusal(*urls)
    assert message.startswith(f"{NAME} could not be fetched: {urls[0]} (connection refused); {urls[1]} (")
    assert f"Put the file (licence: CC0) at {(folder / NAME).resolve()} by hand" in message
    assert "weights.mirror=" in message


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path, refusal):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match=r"set weights\.folder"):
        WeightsFolder(tmp_path / "taken").fetch(RemoteFile(NAME, (server.serve("/a", file(DATA)),), "CC0"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said(server, folder, monkeypatch, refusal):
    url = server.serve("/a", file(DATA))
    with monkeypatch.context() as patch:
        patch.setattr("src.fetch.transfer.Transfer.discard", lambda self: self.path.symlink_to("/dev/full"))
        message = refusal(url)
    assert "the disk is full" in message and "weights.folder" in message
    assert not (folder / NAME).exists()
    (folder / f"{NAME}.part").unlink()
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("src.fetch.transfer.shutil.disk_usage", lambda path: free)
    assert "0 MB are free" in refusal(url)


@pytest.mark.script
def test_two_processes_fetch_a_file_once(server, folder):
    slow = file(DATA, then=lambda: time.sleep(0.8))
    url = server.serve("/a", slow)
    folder.mkdir()
    (folder / f".{NAME}.lock").write_text("left behind by a crash")
    code = (
        "import sys; from src.fetch import RemoteFile, WeightsFolder\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        f"WeightsFolder({str(folder)!r}).fetch(RemoteFile({NAME!r}, ({url!r},), 'CC0'))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, **pipes) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], printed
    assert (folder / NAME).read_bytes() == DATA
    assert len(server.asked) == 1
    assert sorted("another process fetches" in out for out, _ in printed) == [False, True]
    assert names(folder) == ["checksums.json", NAME]


def test_progress_is_said_with_the_licence(server, capsys, fetch):
    url = server.serve("/a", file(DATA, stop=1000), file(DATA))
    fetch(url)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"weights    fetching {NAME} from {url} (licence: CC0)"
    assert "connection lost after 1000 of 300000 bytes: trying again in 1 s" in lines[1]
    assert SHA in lines[2] and "0.3 MB" in lines[2]
