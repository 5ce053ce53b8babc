"""Nobody but the page itself reads or answers: other users of the machine, other pages, other names of this address."""

import http.client
import json

import pytest

from src.clicks import read_clicks
from src.errors import UserError
from src.picking.run import open_server


def ask(server, method, path, body=b"{}", **headers):
    """A raw request, as any program of this machine may send it: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body if method == "POST" else None)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def as_page(server, asked, /, **given):
    """What the page's own script would get."""
    status, body = ask(server, "POST", f"/{server.secret}/{asked}", json.dumps(given).encode(), Origin=server.origin)
    return status, json.loads(body)


def test_it_listens_on_this_machine_alone(server):
    assert server.server_address[0] == "127.0.0.1" and server.address.startswith("http://127.0.0.1:")


def test_what_a_browser_is_started_with_leads_to_the_page_once(server):
    path = server.entrance.removeprefix(server.origin)
    assert server.secret not in path
    assert [ask(server, "GET", path, Host="elsewhere")[0], *(ask(server, "GET", path)[0] for _ in range(2))] == [
        404,
        303,
        404,
    ]


def test_a_sweep_that_is_made_anew_is_said(server, sitting):
    ranking = sitting.blends.folder / "ranking.json"
    before, answers = ranking.read_text(), []
    found = json.loads(before)
    try:
        for change in ({"alpha": 0.3, "sentence": "by clicks"}, {"protocol": {**found["protocol"], "seed": 1}}):
            ranking.write_text(json.dumps(found | change))
            answers.append(as_page(server, "state"))
    finally:
        ranking.write_text(before)
    assert answers[0][0] == 200, "ranked by the clicks, as the page proposes: the same pictures"
    status, answer = answers[1]
    assert status == 500 and "has been swept again otherwise: start pick.py again" in answer["error"]


@pytest.mark.parametrize(
    "path", ["/", "/state", "/guess/", "/{secret}/../", "/{secret}/../../etc/passwd", "/{secret}/x"]
)
def test_nothing_is_found_without_the_secret_nor_any_file_with_it(server, path):
    path = path.format(secret=server.secret)
    assert ask(server, "GET", path) == (404, b"")
    status, body = ask(server, "POST", path, Origin=server.origin)
    assert status in (400, 404) and b"root:" not in body


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}]
)
def test_another_page_cannot_click(server, sitting, headers):
    body = json.dumps({"question": 0, "answer": "left"}).encode()
    assert ask(server, "POST", f"/{server.secret}/click", body, **headers) == (403, b"")
    assert sitting.clicks() == []


def test_another_name_of_this_address_leads_nowhere(server):
    path = f"/{server.secret}/"
    assert ask(server, "GET", path)[0] == 200
    assert ask(server, "GET", path, Host=f"evil.example:{server.server_port}") == (404, b"")
    name = f"evil.example:{server.server_port}"
    assert ask(server, "POST", path + "state", Host=name, Origin=f"http://{name}") == (404, b"")


@pytest.mark.parametrize(
    ("question", "given"),
    [
        ("click", {}),
        ("click", {"question": 0, "answer": "both"}),
        ("click", {"question": "x", "answer": "left"}),
        ("click", {"question": 0, "answer": ["left"]}),
        ("state", {"filler": "x" * 2000}),
        ("nothing", {}),
    ],
)
def test_what_is_no_question_is_refused_in_a_line(server, sitting, question, given):
    assert as_page(server, question, **given) == (400, {"error": "no such question"})
    assert sitting.clicks() == []


def test_answers_are_taken_down_once_and_taken_back(server, sitting):
    _, state = as_page(server, "state")
    assert (state["count"], state["undo"], len(state["left"]), len(state["original"])) == (0, False, 4, 4)
    status, after = as_page(server, "click", question=state["question"], answer="left")
    assert status == 200 and after["count"] == 1 and after["undo"]
    _, again = as_page(server, "click", question=state["question"], answer="right")  # a double click
    assert again == after
    (click,) = read_clicks(sitting.path)
    assert click.answer == "left" and click.who == "anna" and len(click.codes) == 4 and click.left.kid is not None
    _, back = as_page(server, "undo")
    assert back["count"] == 0 and not back["undo"]
    assert (back["left"], back["right"]) == (state["left"], state["right"]), "the same question again"
    assert read_clicks(sitting.path) == []


def test_a_full_disk_is_said_and_the_question_stays(server, sitting, monkeypatch):
    def full(path, lines):
        raise UserError(f"{path}: cannot be written (No space left on device)")

    _, state = as_page(server, "state")
    with monkeypatch.context() as patch:
        patch.setattr("src.clicks.file.append_lines", full)
        status, said = as_page(server, "click", question=state["question"], answer="left")
        assert status == 500 and "No space left" in said["error"]
    assert as_page(server, "state") == (200, state)


def test_a_port_that_is_taken_is_one_line(server, sitting):
    with pytest.raises(UserError, match=rf"port={server.server_port}: cannot be had"):
        open_server(sitting, server.server_port)
