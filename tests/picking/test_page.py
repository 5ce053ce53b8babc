"""The page in a browser: keys and clicks are answers, nothing is cut off, and enough of them tell the taste."""

import json

import pytest

from src.clicks import ENOUGH, Side, read_clicks
from src.sweep import recommend_again

from ..browser import WIDTHS
from ..clicks.simulated import Clicker

READY = "state.question !== undefined && !busy"


def counted(browser, count):
    return browser.wait_for(f"!busy && state.count == {count} && document.getElementById('count').textContent") == str(
        count
    )


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_off_and_both_sides_stand_side_by_side(server, browser, width):
    browser.open(server.address, width)
    browser.wait_for(READY)
    assert browser.cut_off(width) == []
    left, right = (browser.box(f".side[data-answer={name}]") for name in ("left", "right"))
    assert left["top"] == right["top"] and left["width"] == right["width"] and left["right"] <= right["left"]
    assert browser.evaluate("document.querySelectorAll('.side img').length") == 8
    assert right["bottom"] <= 800 or width != 1280, "on a laptop the question is seen without scrolling"


def test_keys_and_mouse_answer_and_undo(server, sitting, browser):
    browser.open(server.address, 1280)
    browser.wait_for(READY)
    answers = {"1": "left", "2": "right", "3": "equal", "ArrowRight": "right"}
    for count, key in enumerate(answers, 1):
        browser.press(key)
        assert counted(browser, count)
    browser.press("u")
    assert counted(browser, 3)
    browser.point(".side[data-answer=left]", click=True)
    assert counted(browser, 4)
    browser.point("#undo", click=True)
    assert counted(browser, 3)
    assert [click.answer for click in read_clicks(sitting.path)] == ["left", "right", "equal"]
    assert browser.evaluate("document.getElementById('see').disabled")


def test_forty_clicks_give_a_taste_and_its_recommendation(server, sitting, browser):
    person = Clicker(0.3, 0.03, 0)
    sides = {side.key: side for side in sitting.blends.sides}
    for _ in range(ENOUGH - 1):
        question = sitting._question
        sitting.answer(question.number, person.answer(sides[question.left.key], sides[question.right.key]))
    browser.open(server.address, 1000)
    browser.wait_for(READY)
    browser.press("3")
    shown = browser.wait_for("!busy && !document.getElementById('result').hidden && document.body.innerText")
    result = sitting.result()
    assert abs(result["alpha"] - 0.3) <= 0.1 and result["sentence"] in shown
    assert result["recommendation"] == recommend_again(sitting.blends.folder, result["alpha"])["sentence"]
    assert result["recommendation"] in shown and f"clicks={sitting.path}" in shown
    assert browser.cut_off(1000) == []
    browser.point("#more", click=True)
    browser.press("1")
    assert counted(browser, ENOUGH + 1)


def test_closing_the_page_ends_the_program(server, sitting, browser):
    browser.open(server.address, 768)
    browser.wait_for(READY)
    browser.evaluate(
        "window.asked = 0; window.theirs = fetch; fetch = (...all) => { asked++; return theirs(...all) }; 0"
    )
    browser.point("#done", click=True)
    browser.wait_for("!document.getElementById('closed').hidden")
    server.thread.join(60)
    assert not server.thread.is_alive()
    browser.press("1")
    assert browser.evaluate("asked") == 1, "a key asks nothing any more"
    assert sitting.clicks() == []


def test_a_persons_clicks_are_her_own(sitting):
    side = Side("x", "y", {"s": 0.5, "r": 0.5})
    row = {"left": vars(side), "right": vars(side), "answer": "left", "who": "bert", "codes": [], "id": "1", "time": ""}
    sitting.path.write_text(json.dumps(row) + "\n")
    assert sitting.state()["count"] == 0 and len(read_clicks(sitting.path)) == 1
