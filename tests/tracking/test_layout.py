"""The reports in a browser, from a phone to a laptop: nothing is cut off, and the width is used."""

import json

import pytest
from PIL import Image

from src.tracking import write_run_report, write_sweep_report

from ..browser import WIDTHS
from .conftest import jsonl


@pytest.fixture
def reports(run):
    """Of a run with long numbers, wide samples, long names and a sheet of two caricatures."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {
            "kid": row["kid"] / 17,
            "kid_error": 0.001234,
            "frechet": 0.4321,
            "memorisation": 1.0321,
            "recall": 0.2512,
        }
        row["past_best"] = True
        Image.new("RGB", (512, 256)).save(run / row["sample"])
    jsonl(run / "metrics.jsonl", rows)
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**facts, "command": "python train.py dataset.path=" + "a" * 200}))
    for name in ("base", "kimg-1", "1-8", "1-16", "2-8", "2-16"):
        Image.new("RGB", (256, 256), "teal").save(run / f"sweeps/s/cells/{name}.jpg")
    sheet = run / "caricatures" / "holiday" / "sheet.jpg"
    sheet.parent.mkdir(parents=True)
    Image.new("RGB", (900, 148)).save(sheet)
    sheet.with_name("report.json").write_text(json.dumps({"faces": [{"name": "anna"}, {"name": "bert"}]}))
    return {"run": write_run_report(run), "sweep": write_sweep_report(run / "sweeps" / "s")}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["run", "sweep"])
def test_nothing_is_cut_off(reports, browser, name, width):
    browser.open(reports[name], width)
    assert browser.cut_off(width) == []


def test_a_badge_stands_at_its_snapshot(reports, browser):
    browser.open(reports["run"], 1280)
    badge, row, panel = (browser.box(s) for s in (".tag.best", "tr:has(.tag.best)", ".panel:has(.tag.best)"))
    assert panel["left"] < badge["left"] and badge["right"] < panel["right"]
    assert row["top"] < badge["top"] and badge["bottom"] < row["bottom"]


def test_a_sweep_of_few_blends_fills_the_page(reports, browser):
    browser.open(reports["sweep"], 1280)
    page = browser.box("h1")
    for last in (".trio figure:last-child", ".row > :last-child", ".tools .keys", "details"):
        assert browser.box(last)["right"] > page["left"] + 0.9 * page["width"], last
    heat, plane = browser.box(".row > :first-child"), browser.box(".row > :nth-child(2)")
    assert heat["top"] == plane["top"] and heat["right"] < plane["left"]


def test_a_phone_shows_what_belongs_together_side_by_side(reports, browser):
    browser.open(reports["sweep"], 390)
    tops = browser.evaluate("[...document.querySelectorAll('.trio img')].map(e => e.getBoundingClientRect().top)")
    assert len(tops) == 3 and len(set(tops)) == 1
    browser.open(reports["run"], 390)
    sheet, window = browser.box(".sheet img"), browser.box(".sheet")
    assert sheet["width"] / 2 == pytest.approx(window["width"], abs=1)  # one face of two, in its three pictures
