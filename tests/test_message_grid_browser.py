"""The grid of cells, driven in a browser off the net."""

import pytest
import torch
from test_message_grid import compare, lively, made, plain
from test_widgets_browser import (
    PHONE,
    PIXELS,
    axe_findings,
    bare_controls,
    small_targets,
    spoken,
    sticking_out,
    wait_for_words,
)
from widget_page import html, run_in_page

from srwm_lite.widgets import MessageGrid
from srwm_lite.widgets.message_grid_run import begin, draw_start, run

pytestmark = pytest.mark.browser

STILL = {"reduced_motion": "reduce"}
NAMES = ["cat", "dog", "owl"]
SCRIPT = [(0, 0), (1, 1), (0, 0), (2, 2)]


@pytest.fixture(scope="module")
def nets():
    torch.manual_seed(0)
    return lively(feed_label=True), torch.randn(3, 4)


@pytest.fixture(scope="module")
def grids(nets):
    net, pictures = nets
    torch.manual_seed(1)
    long = {"names": ["a", "b", "c", "d", "e", "f", "g", "a rather long name"]}
    return {
        "small": MessageGrid(net, pictures, classes=3, names=NAMES, script=SCRIPT),
        "large": MessageGrid(net, torch.randn(8, 16), classes=8, shown=14, **long),
        "empty": MessageGrid(lively(), torch.randn(2, 9), classes=2, shown=0),
    }


@pytest.fixture
def show(watched, tmp_path):
    """Return a function that opens widgets from the disk."""

    def open_page(*widgets, theme=None, **options):
        path = tmp_path / "page.html"
        path.write_text(html(*widgets, theme=theme), encoding="utf-8")
        return watched(**options).open(path.as_uri())

    return open_page


def expected(nets, pairs, writes=True):
    """Return the answers of the learner to the small grid."""
    net, pictures = nets
    memory = begin(draw_start(net, 4, 3, 0), 8)
    net.writes = writes
    with torch.no_grad():
        answers, last = run(net.double(), pictures, memory, pairs)
    net.writes = True
    return answers, last


def told(page):
    return page.locator(".fw-told").first.inner_text()


def button(page, name):
    return page.get_by_role("button", name=name, exact=True).first


def press(page, name):
    button(page, name).focus()
    page.keyboard.press("Enter")


def chances(page):
    """Return what stands in the strip, in percent."""
    found = page.locator(".fw-past .fw-chance").all_inner_texts()
    return [int(text.removesuffix(" %")) for text in found]


def percent(answers):
    return [round(100 * float(one.chances[one.label])) for one in answers]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_grid_is_accessible(show, grids, theme):
    page = show(*grids.values(), theme=theme, **STILL)
    assert axe_findings(page) == []
    assert sticking_out(page) == []
    assert bare_controls(page) == 0


@pytest.mark.parametrize("width", [320, PHONE["width"]])
def test_grid_fits_a_phone(show, grids, width):
    size = PHONE | {"width": width}
    page = show(*grids.values(), viewport=size, has_touch=True, **STILL)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert small_targets(page) == []
    assert sticking_out(page) == []
    button(page, "Show").tap()
    assert page.locator(".fw-step").first.inner_text().startswith("Example 2 of 2 · 6")
    page.get_by_label("errors come back").first.tap()
    assert not page.get_by_label("errors come back").first.is_checked()


def test_browser_computes_what_the_learner_computes(show, grids):
    page, cases = show(grids["small"]), made()
    answers = run_in_page(
        page, grids["small"], "message_grid.mjs", [plain(case) for case in cases]
    )
    compare(answers, cases)


def test_the_reader_follows_the_script_and_leaves_it(show, grids, nets):
    page = show(grids["small"], **STILL)
    answers, _ = expected(nets, SCRIPT)
    assert page.locator(".fw-next").inner_text() == (
        "Next: picture 2 told as dog, 2 of 4 of the script."
    )
    press(page, "Show")
    best = int(answers[1].chances.argmax())
    share = round(100 * float(answers[1].chances[best]))
    said = f"Example 2, picture 2 told as dog: answered {NAMES[best]} with {share} %, "
    wait_for_words(page, said)
    assert told(page).startswith(said)
    press(page, "Show")
    assert chances(page) == percent(answers[:3])
    page.get_by_label("told as").select_option(label="dog")
    assert page.locator(".fw-next").inner_text() == "Next: picture 3 told as dog."
    press(page, "Show")
    pairs = [*SCRIPT[:3], (2, 1)]
    assert chances(page) == percent(expected(nets, pairs)[0])
    press(page, "Take back")
    assert page.locator(".fw-past").count() == 3
    assert page.get_by_label("told as").locator(":checked").inner_text() == "dog"
    press(page, "Show")
    press(page, "Play script")  # something else was shown: it starts anew
    assert chances(page)[:1] == percent(answers[:1])
    press(page, "Restart")
    assert page.locator(".fw-next").inner_text() == (
        "Next: picture 1 told as cat, 1 of 4 of the script."
    )
    wait_for_words(page, "Nothing is shown yet")
    assert page.locator(".fw-past").count() == 0
    page.get_by_role("button", name="Picture 3").focus()
    page.keyboard.press("Space")
    wait_for_words(page, "Picture 3 is picked, usually owl.")
    press(page, "Show")
    assert chances(page) == percent(expected(nets, [(2, 2)])[0])


def test_without_errors_it_learns_nothing(show, grids, nets):
    page = show(grids["small"], **STILL)
    press(page, "Restart")
    page.get_by_label("errors come back").focus()
    page.keyboard.press("Space")
    wait_for_words(page, "From the next example on, errors do not come back.")
    page.get_by_label("Speed").select_option("20")
    press(page, "Play script")
    wait_for_words(page, "Example 4, picture 3 told as owl")
    deaf, hearing = (expected(nets, SCRIPT, on)[0] for on in (False, True))
    assert chances(page) == percent(deaf) != percent(hearing)
    assert "No error comes back: errors are switched off." in told(page)
    assert page.locator(".fw-past[data-deaf]").count() == 4
    button(page, "One moment back").click()
    below = page.locator(".fw-stage canvas").last
    assert below.get_attribute("aria-label").endswith("No error.")


def test_every_moment_by_keyboard(show, grids, nets):
    page = show(grids["small"], **STILL)
    _, ((state,), _) = expected(nets, SCRIPT[:1])
    press(page, "Show")
    page.get_by_role("slider").focus()
    moments = [page.locator(".fw-step").inner_text()]
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
        moments.append(page.locator(".fw-step").inner_text())
    assert [text.split(" · ")[1] for text in reversed(moments)] == [
        "1 of 6: messages arrive",
        "2 of 6: the cells tick, 1 of 2",
        "3 of 6: the cells tick, 2 of 2",
        "4 of 6: the answer",
        "5 of 6: the label is told",
        "6 of 6: the error waits",
    ]
    first = expected(nets, SCRIPT[:1])[0][0].chances - torch.eye(3)[0]
    error = ", ".join(
        f"{name} {float(f'{x:.2f}'):g}".replace("-", "−")
        for name, x in zip(NAMES, first.tolist(), strict=True)
    )
    wait_for_words(page, f"The error of example 1 comes back up the columns: {error}.")
    c = page.locator("canvas[aria-label^='c: ']").get_attribute("aria-label")
    numbers = [float(x) for x in c[3:].replace("−", "-").split(", ")]
    assert numbers == pytest.approx(state[1][0, 0, 0].tolist(), rel=6e-2, abs=1e-6)
    page.keyboard.press("Home")
    assert page.locator(".fw-step").inner_text() == "Before the first of 2 examples"
    press(page, "Example after")
    assert page.locator(".fw-step").inner_text().startswith("Example 1 of 2 · 6 of 6")
    press(page, "Play")
    assert button(page, "Pause").is_visible()
    press(page, "Pause")
    wait_for_words(page, told(page))


def test_a_cell_says_its_state(show, grids):
    page = show(grids["small"], **STILL)
    grid = page.locator(".fw-matrix")
    grid.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    wait_for_words(page, "Row 3, column dog. It heard ")
    assert page.locator(".fw-state .fw-title").inner_text() == "Cell: row 3, column dog"
    x = f"{grids['small'].pictures[0][2]:.2g}".replace("-", "−")
    assert f"It heard {x} from its row" in page.locator(".fw-words").inner_text()
    pictures = {grid.evaluate(PIXELS)}
    for view in ("vote", "change", "c1", "h16"):
        page.get_by_label("Colour").select_option(view)
        pictures.add(grid.evaluate(PIXELS))
    assert len(pictures) == 5


def test_the_strip_goes_back_in_time(show, grids):
    page = show(grids["large"], **STILL)
    past = page.locator(".fw-past")
    assert past.count() == 14
    past.last.focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".fw-step").inner_text() == (
        "Example 13 of 14 · 6 of 6: the error waits"
    )
    assert page.evaluate("document.activeElement.getAttribute('aria-current')")
    assert page.locator(".fw-past[tabindex='0']").count() == 1
    past.first.click()
    assert page.locator(".fw-step").inner_text().startswith("Example 1 of 14")


def test_messages_move_unless_motion_is_unwelcome(show, grids):
    page = show(grids["small"])
    button(page, "Show").click()
    assert button(page, "Pause").is_visible()
    grid = page.locator(".fw-matrix")
    frames = {grid.evaluate(PIXELS) for _ in range(12)}
    assert len(frames) > 2
    page.get_by_label("Speed").select_option("20")
    wait_for_words(page, "Example 2, picture 2 told as dog")
    still = show(grids["small"], **STILL)
    button(still, "Show").click()
    assert button(still, "Play").is_visible()
    assert spoken(still).count() == 1


def test_full_strip_stops_and_theme_follows(show, nets):
    net, pictures = nets
    script = [(0, 0)] * 60
    page = show(MessageGrid(net, pictures, classes=3, script=script, shown=60), **STILL)
    assert button(page, "Show").is_disabled()
    assert page.locator(".fw-next").inner_text().startswith("The strip is full")
    grid = page.locator(".fw-matrix")
    before = grid.evaluate(PIXELS)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function("document.querySelector('.fw').hasAttribute('data-dark')")
    assert grid.evaluate(PIXELS) != before
    press(page, "Take back")
    assert not button(page, "Show").is_disabled()


def test_ready_scripts_play(show, grids, nets):
    page = show(grids["small"], **STILL)
    page.get_by_label("Script").select_option(label="one again and again")
    page.get_by_label("Speed").select_option("20")
    press(page, "Play script")
    wait_for_words(page, "Example 8, picture 1 told as cat")
    assert chances(page) == percent(expected(nets, [(0, 0)] * 8)[0])
