"""The stepper, driven by keyboard in a browser that may reach no other machine."""

import pytest
from block_films import delta, turn
from test_widgets_browser import (
    PHONE,
    PIXELS,
    axe_findings,
    small_targets,
    sticking_out,
    wait_for_words,
)
from widget_page import html

from srwm_lite.kernels import ladder
from srwm_lite.widgets import BlockStepper

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def steppers():
    source = ladder.text("2_shared")
    broken = "".join(source.rsplit("__syncthreads();", 1))
    made = [(delta(source), 8), (delta(broken), 8), (turn(40), 40)]
    return [BlockStepper(k, (1,), (n,), args) for (k, args), n in made]


@pytest.fixture
def show(watched, tmp_path):
    """Return a function that opens widgets from the disk."""

    def open_page(*widgets, theme=None, **options):
        path = tmp_path / "page.html"
        path.write_text(html(*widgets, theme=theme), encoding="utf-8")
        return watched(**options).open(path.as_uri())

    return open_page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_stepper_is_accessible(show, steppers, theme):
    page = show(*steppers, theme=theme)
    assert axe_findings(page) == []


def test_stepper_fits_a_phone(show, steppers):
    page = show(*steppers, viewport=PHONE, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert small_targets(page) == []
    assert [x for x in sticking_out(page) if "<code" not in x] == []
    page.get_by_role("button", name="Forward").first.tap()
    assert page.locator(".fw-step").first.inner_text().startswith("Request 2 of")


def test_every_control_by_keyboard(show, steppers):
    page = show(steppers[2])
    step, press = page.locator(".fw-step"), page.keyboard.press
    forward = page.get_by_role("button", name="Forward")
    assert step.inner_text() == (
        "Request 1 of 8 · after 0 barriers · warp 0 · line 5: threads 0 to 31 "
        "read x[0 to 31]"
    )
    assert page.locator(".fw-now").inner_text().split()[0] == "5"
    forward.focus()
    press("Enter")
    assert step.inner_text().startswith("Request 2 of 8")
    wait_for_words(page, "Request 2 of 8")
    page.get_by_label("Step by").select_option("barrier")
    forward.focus()
    press("Enter")
    assert step.inner_text().startswith("Request 5 of 8 · after 1 barrier")
    page.get_by_role("button", name="Back").focus()
    press("Enter")
    assert step.inner_text().startswith("Request 1 of 8")
    page.get_by_role("slider").focus()
    press("End")
    assert step.inner_text().startswith("Request 8 of 8")
    assert forward.is_disabled()
    page.get_by_label("Argument").select_option("y")
    titles = page.locator(".fw-memory .fw-figure:visible .fw-title").all_inner_texts()
    assert titles == ["Threads of the block (2 warps)", "s (shared)", "y (global)"]
    page.get_by_label("Step by").select_option("instruction")
    page.get_by_label("Speed").select_option("10")
    page.locator(".fw-play").focus()
    press("Space")
    assert page.locator(".fw-play").inner_text() == "Pause"
    wait_for_words(page, "Request 8 of 8")
    assert page.locator(".fw-play").inner_text() == "Play"


def test_cells_and_threads_tell_who_did_what(show, steppers):
    page = show(steppers[2])
    page.get_by_role("slider").fill("4")
    page.locator("canvas[aria-label^='s, shared']").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".fw-readout").inner_text() == (
        "s[1]: last written by thread 1 in line 5"
    )
    wait_for_words(page, "s[1]: last written by thread 1")
    page.get_by_label("Follow").select_option("3")
    threads = page.locator("canvas[aria-label^='Threads']")
    note = page.locator(".fw-memory .fw-figure .fw-note").first
    assert note.inner_text() == "thread 3: reads s[36]"
    threads.focus()
    page.keyboard.press("ArrowDown")
    assert note.inner_text() == "thread 32: waits"
    page.keyboard.press("Enter")
    assert page.get_by_label("Follow").input_value() == "32"


def test_a_race_is_told_in_words_and_marks(show, steppers):
    page = show(steppers[1], theme="light")
    race = page.locator(".fw-race")
    page.get_by_role("slider").fill("50")
    assert race.inner_text().startswith("Race: thread")
    assert "with no barrier between" in race.inner_text()
    assert "✕" in "".join(page.locator(".fw-number").all_inner_texts())
    wait_for_words(page, "Race: thread")
    cells = page.locator("canvas[aria-label^='k_t']")
    light = cells.evaluate(PIXELS)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function("document.querySelector('.fw').hasAttribute('data-dark')")
    assert cells.evaluate(PIXELS) != light
    clean = show(steppers[0])
    assert clean.locator(".fw-race").inner_text() == "No race in this block."
