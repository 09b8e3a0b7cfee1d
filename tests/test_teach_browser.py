"""Teaching in the page, by mouse, finger and keyboard, in a browser off the net."""

import re

import pytest
import torch
from playwright.sync_api import expect
from teach_lessons import compare_lessons, drawings, hands, lessons
from test_widgets_browser import (
    PHONE,
    PIXELS,
    axe_findings,
    bare_controls,
    small_targets,
    sticking_out,
    wait_for_words,
)
from widget_page import html, run_in_page

from srwm_lite.widgets import TeachMe
from srwm_lite.widgets.teach_lesson import learn

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def widget():
    return TeachMe()


@pytest.fixture(scope="module")
def bare():
    return TeachMe(drawn=False)


@pytest.fixture
def show(watched, tmp_path):
    """Return a function that opens widgets from the disk."""

    def open_page(*widgets, theme=None, **options):
        path = tmp_path / "page.html"
        path.write_text(html(*widgets, theme=theme), encoding="utf-8")
        return watched(**options).open(path.as_uri())

    return open_page


def card(page, name):
    return page.get_by_role("region", name=name, exact=True)


def sheet(page, name):
    return card(page, name).locator(".fw-sheet")


def push(page, name):
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")


def strokes(page, name):
    """Return what is said to stand on a sheet."""
    return sheet(page, name).get_attribute("aria-label").split(": ")[1]


def bars(page):
    """Return the chance of every label, in percent."""
    said = page.locator(".fw-answers .fw-chance").all_inner_texts()
    return [int(text.removesuffix(" %")) for text in said]


def result(page):
    return page.locator(".fw-result").inner_text()


def says(page):
    return page.locator(".fw-says").inner_text()


def heads(page):
    return page.locator(".fw-heads").get_attribute("aria-label")


def drag(page, name, *points):
    """Draw a stroke with the mouse; points in shares of the sheet."""
    box = sheet(page, name).bounding_box()
    corner, side = (box["x"], box["y"]), box["width"]
    at = [[low + x * side for low, x in zip(corner, p, strict=True)] for p in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for x, y in at[1:]:
        page.mouse.move(x, y, steps=4)
    page.mouse.up()


LINES = {
    "Picture 1": [(0.5, 0.1), (0.5, 0.9)],
    "Picture 2": [(0.1, 0.5), (0.9, 0.5)],
    "Picture 3": [(0.2, 0.1), (0.2, 0.8), (0.8, 0.8)],
    "Picture 4": [(0.1, 0.9), (0.5, 0.1), (0.9, 0.9), (0.1, 0.9)],
    "Picture 5": [(0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8)],
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_teaching_is_accessible(show, widget, theme):
    page = show(widget, theme=theme)
    assert axe_findings(page) == []
    assert sticking_out(page) == []
    assert bare_controls(page) == 0


def test_teaching_fits_a_phone_and_a_finger(show, bare):
    page = show(bare, viewport=PHONE, has_touch=True, reduced_motion="reduce")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert small_targets(page) == []
    assert sticking_out(page) == []
    # First the tap: after a quick stroke a browser may take it for the end of a fling.
    page.get_by_role("button", name="Draw one, Picture 2").tap()
    drawn = re.compile(r": [2-4] strokes$")
    expect(sheet(page, "Picture 2")).to_have_attribute("aria-label", drawn)
    paper = sheet(page, "Picture 1")
    paper.scroll_into_view_if_needed()
    box, scrolled = paper.bounding_box(), page.evaluate("window.scrollY")
    touch = page.context.new_cdp_session(page)
    places = [(box["x"] + 30 + 9 * n, box["y"] + 40 + 5 * n) for n in range(6)]
    for n, (x, y) in enumerate(places):
        kind = "touchMove" if n else "touchStart"
        point = {"type": kind, "touchPoints": [{"x": x, "y": y}]}
        touch.send("Input.dispatchTouchEvent", point)
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(paper).to_have_attribute("aria-label", re.compile(": 1 stroke$"))
    assert page.evaluate("window.scrollY") == scrolled


def test_a_lesson_drawn_by_mouse(show, bare):
    page = show(bare)
    assert result(page) == "Draw five characters, then a sixth as the query."
    for name, points in LINES.items():
        drag(page, name, *points)
    assert page.locator(".fw-step").inner_text().startswith("Step 5 of 6: picture 5, 5")
    assert result(page).startswith("Draw the query")
    assert bars(page) == [20] * 5
    drag(page, "Query", (0.15, 0.8), (0.5, 0.2), (0.85, 0.85), (0.15, 0.85))
    assert sum(bars(page)) == pytest.approx(100, abs=3)
    said = re.fullmatch(
        r"The matrix says: (\d), (\d+) %; with writes off, \1 gets \d+ %\.",
        result(page),
    )
    assert says(page) == said[1]
    assert bars(page)[int(said[1]) - 1] == max(bars(page)) == int(said[2])
    wait_for_words(page, result(page))
    took = float(page.locator(".fw-teach").get_attribute("data-milliseconds"))
    print(f"one prediction took {took:.1f} ms")
    assert 0 < took < 1000


def test_the_answer_forms_while_the_query_is_drawn(show, widget):
    page = show(widget)
    push(page, "Clear, Query")
    box = sheet(page, "Query").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    seen = []
    for x, y in [(60, 30), (20, 70), (70, 80)]:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
        seen.append(page.locator(".fw-seen").nth(5).evaluate(PIXELS))
        assert result(page).startswith("The matrix says")
    page.mouse.up()
    assert len(set(seen)) == 3


def test_drawing_by_keyboard(show, bare):
    page = show(bare)
    press = page.keyboard.press
    sheet(page, "Picture 1").focus()
    press("ArrowUp")
    assert strokes(page, "Picture 1") == "empty"
    press("Space")
    wait_words = card(page, "Picture 1").locator("[role=status]")
    for key in ("ArrowDown", "ArrowDown", "Shift+ArrowRight"):
        press(key)
    page.wait_for_function(
        "node => node.textContent === 'Pen down, 52 across, 55 down.'",
        arg=wait_words.element_handle(),
    )
    press("Space")
    press("ArrowRight")
    press("Space")
    press("ArrowLeft")
    press("Space")
    assert strokes(page, "Picture 1") == "2 strokes"
    press("Backspace")
    assert strokes(page, "Picture 1") == "1 stroke"
    press("Delete")
    assert strokes(page, "Picture 1") == "empty"
    push(page, "Undo, Picture 1")
    assert strokes(page, "Picture 1") == "1 stroke"
    assert page.locator(".fw-step").inner_text().endswith("picture 1, 1, is read")


def test_labels_are_what_the_reader_says(show, widget):
    page = show(widget)
    said = int(widget._lesson.chances[-1].argmax()) + 1
    assert says(page) == str(said)
    name = page.get_by_label(f"Label of picture {said}", exact=True)
    name.fill("mountain")
    assert says(page) == "mountain"
    assert page.locator("[data-first] .fw-word").inner_text() == "mountain"
    name.fill("")
    assert says(page) == str(said)


def test_shuffled_labels_are_learned_anew(show, widget):
    page = show(widget)
    push(page, "Shuffle the labels")
    names = page.locator("input.fw-name")
    mixed = [name.input_value() for name in names.all()]
    assert sorted(mixed) == ["1", "2", "3", "4", "5"]
    assert all(a != b for a, b in zip(mixed, "12345", strict=True))
    labels = torch.tensor([int(name) - 1 for name in mixed])
    chances = learn(widget._net, widget._pictures, labels).chances[-1]
    assert bars(page) == pytest.approx((100 * chances).tolist(), abs=0.6)
    wait_for_words(page, "The labels are shuffled. The matrix says")


def test_without_writes_nothing_is_learned(show, widget):
    page = show(widget)
    learned, moved = bars(page), heads(page)
    assert "The matrix has moved by" in moved
    off = page.get_by_label("Writes off")
    off.focus()
    page.keyboard.press("Space")
    still = bars(page)
    assert still != learned
    assert "The matrix is as it started." in heads(page)
    assert "Over many lessons that is right by chance, in 20 %" in result(page)
    wait_for_words(page, "Writes are off")
    push(page, "Shuffle the labels")
    assert bars(page) == still
    page.get_by_role("slider").fill("0")
    off.uncheck()
    assert bars(page) == still
    page.get_by_role("slider").fill("6")
    assert bars(page) != still


def test_every_step_is_a_state_of_the_matrix(show, widget):
    page = show(widget, reduced_motion="reduce")
    slider, step = page.get_by_role("slider"), page.locator(".fw-step")
    pictures, texts = [], []
    for n in range(7):
        slider.fill(str(n))
        pictures.append(page.locator(".fw-heads").evaluate(PIXELS))
        texts.append(step.inner_text())
    assert len(set(pictures)) == 7
    assert texts[0] == "Start: nothing is read"
    assert texts[2] == "Step 2 of 6: picture 2, 2, is read"
    assert texts[6] == "Step 6 of 6: the query is read"
    slider.fill("2")
    assert result(page).startswith("After 2 of 5 pictures the matrix says")
    for name in ("what this step wrote", "the matrix itself"):
        page.get_by_label("Show", exact=True).select_option(label=name)
        pictures.append(page.locator(".fw-heads").evaluate(PIXELS))
    page.get_by_label("Layer", exact=True).select_option("2")
    pictures.append(page.locator(".fw-heads").evaluate(PIXELS))
    assert len(set(pictures)) == 10


def test_other_hands_draw_all_of_a_lesson(show, bare):
    page = show(bare)
    ask = page.get_by_role("button", name="Another hand")
    assert ask.is_disabled()
    push(page, "Five new characters")
    first = [sheet(page, name).evaluate(PIXELS) for name in LINES]
    assert len(set(first)) == 5
    assert re.search(r"(Right|Wrong: another hand drew \d)\.$", result(page))
    before = sheet(page, "Query").evaluate(PIXELS)
    push(page, "Another hand")
    assert sheet(page, "Query").evaluate(PIXELS) != before
    push(page, "Draw one, Picture 3")
    again = [sheet(page, name).evaluate(PIXELS) for name in LINES]
    assert [a == b for a, b in zip(first, again, strict=True)] == [1, 1, 0, 1, 1]
    push(page, "Ask 50 times")
    score = page.locator(".fw-score")
    text = r"Of 50 drawings by other hands it names \d+ right; with writes off \d+, "
    assert re.match(text, score.inner_text())
    wait_for_words(page, score.inner_text())
    push(page, "Clear all")
    assert not score.is_visible()
    assert strokes(page, "Picture 1") == strokes(page, "Query") == "empty"


def test_pictures_follow_the_theme(show, widget):
    page = show(widget, theme="light")
    paper = sheet(page, "Query")
    light = paper.evaluate(PIXELS)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function("document.querySelector('.fw').hasAttribute('data-dark')")
    assert paper.evaluate(PIXELS) != light


def test_browser_computes_what_python_computes(show, widget, tmp_path):
    page = show(widget)
    inputs, nets = lessons(tmp_path)
    asked = {"drawings": drawings()[0], "hands": hands()[0], "seeds": [], "lists": []}
    answers = run_in_page(page, widget, "teach.mjs", {"lessons": inputs, **asked})
    compare_lessons(answers["lessons"], nets, torch.float32, 1e-5)
    compare_lessons(answers["lessons"], nets, torch.float64, 1e-11)
    found = torch.tensor(answers["drawings"], dtype=torch.float64)
    torch.testing.assert_close(found, drawings()[1], rtol=0, atol=1e-12)
