"""The printable copy: all chapters and the pages around them as one document, `book/_build/minideeptalk.pdf`.

`python -m minideeptalk.teaching.print_book` after the book is built; needs playwright and a Chromium. Sounds and sliders cannot be printed:
a slider's figure stands as it stands at first, and hints and solutions are unfolded.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

from minideeptalk.errors import LearnerError
from minideeptalk.teaching.build_book import BUILD
from minideeptalk.teaching.project import ROOT

PRINT_PAGE = "book/print.html"
STYLE = """<style>
  @page { size: A4; margin: 16mm; }
  audio, .figure-controls, .headerlink, .copybtn { display: none !important; }
  pre { white-space: pre-wrap !important; } figure, table { break-inside: avoid; } .bd-article > * { break-before: page; }
</style>"""


def pages_in_order(site: Path) -> list[str]:
    """Chapters and pages of the text in the order of the contents; the reference of the library stays on the screen."""
    contents = (ROOT / "book" / "_toc.yml").read_text(encoding="utf8")
    names = [f"{name}.html" for name in re.findall(r"(?:root|file): (\S+)", contents)]
    missing = [name for name in names if not (site / name).is_file()]
    if missing:
        raise LearnerError("the built book", f"no page {missing[0]}", "it was not built, or before a chapter was added", "make book")
    return names


def one_page(site: Path) -> str:
    """HTML of all pages, one after the other, with the head of a page that has formulae."""
    from bs4 import BeautifulSoup

    names = pages_in_order(site)
    soups = {name: BeautifulSoup((site / name).read_text(encoding="utf8"), "html.parser") for name in names}
    frame = next((soup for soup in soups.values() if "mathjax" in str(soup.head).lower()), soups[names[0]])
    articles = {name: soups[name].select_one("article.bd-article") for name in names}
    _link_within(articles)
    articles = [_moved(article, posixpath.dirname(name)) for name, article in articles.items()]
    return (f'<!doctype html><html lang="en" data-theme="light">{_moved(frame.head, posixpath.dirname(_name_of(frame, soups)))}{STYLE}'
            f'<body><main class="bd-article" style="max-width:100%">{"".join(map(str, articles))}</main></body></html>')


def _link_within(articles: dict) -> None:
    """Let links from page to page lead to places of the one document: to a heading whose id no other page has, else to the page's beginning.

    Links to pages that are not printed, the reference of the library, become plain words.
    """
    owners = Counter(tag["id"] for article in articles.values() for tag in article.find_all(id=True))
    for name, article in articles.items():
        article["id"] = _anchor(name)
        for tag in article.find_all("a", href=True):
            address, _, place = tag["href"].partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), address)) if address else name
            if re.match(r"[a-z]+:|//", tag["href"]):
                continue
            if target in articles:
                tag["href"] = f"#{place}" if owners[place] == 1 else f"#{_anchor(target)}"
            else:
                del tag["href"]


def _anchor(name: str) -> str:
    """Id of a page in the printed copy."""
    return "page-" + re.sub(r"\W+", "-", name.removesuffix(".html"))


def _name_of(soup, soups: dict) -> str:
    return next(name for name, other in soups.items() if other is soup)


def _moved(element, folder: str):
    """An element whose addresses, relative to `folder`, are relative to the printed page; everything folded is open."""
    for attribute in ("src", "href"):
        for tag in element.find_all(attrs={attribute: True}):
            if not re.match(r"[a-z]+:|#|//", tag[attribute]):
                tag[attribute] = posixpath.relpath(posixpath.join(folder, tag[attribute]), posixpath.dirname(PRINT_PAGE))
    for tag in element.find_all("details"):
        tag["open"] = ""
    return element


def print_book(site: Path, target: Path) -> None:
    """Lay out the one page in a browser and write it as PDF."""
    from playwright.sync_api import sync_playwright

    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        raise LearnerError("a Chromium", "none", next_step="apt-get install chromium, or name it in CHROMIUM")
    page_file = site / PRINT_PAGE
    page_file.write_text(one_page(site), encoding="utf8")
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(page_file.resolve().as_uri())
        page.evaluate("Object.assign(document.documentElement.dataset, {theme: 'light', mode: 'light'})")  # the theme's script asked the system
        page.wait_for_function("[...document.querySelectorAll('.plotly-figure')].every(figure => figure.dataset.drawn)", timeout=300_000)
        page.evaluate("window.MathJax?.startup?.promise")
        page.pdf(path=target, format="A4", print_background=True, scale=0.7)
        browser.close()
    page_file.unlink()


def main() -> int:
    """Print the built book and say where it is."""
    target = ROOT / BUILD / "minideeptalk.pdf"
    try:
        print_book(ROOT / BUILD / "html", target)
    except LearnerError as error:
        print(error)
        return 1
    print(f"book: printed, {target.stat().st_size / 1e6:.0f} MB. Open {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
