"""The program stepper, driven by keyboard in a browser off the net."""

import pytest
import torch
from test_program_stepper import TASK, stepper
from test_widgets_browser import (
    PHONE,
    PIXELS,
    axe_findings,
    bare_controls,
    small_targets,
    sticking_out,
    wait_for_words,
)
from widget_page import html

from srwm_lite.delta_rnn import DeltaRNN
from srwm_lite.delta_rule import DeltaNet

pytestmark = pytest.mark.browser

LONG = TASK.sample(1, torch.Generator().manual_seed(4))[0][0]


@pytest.fixture(scope="module")
def steppers():
    return {
        "plain": stepper(),
        "switched": stepper(program=LONG, recurrence_off=True),
        "two": stepper(DeltaRNN, step=4),
        "one switch": stepper(DeltaNet, step=0),
    }


@pytest.fixture
def show(watched, tmp_path):
    """Return a function that opens widgets from the disk."""

    def open_page(*widgets, theme=None, **options):
        path = tmp_path / "page.html"
        path.write_text(html(*widgets, theme=theme), encoding="utf-8")
        return watched(**options).open(path.as_uri())

    return open_page


def answer(widget, run, print_):
    """Return what a run answers to a print, as the page writes it."""
    one = widget._runs[run]
    word = TASK.answers.words[int(one.chances[print_].argmax())]
    return word.replace("-", "−"), one.right[print_]


def said(cell):
    """Return what is heard in a cell of the table."""
    return cell.locator(".fw-heard").inner_text().replace("nothing", "_")


def count(page, selector):
    return page.locator(selector).locator("visible=true").count()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_stepper_is_accessible(show, steppers, theme):
    page = show(*steppers.values(), theme=theme)
    assert axe_findings(page) == []
    assert sticking_out(page) == []
    assert bare_controls(page) == 0


def test_stepper_fits_a_phone(show, steppers):
    page = show(*steppers.values(), viewport=PHONE, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert small_targets(page) == []
    assert sticking_out(page) == []
    source = "x => x.scrollWidth - x.clientWidth"
    boxes = page.locator(".fw-source").all()
    assert [box.evaluate(source) for box in boxes] == [0] * 4
    page.get_by_role("button", name="One token back").first.tap()
    assert page.locator(".fw-step").first.inner_text().startswith("Token 29 of 30")


def test_every_control_of_the_clock_by_keyboard(show, steppers):
    page = show(steppers["plain"])
    step, press = page.locator(".fw-step"), page.keyboard.press

    def push(name):
        page.get_by_role("button", name=name).focus()
        press("Enter")

    assert step.inner_text() == "Token 30 of 30 · line 6, its end · prints −1"
    assert page.get_by_role("button", name="Next print").is_disabled()
    push("Previous print")
    assert step.inner_text().startswith("Token 15 of 30 · line 3, its end · is skipped")
    wait_for_words(page, "as trained: ")
    push("Previous print")
    assert step.inner_text() == "Before the first of 30 tokens"
    assert page.get_by_role("button", name="One token back").is_disabled()
    push("One token forward")
    assert step.inner_text() == "Token 1 of 30 · line 1, “x”"
    wait_for_words(page, "Token 1 of 30")
    push("Next print")
    assert step.inner_text().startswith("Token 15 of 30")
    push("One token back")
    assert step.inner_text() == "Token 14 of 30 · line 3, “(x)”"
    slider = page.get_by_role("slider")
    slider.focus()
    press("Home")
    press("ArrowRight")
    press("ArrowRight")
    assert step.inner_text() == slider.get_attribute("aria-valuetext")
    assert step.inner_text() == "Token 2 of 30 · line 1, “=”"
    page.get_by_label("Speed").focus()
    press("End")
    page.locator(".fw-play").focus()
    press("Space")
    assert page.locator(".fw-play").inner_text() == "Pause"
    wait_for_words(page, "Token 30 of 30")
    assert page.locator(".fw-play").inner_text() == "Play"


def test_source_and_variables_follow_the_clock(show, steppers):
    page = show(steppers["plain"])
    page.get_by_role("slider").fill("21")
    now = page.locator("tr[aria-current=true]")
    assert now.locator("code").inner_text() == "if x < 7: y -= 1;"
    assert now.locator(".fw-token").inner_text() == "x"
    values = page.locator(".fw-variable")
    assert [v.inner_text().split() for v in values.all()] == [["x", "4"], ["y", "0"]]
    page.get_by_role("slider").fill("27")
    fresh = page.locator(".fw-variable[data-fresh]")
    assert fresh.inner_text().split() == ["y", "−1", "was", "0"]
    page.get_by_role("slider").fill("3")
    assert [v.inner_text().split()[1] for v in values.all()] == ["–", "–"]


def test_answers_come_when_their_print_is_reached(show, steppers):
    widget = steppers["plain"]
    page = show(widget)
    cells = page.locator("tbody tr").nth(2).locator("td")
    page.get_by_role("slider").fill("14")
    assert [cells.nth(n).inner_text() for n in (1, 2)] == ["", ""]
    assert "No print is reached yet" in page.locator(".fw-answers").inner_text()
    page.get_by_role("slider").fill("15")
    word, right = answer(widget, 0, 0)
    assert said(cells.nth(1)) == "_"
    assert said(cells.nth(2)) == f"{word}, {'right' if right else 'wrong'}"
    assert ("✓" if right else "✗") in cells.nth(2).inner_text()
    verdict = page.locator(".fw-verdict").inner_text()
    assert f": {'right' if right else 'wrong, right is nothing'}" in verdict
    top = widget._runs[0].chances[0].sort(descending=True).values[:4]
    chances = page.locator(".fw-card .fw-chance").all_inner_texts()
    found = [float(x.strip("<> %")) / 100 for x in chances]
    assert found == pytest.approx(top.tolist(), abs=0.006)


def test_switches_show_both_models_side_by_side(show, steppers):
    widget = steppers["plain"]
    page = show(widget)
    cells = page.locator("tbody tr").nth(5).locator("td")
    assert (count(page, ".fw-film"), count(page, ".fw-card")) == (1, 1)
    assert not cells.nth(3).is_visible()
    for name, run in (("Writes off", 1), ("Recurrence off", 3), ("Writes off", 2)):
        page.get_by_role("checkbox", name=name).focus()
        page.keyboard.press("Space")
        title = widget._runs[run].title
        assert (count(page, ".fw-film"), count(page, ".fw-card")) == (2, 2)
        assert page.locator("thead th").last.inner_text().replace("\u00ad", "") == title
        word, right = answer(widget, run, 1)
        assert said(cells.nth(3)) == f"{word}, {'right' if right else 'wrong'}"
        wait_for_words(page, f"{title}: {sum(widget._runs[run].right)} of 2 prints")
        note = page.locator(".fw-film").nth(1).locator(".fw-wrote").inner_text()
        assert (note == "Nothing is written: β = 0.") == (run != 2)
    page.get_by_role("checkbox", name="Recurrence off").press("Space")
    assert (count(page, ".fw-film"), count(page, ".fw-card")) == (1, 1)


def test_only_switches_that_exist_are_offered(show, steppers):
    page = show(steppers["one switch"])
    assert page.get_by_role("checkbox").count() == 1
    page.get_by_label("Writes off").check()
    assert count(page, ".fw-film") == 2


def test_layer_matrix_and_head_are_chosen(show, steppers):
    widget = steppers["two"]
    page = show(widget)
    picture = page.locator(".fw-matrix")
    seen = [picture.evaluate(PIXELS)]
    for name, key, title in (
        ("Matrix", "R", "R of layer 1, head 1: as trained"),
        ("Layer", "2", "R of layer 2, head 1: as trained"),
        ("Head", "2", "R of layer 2, head 2: as trained"),
    ):
        page.get_by_label(name, exact=True).focus()
        page.keyboard.press("ArrowDown")
        assert (
            page.get_by_label(name, exact=True).locator(":checked").inner_text() == key
        )
        assert page.locator(".fw-film .fw-title").first.inner_text() == title
        seen.append(picture.evaluate(PIXELS))
    assert len(set(seen)) == 4
    wait_for_words(page, "change of R")


def test_cells_tell_their_value(show, steppers):
    widget = steppers["plain"]
    page = show(widget)
    film = widget._runs[0].matrices[0].film
    page.locator(".fw-matrix").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    text = page.locator(".fw-readout").first.inner_text().replace("−", "-")
    assert text.startswith("row 2, column 3: ")
    value, change = text.split(": ", 1)[1].split("; this token: ")
    assert float(value) == pytest.approx(float(film.W[30, 1, 2]), abs=2e-3)
    assert float(change) == pytest.approx(float(film.changes[29, 1, 2]), abs=2e-3)
    wait_for_words(page, "row 2, column 3")


def test_a_click_on_the_changes_goes_to_the_token(show, steppers):
    page = show(steppers["plain"])
    bars = page.locator(".fw-changes")
    box = bars.bounding_box()
    bars.click(position={"x": box["width"] * 9.5 / 30, "y": 20})
    assert page.locator(".fw-step").inner_text().startswith("Token 10 of 30")


def test_a_long_program_scrolls_with_the_clock(show, steppers):
    page = show(steppers["switched"], viewport={"width": 800, "height": 900})
    page.add_style_tag(content=".fw-source { max-height: 150px !important; }")
    inside = """() => { const box = document.querySelector('.fw-source');
      const now = document.querySelector('.fw-now').getBoundingClientRect();
      const room = box.getBoundingClientRect();
      return now.top >= room.top && now.bottom <= room.bottom + 1; }"""
    for share in (0.3, 0.6, 1, 0.2):
        step = round(share * len(steppers["switched"]._script.x))
        page.get_by_role("slider").fill(str(step))
        assert page.evaluate(inside)
    assert page.evaluate("window.scrollY") == 0


def test_pictures_follow_the_theme(show, steppers):
    page = show(steppers["plain"], theme="light")
    pictures = page.locator(".fw canvas")
    light = [p.evaluate(PIXELS) for p in pictures.all() if p.is_visible()]
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function("document.querySelector('.fw').hasAttribute('data-dark')")
    dark = [p.evaluate(PIXELS) for p in pictures.all() if p.is_visible()]
    assert len(light) == 6
    assert all(a != b for a, b in zip(light, dark, strict=True))


def test_playing_is_silent_and_never_starts_by_itself(show, steppers):
    page = show(steppers["one switch"], reduced_motion="reduce")
    assert page.get_by_label("Speed").input_value() == "1"
    page.get_by_label("Speed").select_option("20")
    page.get_by_role("button", name="One token forward").click()
    wait_for_words(page, "Token 1 of 30")
    page.locator(".fw-play").press("Enter")
    page.wait_for_function(
        "document.querySelector('.fw-step').textContent.startsWith('Token 12')"
    )
    assert page.locator(".fw > [role=status]").inner_text().startswith("Token 1 of 30")
    page.locator(".fw-play").press("Enter")
    wait_for_words(page, page.locator(".fw-step").inner_text())


def test_printed_picture_stands_without_scripts(steppers, watched, tmp_path):
    path = tmp_path / "still.html"
    path.write_text(html(steppers["plain"]), encoding="utf-8")
    page = watched(java_script_enabled=False).page
    page.goto(path.as_uri())
    picture = page.locator(".widget-printed img")
    assert picture.is_visible()
    assert picture.get_attribute("alt") == steppers["plain"].words()
