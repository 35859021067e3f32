"""The built book as files: links lead somewhere, pictures have alternative text, nothing is loaded from elsewhere, sizes are kept."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from minideeptalk.teaching.library import modules
from minideeptalk.teaching.reference import anchor, chapter_names, reference_pages
from tests.book.conftest import pages


class Parts(HTMLParser):
    """Collects links, loaded addresses, ids and pictures without alternative text of one page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.ids, self.bare = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found["id"]} if found.get("id") else set()
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in ("script", "img", "audio", "source", "iframe") and found.get("src"):
            self.loads.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "preload", "icon", "shortcut icon"):
            self.loads.append(found["href"])
        if tag == "img" and not found.get("alt"):
            self.bare.append(found.get("src"))


def parsed(site):
    return {name: Parts((site / name).read_text(encoding="utf8")) for name in pages()}


def test_there_is_a_page_for_every_line_of_the_contents(site):
    contents = re.findall(r"(?:root|file): (\S+)", (site.parents[1] / "_toc.yml").read_text(encoding="utf8"))
    assert {f"{name}.html" for name in contents} | {f"book/made/{name[:-3]}.html" for name in reference_pages()} == set(pages())


def test_every_library_object_links_to_its_chapters_and_they_link_back(site):
    links = {name: set(page.links) for name, page in parsed(site).items()}
    chapters = chapter_names()
    for module in modules():
        room = f"book/made/api-{module.room}.html"
        for entry in module.objects:
            named = [chapters[number] for number in entry.chapters if number in chapters]
            assert all(f"../../notebooks/{name}.html" in links[room] for name in named), entry.path
            back = f"../{room}#{anchor(entry.target)}"
            assert all(back in links[f"notebooks/{name}.html"] for name in named), entry.path


def test_every_figure_can_be_told_in_words_and_every_picture_is_a_drawing_of_this_book(site):
    for name in pages():
        text = (site / name).read_text(encoding="utf8").partition("<article")[2]
        assert len(re.findall('<figure class="plotly-figure" role="group" aria-label="[^"]{20,}"', text)) == text.count('class="plotly-figure"')
        pictures = re.findall(r'<img[^>]* src="([^"]+)"', text)
        assert all(picture.endswith(".svg") for picture in pictures), f"{name} shows a picture that no record made: {pictures}"


def test_internal_links_and_anchors_exist(site):
    every = parsed(site)
    broken = []
    for name, page in every.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("//"):
                continue
            target = ((site / name).parent / unquote(parts.path)).resolve() if parts.path else (site / name).resolve()
            if not target.exists():
                broken.append((name, link))
                continue
            known = every.get(str(target.relative_to(site.resolve())))
            if parts.fragment and known and parts.fragment not in known.ids:
                broken.append((name, link))
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(site):
    assert [(name, load) for name, page in parsed(site).items() for load in page.loads if urlsplit(load).scheme not in ("", "data")] == []


def test_every_picture_has_alternative_text(site):
    assert [(name, picture) for name, page in parsed(site).items() for picture in page.bare] == []


def test_no_output_shows_an_error_and_no_directive_stands_raw(site):
    for name in pages():
        text = (site / name).read_text(encoding="utf8")
        assert "Traceback (most recent call last)" not in text, name
        assert not re.search(r"<p>(```|:::)\{?", text), name


def test_no_number_of_a_chapter_left_its_recorded_band(site):
    for name in pages():
        text = (site / name).read_text(encoding="utf8")
        assert "OUTSIDE the recorded band" not in text, name
        if "15_out_of_the_toy" not in name:  # measures people only where their recordings are
            assert "(no record to compare with)" not in text, name


def test_sizes_are_kept(site):
    assert sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) < 40e6
    for name in pages():
        assert (site / name).stat().st_size < 3e6, name
