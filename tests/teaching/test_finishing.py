"""The last touch on a built page: its sounds become files, once; roles and landmarks are mended."""

import base64

from minideeptalk.teaching.finishing import finish_pages

SOUND = b"fLaC not really"
PAGE = f"""<div class="sidebar-primary-items__start sidebar-primary__section"></div><div role="doc-biblioentry"></div>
<audio controls src="data:audio/flac;base64,{base64.b64encode(SOUND).decode()}"></audio>"""


def test_a_sound_becomes_a_file_beside_the_pages(tmp_path):
    for name in ("notebooks/one.html", "book/two.html"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(PAGE)
    finish_pages(tmp_path)
    (clip,) = (tmp_path / "_static" / "clips").iterdir()
    assert clip.read_bytes() == SOUND and clip.suffix == ".flac"
    assert f'src="../_static/clips/{clip.name}"' in (tmp_path / "notebooks" / "one.html").read_text()


def test_a_finished_page_stays_as_it_is(tmp_path):
    page = tmp_path / "index.html"
    page.write_text(PAGE)
    finish_pages(tmp_path)
    once, when = page.read_text(), page.stat().st_mtime_ns
    finish_pages(tmp_path)
    assert page.read_text() == once and page.stat().st_mtime_ns == when


def test_the_sidebar_is_a_landmark_and_a_reference_an_entry_of_its_list(tmp_path):
    page = tmp_path / "index.html"
    page.write_text(PAGE)
    finish_pages(tmp_path)
    assert 'role="navigation" aria-label="Book"' in page.read_text() and 'role="listitem"' in page.read_text()
