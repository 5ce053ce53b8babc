"""Google Drive, played by a server on this machine: links, the virus page in its three historic forms, refusals."""

import numpy as np
import pytest

from src.fetch import RemoteFile, drive
from tests.fetch.server import file, page, status

DATA = np.random.default_rng(0).bytes(200_000)
ID = "1BUL-RIzXC7Bpnz2cn230CbA4eT7_Etp0"
LINK = f"https://drive.google.com/uc?id={ID}"
FORM = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<p>Google Drive can't scan this file for viruses. <a href="/open?id={id}">net.pkl</a> is too large. <a>Sign in</a></p>
<form id="other" action="/search"><input type="text" name="q"></form>
<form id="download-form" action="{action}" method="get"><input type="submit" value="Download anyway"/>
<input type="hidden" name="id" value="{id}"><input type="hidden" name="export" value="download">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="a&amp;b"></form></body></html>"""


@pytest.fixture(autouse=True)
def place(server, monkeypatch):
    """The server stands where Google's does."""
    monkeypatch.setattr(drive, "DOWNLOAD", f"{server.base}/uc")


@pytest.fixture
def fetch(weights_folder):
    return lambda *urls: weights_folder.fetch(RemoteFile("net.pkl", urls or (LINK,), "CC0"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (LINK, ID),
        (f"https://drive.google.com/open?id={ID}", ID),
        (f"https://drive.google.com/uc?export=download&id={ID}&confirm=t", ID),
        (f"https://drive.google.com/file/d/{ID}/view?usp=sharing", ID),
        (f"https://drive.google.com/file/d/{ID}", ID),
        (f"https://drive.usercontent.google.com/download?id={ID}", ID),
        ("https://drive.google.com/drive/folders/x", None),
        (f"https://example.org/uc?id={ID}", None),
    ],
)
def test_the_file_of_a_link(url, expected):
    assert drive.file_id(url) == expected


def test_a_small_file_comes_at_once(server, fetch):
    server.serve("/uc", file(DATA))
    for link in (LINK, f"https://drive.google.com/open?id={ID}", f"https://drive.google.com/file/d/{ID}/view"):
        fetch(link).unlink()
    assert {path for path, _ in server.asked} == {f"/uc?export=download&id={ID}"}


def test_the_confirmation_form_is_sent(server, fetch):
    server.serve("/uc", page(FORM.format(action=f"{server.base}/download", id=ID)))
    server.serve("/download", file(DATA))
    assert fetch().read_bytes() == DATA
    assert server.asked[-1][0] == f"/download?id={ID}&export=download&confirm=t&uuid=a%26b"


def test_an_interrupted_file_is_confirmed_again_and_continued(server, fetch):
    server.serve("/uc", page(FORM.format(action="/download", id=ID)))
    server.serve("/download", file(DATA, stop=0), file(DATA, stop=70_000), file(DATA))
    assert fetch().read_bytes() == DATA
    assert "bytes=70000-" in server.ranges("/download")


def test_the_older_forms_of_confirmation(server, fetch):
    link = f'<a id="uc-download-link" href="/uc2?export=download&amp;confirm=abcd&amp;id={ID}">Download anyway</a>'
    server.serve("/uc", page(f"<html>{link}</html>"))
    server.serve("/uc2", file(DATA))
    fetch().unlink()
    assert server.asked[-1][0] == f"/uc2?export=download&confirm=abcd&id={ID}"
    cookie = page("<html>can't scan</html>", Set_Cookie="download_warning_13058_x=Zz9; Path=/uc")
    server.serve("/uc", cookie)
    server.serve(f"/uc?export=download&id={ID}&confirm=Zz9", file(DATA))
    assert fetch().read_bytes() == DATA
    assert "download_warning_13058_x=Zz9" in server.asked[-1][1]["Cookie"]


@pytest.mark.parametrize("code", [200, 403, 429])
def test_a_used_up_quota_is_said_and_the_next_address_tried(server, code, fetch, refusal):
    text = "<title>Google Drive - Quota exceeded</title><p>Sorry, too many users have viewed or downloaded this file"
    server.serve("/uc", page(text, code))
    assert f"{LINK} ({drive.QUOTA})" in refusal()
    assert fetch(LINK, server.serve("/copy", file(DATA))).read_bytes() == DATA


def test_the_quota_may_show_after_the_confirmation(server, refusal):
    server.serve("/uc", page(FORM.format(action="/download", id=ID)))
    server.serve("/download", page("<title>Quota exceeded</title>"))
    assert drive.QUOTA in refusal()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page("<title>Google Drive: Sign-in</title><p>You need access"), drive.LOGIN),
        (page("<p>Something else"), drive.OTHER),
        (status(404), "404 Not Found"),
        (page(FORM.format(action="/uc", id=ID)), drive.OTHER),  # asks again and again
    ],
)
def test_other_answers_are_told_apart(server, answer, words, refusal):
    server.serve("/uc", answer)
    assert words in refusal()
    assert len(server.asked) <= drive.MAX_PAGES
