"""The stepper of the self-referential matrix, driven in a browser off the net."""

import pytest
import torch
from test_srwm_stepper import cases, compare, expected, numbers, plain
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

from srwm_lite.self_reference import BLOCKS
from srwm_lite.widgets import SRWMStepper

pytestmark = pytest.mark.browser

LABELS = ["a", "b", "a again", "c", "question"]


@pytest.fixture(scope="module")
def steppers():
    torch.manual_seed(0)
    u, W = numbers()
    answers = {"read_out": torch.randn(2, 3), "names": ["yes", "no"]}
    return {
        "small": SRWMStepper(u, W, labels=LABELS, **answers),
        "large": SRWMStepper(*numbers(40, 16, 16), frozen=["q"], view="shift", step=9),
    }


@pytest.fixture
def show(watched, tmp_path):
    """Return a function that opens widgets from the disk."""

    def open_page(*widgets, theme=None, **options):
        path = tmp_path / "page.html"
        path.write_text(html(*widgets, theme=theme), encoding="utf-8")
        return watched(**options).open(path.as_uri())

    return open_page


def run(widget, *frozen):
    """Return what Python computes for the inputs of a widget."""
    u, W = (torch.tensor(x, dtype=torch.float64) for x in (widget.u, widget.W))
    return expected({"inputs": (u, W), "frozen": frozen})


def said(canvas):
    """Return the numbers in the label of a picture."""
    words = canvas.get_attribute("aria-label").split(": ")[-1].replace("−", "-")
    return [float(x) for x in words.split(", ")]


def tags(page):
    """Return the lines beside each block of rows."""
    found = page.locator(".fw-tag").all()[3:]
    return [tag.locator("p").all_inner_texts() for tag in found]


def pictures(page):
    return [x.evaluate(PIXELS) for x in page.locator(".fw-matrix").all()]


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
    page.get_by_role("button", name="One step back").first.tap()
    assert page.locator(".fw-step").first.inner_text() == "Step 4 of 5 · c"
    page.get_by_label("writes off").first.tap()
    assert page.locator(".fw-lock").first.is_visible()


def test_every_control_of_the_clock_by_keyboard(show, steppers):
    page = show(steppers["small"])
    step, press = page.locator(".fw-step"), page.keyboard.press

    def push(name):
        page.get_by_role("button", name=name).focus()
        press("Enter")

    assert step.inner_text() == "Step 5 of 5 · question"
    push("One step back")
    assert step.inner_text() == "Step 4 of 5 · c"
    wait_for_words(page, "Step 4 of 5 · c. Learning rates: y ")
    push("One step forward")
    assert page.get_by_role("button", name="One step forward").is_disabled()
    page.get_by_role("slider").focus()
    press("Home")
    assert step.inner_text() == "Before the first step of 5"
    assert page.locator(".fw-told").inner_text() == (
        "Nothing is read and nothing is written yet."
    )
    wait_for_words(page, "Before the first step of 5. Nothing is read")
    page.get_by_label("Speed").focus()
    press("End")
    page.locator(".fw-play").focus()
    press("Space")
    assert page.locator(".fw-play").inner_text() == "Pause"
    wait_for_words(page, "Step 5 of 5 · question")
    assert page.locator(".fw-play").inner_text() == "Play"
    chart = page.locator(".fw-lines").first
    chart.click(position={"x": 44 + (chart.bounding_box()["width"] - 62) * 0.4, "y": 9})
    assert step.inner_text() == "Step 2 of 5 · b"


def test_words_and_pictures_tell_what_python_computes(show, steppers):
    widget = steppers["small"]
    page, made, W = show(widget), run(widget), torch.tensor(widget.W)
    page.get_by_role("slider").fill("3")
    for name in ("y", "q", "k"):
        start = {"y": "Output y", "q": "q, ", "k": "k, "}[name]
        label = f"canvas[aria-label^='{start}']"
        wanted = made[name][2].tolist()
        assert said(page.locator(label)) == pytest.approx(wanted, rel=6e-2, abs=1e-9)
    shift = (made["W"][3] - W).split([3, 4, 4, 4])
    moved = [
        float(a.norm() / b.norm())
        for a, b in zip(shift, W.split([3, 4, 4, 4]), strict=True)
    ]
    for n, (title, rate, clock, _) in enumerate(tags(page)):
        assert title.strip() == f"{'yqkβ'[n]} rows"
        assert float(rate.removeprefix("learning rate ")) == pytest.approx(
            float(made["rates"][2, n]), rel=6e-2
        )
        assert float(clock.removeprefix("moved ")) == pytest.approx(moved[n], rel=6e-2)
        assert clock.removeprefix("moved ") in page.locator(".fw-told").inner_text()
    read_out = torch.tensor(widget.read_out, dtype=torch.float64)
    answer = (read_out @ made["y"][2]).softmax(dim=-1)
    note = page.locator(".fw-aside .fw-note").nth(1).inner_text()
    assert note.startswith(f"Likeliest: {['yes', 'no'][int(answer.argmax())]} (")
    assert float(note.split("(")[1][:-2]) == pytest.approx(
        float(answer.max()), rel=6e-2
    )


def test_frozen_rows_stay_and_say_so(show, steppers):
    widget = steppers["small"]
    page = show(widget)
    locks, told = page.locator(".fw-lock"), page.locator(".fw-told")
    boxes = page.get_by_role("group", name="Freeze rows")
    assert not any(lock.is_visible() for lock in locks.all())
    free = run(widget)
    boxes.get_by_label("q", exact=True).focus()
    page.keyboard.press("Space")
    wait_for_words(page, "Frozen rows: q.")
    boxes.get_by_label("β", exact=True).click()
    made = run(widget, "q", "beta")
    assert [lock.is_visible() for lock in locks.all()] == [False, True, False, True]
    assert told.inner_text().endswith("Frozen rows: q, β.")
    assert [tag[-2] for tag in tags(page)][1::2] == ["moved 0", "moved 0"]
    y = page.locator("canvas[aria-label^='Output y']")
    assert said(y) == pytest.approx(made["y"][4].tolist(), rel=6e-2)
    off = float((made["y"][4] - free["y"][4]).norm())
    note = page.locator(".fw-aside .fw-note").first.inner_text()
    assert note.startswith("Ticks: with nothing frozen, ")
    assert float(note.split()[4]) == pytest.approx(off, rel=6e-2)
    everything = boxes.get_by_label("writes off")
    everything.focus()
    page.keyboard.press("Space")
    assert all(boxes.get_by_role("checkbox").nth(n).is_checked() for n in range(5))
    assert told.inner_text().endswith("Frozen rows: y, q, k, β.")
    still = pictures(page)
    page.get_by_role("slider").fill("0")
    assert pictures(page) == still
    boxes.get_by_label("k", exact=True).click()
    assert not everything.is_checked()
    everything.click()
    everything.click()
    assert not any(lock.is_visible() for lock in locks.all())


def test_views_and_cells(show, steppers):
    widget = steppers["small"]
    page, made = show(widget), run(widget)["W"]
    seen = [pictures(page)]
    page.get_by_label("Show").focus()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
        seen.append(pictures(page))
    assert page.get_by_label("Show").input_value() == "shift"
    assert all(len(set(views)) == 3 for views in zip(*seen, strict=True))
    page.get_by_role("application", name="k rows").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    text = page.locator(".fw-readout").inner_text().replace("−", "-")
    assert text.startswith("k row 2, column 3: ")
    wait_for_words(page, "k row 2, column 3: ")
    value, change, shift = (
        float(part.split()[-1])
        for part in text.split(": ")[1].replace(";", ",").split(",")
    )
    frames = made[:, 8, 2]
    assert value == pytest.approx(float(frames[5]), rel=6e-3)
    assert change == pytest.approx(float(frames[5] - frames[4]), rel=6e-2)
    assert shift == pytest.approx(float(frames[5] - frames[0]), rel=6e-2)
    page.locator(".fw-matrix").first.hover(position={"x": 4, "y": 4})
    assert page.locator(".fw-readout").inner_text().startswith("y row 1, column 1: ")


def test_pictures_follow_the_theme(show, steppers):
    page = show(steppers["small"], theme="light")
    canvases = page.locator(".fw canvas").all()
    light = [x.evaluate(PIXELS) for x in canvases]
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function("document.querySelector('.fw').hasAttribute('data-dark')")
    dark = [x.evaluate(PIXELS) for x in canvases]
    assert len(light) == 3 + 2 * len(BLOCKS) + 4
    assert all(a != b for a, b in zip(light, dark, strict=True))


def test_browser_computes_what_python_computes(show, steppers):
    made = cases()
    page = show(steppers["small"])
    compare(
        run_in_page(page, steppers["small"], "srwm.mjs", [plain(c) for c in made]), made
    )


def test_printed_picture_stands_without_scripts(steppers, watched, tmp_path):
    path = tmp_path / "still.html"
    path.write_text(html(steppers["small"]), encoding="utf-8")
    page = watched(java_script_enabled=False).page
    page.goto(path.as_uri())
    picture = page.locator(".widget-printed img")
    assert picture.is_visible()
    assert picture.get_attribute("alt") == steppers["small"].words()
