"""What a built page must hold to; each function returns what it found wrong."""

import gzip
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

PAGE_BYTES = 1_500_000
REMOTE = "http:", "https:", "//"
LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "link": "href",
}
INERT = {"next", "prev", "index", "search", "canonical", "author", "license"}


class Page(HTMLParser):
    """The pictures, links, anchors and loaded files of one HTML page."""

    def __init__(self, text):
        super().__init__()
        self.images, self.links, self.loads, self.ids = [], [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        at = dict(attrs)
        self.ids |= {at[key] for key in ("id", "name") if at.get(key)}
        if tag == "img":
            self.images.append((at.get("src", ""), at.get("alt")))
        if tag == "a" and at.get("href"):
            self.links.append(at["href"])
        target = at.get(LOADS.get(tag, ""))
        if target and not INERT & set((at.get("rel") or "").split()):
            self.loads.append(target)


def read(path):
    """Return the parsed page at `path`."""
    return Page(path.read_text(encoding="utf-8"))


def pictures_without_words(page):
    """Return the pictures whose alternative text is absent or not made of words."""
    return [
        f"{src}: alt={alt!r}"
        for src, alt in page.images
        if alt is None
        or alt.startswith("<")
        or alt.rstrip("/").endswith((".png", ".svg", ".jpg", ".jpeg"))
        or ("_images/" in src and len(alt.split()) < 4)
    ]


def remote_loads(page):
    """Return what the page would fetch from another machine."""
    return [url for url in page.loads if url.startswith(REMOTE)]


def dead_links(path, pages):
    """Return the links of one page that lead to no file or no anchor of the book.

    `pages` maps the resolved path of every page to its parsed form.
    """
    dead = []
    for link in pages[path].links:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        known = target in pages
        anchor = unquote(parts.fragment)
        if not target.exists() or (
            known and anchor and anchor not in pages[target].ids
        ):
            dead.append(link)
    return dead


def local_file(url, folder):
    """Return the file under `folder` that a served address stands for, or None."""
    if not url.startswith("http://127.0.0.1"):
        return None
    path = folder / unquote(urlsplit(url).path).lstrip("/")
    return path if path.is_file() else None


def weight(urls, folder):
    """Return the gzipped bytes of all files that a page loaded."""
    files = {file for url in urls if (file := local_file(url, Path(folder)))}
    return sum(len(gzip.compress(file.read_bytes(), 6)) for file in files)
