"""The widgets, driven by keyboard in a browser that may reach no other machine."""

import pytest
import torch
from test_memory_bench import cases, compare, plain
from test_weight_player import sequence
from widget_page import html, run_in_page

from srwm_lite.widgets import MemoryBench, WeightPlayer

pytestmark = pytest.mark.browser

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE = {"width": 360, "height": 740}
LABELS = ["cat", "dog", "cat again", "owl", "dog again", "fox"]
PIXELS = "canvas => canvas.toDataURL()"


@pytest.fixture(scope="module")
def players():
    k, v, total, delta = sequence(6, 4, 4, keys=[0, 1, 0, 2, 1, 3])
    beta = torch.full((6,), 0.5)
    two = WeightPlayer(
        total, delta, titles=["Sum", "Delta"], labels=LABELS, k=k, v=v, q=k, beta=beta
    )
    k, v, _, delta = sequence(60, 16, 16)
    return two, WeightPlayer(delta, titles=["Long"], k=k, v=v, q=k)


@pytest.fixture
def show(watched, tmp_path):
    """Return a function that opens widgets from the disk."""

    def open_page(*widgets, theme=None, **options):
        path = tmp_path / "page.html"
        path.write_text(html(*widgets, theme=theme), encoding="utf-8")
        return watched(**options).open(path.as_uri())

    return open_page


def spoken(page):
    return page.locator(".fw > [role=status]")


def wait_for_words(page, words):
    page.wait_for_function(
        "words => document.querySelector('.fw > [role=status]')"
        ".textContent.includes(words)",
        arg=words,
    )


def axe_findings(page):
    """Return the rules of accessibility that a page breaks."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"runOnly": RULES, "preload": False}).response
    return [v["id"] for v in found["violations"]]


def bare_controls(page):
    """Return how many controls leave the keys of a notebook switched on."""
    control = ".fw :is(button, input, select, [tabindex])"
    return page.locator(f"{control}:not([data-lm-suppress-shortcuts=true])").count()


def small_targets(page):
    """Return the controls that are smaller than 24 by 24 pixels."""
    return page.evaluate(
        "() => [...document.querySelectorAll('.fw button, .fw select, .fw input')]"
        ".filter((c) => { const b = c.getBoundingClientRect();"
        " return b.width < 24 || b.height < 24; }).map((c) => c.outerHTML)"
    )


def sticking_out(page):
    """Return what reaches over the edge of its widget."""
    return page.evaluate(
        "() => [...document.querySelectorAll('.fw')].flatMap((fw) => {"
        " const edge = fw.getBoundingClientRect().right - 12;"
        " return [...fw.querySelectorAll('.fw-inside *')].filter("
        "   (x) => x.getBoundingClientRect().right > edge).map((x) => x.outerHTML); })"
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_widgets_are_accessible(show, players, theme):
    bench = MemoryBench(preset="correlated", rule="delta", beta=0.5, written=4)
    page = show(*players, bench, theme=theme)
    assert axe_findings(page) == []
    assert sticking_out(page) == []
    assert bare_controls(page) == 0


def test_widgets_fit_a_phone(show, players):
    page = show(*players, MemoryBench(written=3), viewport=PHONE, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert small_targets(page) == []
    assert sticking_out(page) == []
    page.locator(".fw-play").first.tap()
    page.wait_for_function(
        "() => document.querySelector('.fw-step').textContent.startsWith('Step 2')"
    )


def test_pictures_follow_the_theme(show, players):
    page = show(players[0], theme="light")
    matrix = page.locator(".fw-matrix").first
    light = matrix.evaluate(PIXELS)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_function("document.querySelector('.fw').hasAttribute('data-dark')")
    assert matrix.evaluate(PIXELS) != light


def test_every_control_of_the_player_by_keyboard(show, players):
    page = show(players[0])
    step, press = page.locator(".fw-step"), page.keyboard.press
    play, scrub = page.locator(".fw-play"), page.locator(".fw-transport input")
    assert step.inner_text() == "Step 6 of 6 · fox · β = 0.5"
    scrub.focus()
    press("Home")
    assert step.inner_text().startswith("Before the first step")
    press("ArrowRight")
    assert step.inner_text() == "Step 1 of 6 · cat · β = 0.5"
    assert scrub.get_attribute("aria-valuetext") == step.inner_text()
    wait_for_words(page, "Step 1 of 6 · cat")
    page.get_by_role("button", name="One step forward").focus()
    press("Enter")
    press("Space")
    assert step.inner_text().startswith("Step 3")
    page.get_by_role("button", name="One step back").focus()
    press("Enter")
    assert step.inner_text().startswith("Step 2")
    page.get_by_label("Speed").focus()
    press("End")
    play.focus()
    press("Space")
    assert play.inner_text() == "Pause"
    wait_for_words(page, "Step 6 of 6")
    assert play.inner_text() == "Play"


def test_films_stand_at_the_same_step(show, players):
    page = show(players[0])
    notes = page.locator(".fw-time .fw-note")
    before = notes.all_inner_texts()
    page.locator(".fw-transport input").fill("2")
    after = notes.all_inner_texts()
    assert len(before) == len(after) == 2
    assert all(a != b for a, b in zip(before, after, strict=True))


def test_cells_tell_their_value(show, players):
    page = show(players[0])
    W = players[0]._reels[0].W[6]
    page.locator(".fw-matrix").first.focus()
    caption = page.locator(".fw-readout").first
    assert caption.inner_text().startswith("row 1, column 1")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp", "End"):
        page.keyboard.press(key)
    assert caption.inner_text().startswith("row 2, column 4")
    said = float(caption.inner_text().split(": ")[1].split(";")[0].replace("−", "-"))
    assert said == pytest.approx(W[1, 3], rel=6e-3)
    wait_for_words(page, "Sum, row 2, column 4")
    page.locator(".fw-matrix").nth(1).hover(position={"x": 4, "y": 4})
    assert caption.inner_text().startswith("row 1, column 1")


def test_films_may_differ_in_size(show):
    page = show(
        WeightPlayer(torch.ones(3, 2, 2), torch.ones(3, 2, 5), titles=["a", "b"])
    )
    page.locator(".fw-matrix").nth(1).focus()
    page.keyboard.press("End")
    readouts = page.locator(".fw-readout").all_inner_texts()
    assert readouts[0].startswith("W after the step")
    assert readouts[1] == "row 1, column 5: 1"


def test_a_key_asks_the_matrix(show, players):
    page = show(players[0])
    bars = page.locator(".fw-bars").first
    choose = page.get_by_label("Ask W with")
    choose.focus()
    before = bars.get_attribute("aria-label")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    assert choose.locator(":checked").inner_text() == "key of step 2: dog (and later)"
    assert bars.get_attribute("aria-label") != before
    reels = players[0]._reels
    y = reels[0].W[6] @ reels[0].vectors["k"][1]
    said = bars.get_attribute("aria-label").split(": ")[1].replace("−", "-")
    assert [float(x) for x in said.split(", ")] == pytest.approx(y.tolist(), rel=6e-2)
    assert "step 5 (dog again)" in page.locator(".fw-reply .fw-note").first.inner_text()
    chart = page.locator(".fw-chart").first
    box = chart.bounding_box()
    inside = {"x": 44 + (box["width"] - 62) * 3.5 / 6, "y": box["height"] - 10}
    chart.click(position=inside)
    assert choose.input_value() == "4"


def test_playing_is_silent_and_never_starts_by_itself(show, players):
    page = show(players[1], reduced_motion="reduce")
    page.wait_for_timeout(300)
    assert page.locator(".fw-play").inner_text() == "Play"
    assert page.get_by_label("Speed").input_value() == "1"
    page.get_by_label("Speed").select_option("20")
    page.locator(".fw-transport input").fill("0")
    wait_for_words(page, "Before the first step")
    page.locator(".fw-play").focus()
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('.fw-step').textContent.startsWith('Step 9')"
    )
    assert spoken(page).inner_text().startswith("Before the first step")
    page.keyboard.press("Enter")
    wait_for_words(page, page.locator(".fw-step").inner_text())


def test_browser_computes_what_python_computes(show):
    made = cases()
    bench = MemoryBench()
    page = show(bench)
    compare(run_in_page(page, bench, "rules.mjs", [plain(c) for c in made]), made)


def numbers(page, name):
    """Return what stands on one of the two little pictures."""
    label = page.locator(f".fw-answer canvas[aria-label^={name}]").get_attribute(
        "aria-label"
    )
    said = label.split(": ")[1].replace("−", "-")
    return None if said == "nothing yet" else [float(x) for x in said.split(", ")]


def test_every_control_of_the_bench_by_keyboard(show):
    page = show(MemoryBench())
    press = page.keyboard.press
    history = page.locator(".fw-history li")

    def push(name):
        page.get_by_role("button", name=name, exact=True).focus()
        press("Enter")

    def choose(label, key):
        page.get_by_label(label, exact=True).focus()
        press(key)

    assert numbers(page, "answer") is None
    push("Write")
    first = numbers(page, "wanted")
    assert numbers(page, "answer") == first
    wait_for_words(page, "write 1 (sum)")
    page.get_by_role("button", name="Value, cell 1").focus()
    press("Space")
    press("ArrowRight")
    press("Enter")
    push("Write")
    both = [a + b for a, b in zip(first, numbers(page, "wanted"), strict=True)]
    assert numbers(page, "answer") == both
    push("Overwrite")
    assert numbers(page, "answer") == numbers(page, "wanted")
    push("Undo")
    assert numbers(page, "answer") == both
    choose("Pair", "ArrowDown")
    push("Read")
    assert numbers(page, "wanted") is None
    assert history.all_inner_texts() == ["write 1 (sum)", "write 1 (sum)", "read 2"]
    page.get_by_role("button", name="Key, cell 1").focus()
    press("Space")
    push("Write")
    assert history.last.inner_text() == "write A (sum)"
    push("Reset")
    assert history.count() == 0
    choose("Rule", "ArrowDown")
    page.get_by_label("Write strength β").focus()
    for _ in range(10):
        press("ArrowLeft")
    page.get_by_label("Keep α").focus()
    press("ArrowLeft")
    choose("Keys", "End")
    page.get_by_label("Keys of length one").focus()
    press("Space")
    push("Write all")
    assert history.count() == 12
    assert history.last.inner_text() == "write 12 (delta, β 0.5, α 0.95)"
    assert "4 more than can be" in page.locator(".fw-accounts").inner_text()


def test_bench_agrees_with_python_after_many_writes(show):
    bench = MemoryBench(preset="random", rule="delta", beta=0.65, alpha=0.9)
    page = show(bench)
    page.get_by_role("button", name="Write all").click()
    keys, _ = bench._pairs()
    W = bench._store(len(keys))
    torch.testing.assert_close(
        torch.tensor(numbers(page, "answer")), (W @ keys[-1]).float(), rtol=6e-2, atol=0
    )
    page.locator(".fw-matrix").focus()
    note = page.locator(".fw-w .fw-note").inner_text()
    said = float(note.split(": ")[1].replace("−", "-"))
    assert said == pytest.approx(float(W[0, 0]), rel=6e-3)


def test_printed_picture_stands_without_scripts(show, players, watched, tmp_path):
    path = tmp_path / "still.html"
    path.write_text(html(players[0]), encoding="utf-8")
    page = watched(java_script_enabled=False).page
    page.goto(path.as_uri())
    picture = page.locator(".widget-printed img")
    assert picture.is_visible()
    assert picture.get_attribute("alt") == players[0].words()
