"""Every built page, opened in a browser that may reach no other machine."""

import gates_html
import pytest

from conftest import HTML

pytestmark = pytest.mark.browser

PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if "_static" not in path.parts
)
WIDGETS = [p for p in PAGES if 'class="widget-box' in (HTML / p).read_text("utf-8")]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {
    "runOnly": RULES,
    "rules": {"empty-table-header": {"enabled": False}},  # axe cannot read MathML
    "preload": False,
}
PHONE = {"width": 360, "height": 740}

every_page = pytest.mark.parametrize("name", [p for p in PAGES if p != "index.html"])
with_widgets = pytest.mark.parametrize("name", WIDGETS)


def violations(page):
    """Return what axe-core finds on an open page, one line a rule."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options=OPTIONS).response["violations"]
    return [f"{v['id']}: {[n['html'][:120] for n in v['nodes'][:3]]}" for v in found]


@every_page
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_page_is_accessible(watched, site, name, theme):
    still = watched(
        color_scheme=theme, reduced_motion="reduce"
    )  # no half-faded colours
    page = still.open(f"{site}/{name}")
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    page.wait_for_function("() => document.getAnimations().length === 0")
    assert violations(page) == []


@every_page
def test_page_works_from_the_disk(watched, html, name):
    page = watched().open((html / name).as_uri())
    assert page.locator("mjx-merror").count() == 0
    assert page.locator("main").first.inner_text().strip()


@every_page
def test_page_fits_a_phone(watched, site, name):
    page = watched(viewport=PHONE, reduced_motion="reduce").open(f"{site}/{name}")
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) <= PHONE["width"]


@with_widgets
def test_page_with_widgets_is_light(watched, html, site, name):
    watcher = watched()
    watcher.open(f"{site}/{name}").wait_for_load_state("networkidle")
    assert gates_html.weight(watcher.loaded, html) <= gates_html.PAGE_BYTES


@with_widgets
def test_widget_has_a_picture_when_scripts_are_off(watched, site, name):
    page = watched(java_script_enabled=False).page
    page.goto(f"{site}/{name}")
    boxes = page.locator(".widget-box:has(> script)")
    for box in boxes.all():
        assert box.locator(".widget-printed img").is_visible()


@with_widgets
def test_widget_replaces_its_picture(watched, site, name):
    page = watched().open(f"{site}/{name}")
    for box in page.locator(".widget-box:has(> script)").all():
        assert box.locator(".widget-drawn > *").count() > 0
        assert not box.locator(".widget-printed").is_visible()


@with_widgets
def test_widget_prints_as_its_picture(watched, site, name):
    page = watched().open(f"{site}/{name}")
    page.emulate_media(media="print")
    for box in page.locator(".widget-box:has(> script)").all():
        assert box.locator(".widget-printed img").is_visible()
        assert not box.locator(".widget-drawn").is_visible()


# Each gate must close on a planted fault.

BAD = """<!doctype html><html lang="en"><head><title>bad</title></head><body><main>
<h1>Bad</h1><img src="data:," width="9" height="9"><button></button>
<script src="https://example.org/x.js"></script></main></body></html>"""


def test_planted_faults_are_found(browser, serve, tmp_path):
    from conftest import Watched

    (tmp_path / "bad.html").write_text(BAD)
    watcher = Watched(browser)
    page = watcher.open(f"{serve(tmp_path)}/bad.html")
    rules = {line.split(":")[0] for line in violations(page)}
    assert {"image-alt", "button-name"} <= rules
    assert watcher.faults()["outside"] == ["https://example.org/x.js"]
    watcher.context.close()
