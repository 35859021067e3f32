"""The printable copy: one document, whose links lead to its own places and to nobody's folder."""

import pytest

from minideeptalk.teaching import print_book

PAGE = """<html><head><title>x</title></head><body><article class="bd-article"><h1 id="title">{title}</h1><h2 id="exercises">E</h2>
<h2 id="{own}">own</h2>{links}<details><summary>S</summary>hint</details><img src="../_images/a.png"></article></body></html>"""


@pytest.fixture
def printed(tmp_path, monkeypatch):
    from bs4 import BeautifulSoup

    links = ('<a href="02.html">next</a><a href="02.html#second">part</a><a href="02.html#exercises">theirs</a><a href="#first">here</a>'
             '<a href="../book/made/api-model.html#x">class</a><a href="https://arxiv.org/abs/2506.21864">paper</a>')
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01.html").write_text(PAGE.format(title="One", own="first", links=links))
    (tmp_path / "notebooks" / "02.html").write_text(PAGE.format(title="Two", own="second", links=""))
    monkeypatch.setattr(print_book, "pages_in_order", lambda site: ["notebooks/01.html", "notebooks/02.html"])
    return BeautifulSoup(print_book.one_page(tmp_path), "html.parser")


def test_links_lead_to_places_of_the_document(printed):
    found = {tag.text: tag.get("href") for tag in printed.find_all("a")}
    assert found == {"next": "#page-notebooks-02", "part": "#second", "theirs": "#page-notebooks-02", "here": "#first", "class": None,
                     "paper": "https://arxiv.org/abs/2506.21864"}
    assert all(printed.find(id=href[1:]) for href in found.values() if href and href.startswith("#"))


def test_pictures_are_found_and_nothing_stays_folded(printed):
    assert {tag["src"] for tag in printed.find_all("img")} == {"../_images/a.png"}
    assert all(tag.has_attr("open") for tag in printed.find_all("details"))
