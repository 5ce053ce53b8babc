"""`python pick.py` as a user starts it."""

import json
import re
import shutil
import signal
import time
import urllib.request
from contextlib import contextmanager

import pytest

from src.cli import compose_config
from src.clicks import Click, Side, append_click, read_clicks
from src.errors import UserError
from src.picking import main as pick
from src.sweep import main as sweep

from ..scripts import begin, signalled, start
from .test_server import as_page

pytestmark = pytest.mark.script


class Served:
    """The server of another process, as `as_page` asks it."""

    def __init__(self, address):
        self.origin, self.secret = re.fullmatch(r"(http://127\.0\.0\.1:\d+)/(.+)/", address).groups()
        self.server_port = int(self.origin.rpartition(":")[2])


@pytest.fixture
def run(swept, tmp_path):
    ignored = shutil.ignore_patterns("clicks.jsonl")
    return shutil.copytree(swept.parents[1], tmp_path / "runs" / "mine", ignore=ignored)


@contextmanager
def served(folder):
    """The page of a started pick.py, and its process, which is ended in any case."""
    process = begin("pick.py", "run=mine", "who=anna", "open=false", cwd=folder)
    try:
        while not (found := re.search(r"^page +(http\S+)\n", process.printed(), re.MULTILINE)):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        assert urllib.request.urlopen(found[1], timeout=10).status == 200
        yield Served(found[1]), process
    finally:
        if process.poll() is None:
            process.kill()


def test_a_page_is_served_until_it_is_closed_and_the_next_sitting_goes_on(run, tmp_path):
    for before in (0, 1):
        with served(tmp_path) as (page, process):
            state = as_page(page, "state")[1]
            assert state["count"] == before
            assert as_page(page, "click", question=state["question"], answer="right")[1]["count"] == before + 1
            assert as_page(page, "done") == (200, {})
            out, err = process.communicate(60)
        assert process.returncode == 0, err
        assert f"{before + 1} of 40 clicks: the same command goes on" in out
    assert [click.who for click in read_clicks(run / "sweeps" / "s" / "clicks.jsonl")] == ["anna", "anna"]


def test_ctrl_c_ends_it_with_what_was_clicked(run, tmp_path):
    with served(tmp_path) as (page, process):
        as_page(page, "click", question=0, answer="left")
        _, err = signalled(process, signal.SIGINT, lambda: True)
    assert process.returncode == 130 and err == "stopped\n"
    assert len(read_clicks(run / "sweeps" / "s" / "clicks.jsonl")) == 1


def test_mistakes_are_one_line(run, tmp_path, monkeypatch):
    clicks = tmp_path / "few.jsonl"
    left, right = (read_side(run, i) for i in (0, 1))
    append_click(clicks, Click(left, right, "left", "anna"))
    for arguments, words in (
        (["pick.py", "run=mine", "sweep=none"], "sweep=none: mine has s"),
        (["sweep.py", "run=mine", f"clicks={clicks}"], "few.jsonl: 1 clicks do not tell alpha, 40 are needed"),
    ):
        done = start(*arguments, cwd=tmp_path)
        assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr
    monkeypatch.chdir(tmp_path)
    for main, name, options, words in (  # what a script prints after `error: `
        (pick, "pick", ["run=other"], "^run=other: neither a run"),
        (sweep, "sweep", ["run=mine", f"clicks={clicks}", "alpha=0.4"], "^alpha=0.4: has no effect with clicks="),
        (sweep, "sweep", ["run=mine", "clicks=none.jsonl"], "^none.jsonl: cannot be read"),
    ):
        with pytest.raises(UserError, match=words) as error:
            main(compose_config(name, options))
        assert "\n" not in str(error.value)


def read_side(run, number):
    row = json.loads((run / "sweeps/s/cells.jsonl").read_text().splitlines()[number])
    return Side(row["label"], row["key"], {"s": row["s"], "r": row["r"]})
