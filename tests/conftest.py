"""Fixtures that the tests share: a seed, the built pages, and a browser off the net."""

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
HTML = Path(os.environ.get("BOOK_HTML", ROOT / "book" / "_build" / "html"))
NAMES = (
    "chromium chromium-browser google-chrome google-chrome-stable chrome "
    "microsoft-edge msedge"
).split()
MAC = "Google Chrome", "Chromium", "Microsoft Edge"
WINDOWS = (
    "Google/Chrome/Application/chrome.exe",
    "Microsoft/Edge/Application/msedge.exe",
)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
).split()


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def find_browser():
    """Return the path of a Chromium, Chrome or Edge, or None."""
    named = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else []
    programs = [os.environ.get(v, "") for v in ("PROGRAMFILES", "PROGRAMFILES(X86)")]
    candidates = [
        *named,
        *filter(None, map(shutil.which, NAMES)),
        *(f"/Applications/{name}.app/Contents/MacOS/{name}" for name in MAC),
        *(os.path.join(p, name) for p in programs if p for name in WINDOWS),
    ]
    return next((path for path in candidates if os.path.exists(path)), None)


@pytest.fixture(scope="session")
def html():
    """Return the folder of the built pages."""
    if not (HTML / "index.html").exists():
        pytest.skip("the book is not built: make book")
    return HTML


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serve files and say nothing."""

    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def serve():
    """Return a function that serves a folder and returns its address."""
    servers = []

    def start(folder):
        handler = functools.partial(Quiet, directory=str(folder))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def site(html, serve):
    """Return the address at which the built pages are served."""
    return serve(html)


@pytest.fixture(scope="session")
def browser():
    """Return a headless Chromium."""
    path = find_browser()
    if path is None:
        pytest.skip(
            "no browser: install Chromium or Chrome, or set CHROMIUM=/path/to/it"
        )
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


class Watched:
    """A browser page that refuses every outside request and remembers all faults."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(**options)
        self.outside, self.broken, self.errors, self.loaded = [], [], [], []
        self.context.route("**/*", self._gate)
        self.page = self.context.new_page()
        self.page.on("response", self._response)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._console)

    def _gate(self, route):
        url = route.request.url
        if url.startswith(
            ("http://127.0.0.1", "ws://127.0.0.1", "file:", "data:", "blob:")
        ):
            self.loaded.append(url)
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def _response(self, response):
        if response.status >= 400:
            self.broken.append(f"{response.status} {response.url}")

    def _console(self, message):
        if message.type == "error":
            self.errors.append(message.text)

    def open(self, url):
        """Load a page and wait until its mathematics and its widgets are drawn."""
        self.page.goto(url)
        self.page.wait_for_function("() => window.MathJax?.startup?.promise ?? true")
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('.widget-box:has(> script)')]"
            ".every((box) => box.classList.contains('widget-alive'))"
        )
        return self.page

    def faults(self):
        """Return everything that went wrong on this page."""
        return {
            name: found
            for name in ("outside", "broken", "errors")
            if (found := getattr(self, name))
        }


@pytest.fixture
def watched(browser):
    """Return a function that makes watched pages; their faults fail the test."""
    made = []

    def make(**options):
        made.append(Watched(browser, **options))
        return made[-1]

    yield make
    for page in made:
        page.context.close()
    assert [p.faults() for p in made if p.faults()] == []
