"""The page of a sweep in a browser: one chooses blends, compares their pictures, and gets the commands for them."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from src.tracking import write_sweep_report
from src.tracking.sheets import sheets_within

from ..browser import WIDTHS
from .conftest import jsonl

SHOWN = "cards.filter(c => c.offsetParent).map(c => c.dataset.label)"
OPEN = "document.getElementById('side').open"
COLUMNS = "every('#columns figcaption b').map(e => e.textContent)"


@pytest.fixture(scope="module")
def shades():
    """Of the networks' pictures, by file: each a plain grey with one brighter face, number 6 (from 0)."""
    return {"base": 20, "kimg-1": 60, "kimg-2": 90, "1-8": 120, "1-16": 150, "2-8": 180, "2-16": 210}


@pytest.fixture
def page(run, shades):
    sweep = run / "sweeps" / "s"
    for name, shade in shades.items():
        grey = np.full([256, 256, 3], shade, dtype=np.uint8)
        grey[64:128, 128:192] += 40
        Image.fromarray(grey).save(sweep / f"cells/{name}.jpg", quality=95)
    rows = [json.loads(line) for line in (sweep / "cells.jsonl").read_text().splitlines()]
    for row, s in zip(rows, (0.2, 0.7, 0.9, 0.8), strict=True):
        row |= {"s": s, "r": 1 - s}
    jsonl(sweep / "cells.jsonl", rows)
    return write_sweep_report(sweep)


def test_blends_are_sorted_and_those_that_fail_a_gate_hidden(page, browser):
    browser.open(page, 1280)
    assert browser.evaluate(SHOWN) == ["kimg-1/16", "kimg-1/8"], "by score; 2 kimg fails a gate"
    assert not browser.evaluate("marks.some(m => m.classList.contains('fails') && m.getClientRects().length)")
    browser.point("#passing", click=True)
    orders = {}
    for key in ("kimg", "s", "r"):
        browser.evaluate(f"$('sort').value = '{key}', $('sort').dispatchEvent(new Event('change'))")
        orders[key] = browser.evaluate(SHOWN)
    assert orders["kimg"] == ["kimg-1/16", "kimg-1/8", "kimg-2/16", "kimg-2/8"]
    assert orders["s"] == ["kimg-2/8", "kimg-2/16", "kimg-1/16", "kimg-1/8"] and orders["r"] == orders["s"][::-1]


@pytest.mark.parametrize("width", WIDTHS)
def test_chosen_blends_stand_beside_what_they_are_made_of(page, browser, width):
    browser.open(page, width)
    browser.point("[data-label='kimg-1/8'] img", click=True)
    browser.point("#compare", click=True)
    assert browser.evaluate(COLUMNS) == ["original network", "1 kimg at 8 px", "fine-tuned, 1 kimg"]
    boxes = browser.evaluate("every('#columns .view').map(e => e.getBoundingClientRect().toJSON())")
    assert boxes[0]["top"] == boxes[1]["top"] and boxes[0]["width"] == pytest.approx(boxes[2]["width"], abs=1)
    commands = browser.evaluate("every('.command').map(e => e.textContent)")
    which = "snapshot=1 blend.res=8 blend.direction=cartoon_low blend.level=0"
    assert [command.split()[1] for command in commands] == ["generate.py", "caricature.py"]
    assert all(command.endswith(which) for command in commands) and "photos=FOLDER" in commands[1]
    assert browser.cut_off(width) == []


def test_keys_choose_compare_and_turn_to_a_face(page, browser, shades):
    browser.open(page, 1280)
    browser.evaluate("box(cards[0]).focus()")
    browser.press(" ")
    browser.press("ArrowRight")
    browser.press(" ")
    assert browser.evaluate("picked().map(c => c.dataset.label)") == ["kimg-1/16", "kimg-1/8"]
    browser.press("c")
    assert browser.evaluate(OPEN) and browser.evaluate(COLUMNS)[1:3] == ["1 kimg at 16 px", "1 kimg at 8 px"]
    for _ in range(7):
        browser.press("ArrowRight")
    assert browser.evaluate("$('which').textContent") == "face 7 of 16"
    picture = Image.open(io.BytesIO(base64.b64decode(browser._ask("Page.captureScreenshot")["data"]))).convert("L")
    for i, name in enumerate(("base", "1-16", "1-8", "kimg-1")):
        box = browser.evaluate(f"every('.view')[{i}].getBoundingClientRect().toJSON()")
        at = (box["left"] + box["width"] / 2, box["top"] + box["height"] / 2)
        assert picture.getpixel(at) == pytest.approx(shades[name] + 40, abs=6), "the same face of each network"
    browser.press("a")
    assert browser.evaluate("$('which').textContent") == "all sixteen"
    browser.press("Escape")
    assert not browser.evaluate(OPEN)


def test_marks_show_the_picture_under_the_mouse_and_choose_it(page, browser):
    browser.open(page, 1280)
    dot = "svg a[href='#cell-kimg-1-8'] circle"
    browser.point(dot)
    assert browser.evaluate("!peek.hidden && peek.querySelector('img').src == picture(byId['cell-kimg-1-8'])")
    assert "S 0.20, R 0.80" in browser.evaluate("peek.textContent")
    browser.point(dot, click=True)
    assert browser.evaluate("picked().map(c => c.id)") == ["cell-kimg-1-8"]
    browser.point("h1")
    assert browser.evaluate("peek.hidden")
    browser.point("#clear", click=True)
    assert browser.evaluate("picked().length == 0 && $('tray').hidden")


def test_a_link_to_a_hidden_blend_shows_it(page, browser):
    browser.open(f"{page.as_uri()}#cell-kimg-2-8", 1280)
    assert "kimg-2/8" in browser.evaluate(SHOWN) and browser.evaluate("picked()[0].id") == "cell-kimg-2-8"


def test_a_hundred_blends_open_at_once(run, browser):
    sweep = run / "sweeps" / "s"
    (row, *_) = [json.loads(line) for line in (sweep / "cells.jsonl").read_text().splitlines()]
    names = [(kimg, r) for kimg in range(1, 21) for r in (8, 16, 32, 64, 128)]
    jsonl(sweep / "cells.jsonl", [{**row, "label": f"kimg-{k}/{r}", "kimg": k, "resolution": r} for k, r in names])
    page = write_sweep_report(sweep)
    browser.open(page, 1280)
    assert browser.evaluate("cards.length") == 100 and browser.evaluate("performance.now()") < 2000
    assert browser.cut_off(1280) == []


def test_pictures_stay_within_the_pages_budget_and_one_size(tmp_path):
    paths = {}
    for i in range(12):  # noise: what compresses least
        noise = np.random.default_rng(i).integers(0, 255, [160, 160, 3], dtype=np.uint8)
        Image.fromarray(noise).save(path := tmp_path / f"{i}.jpg", quality=95)
        paths[str(i)] = path
    free = sheets_within({**paths, "missing": tmp_path / "none.jpg"}, 10**9)
    budget = sum(map(len, free.values())) // 3
    found = sheets_within(paths, budget)
    assert found.keys() == free.keys() == paths.keys() and budget / 2 < sum(map(len, found.values())) <= budget
    sizes = {Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))).size for text in found.values()}
    assert len(sizes) == 1 and sizes < {(width, width) for width in range(60, 160)}
