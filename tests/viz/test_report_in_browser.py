"""The report in a real browser, with the network cut: nothing asked for, nothing clipped, everything by keyboard."""

import numpy as np
import pytest

from minideeptalk.viz import AudioClip, write_report

pytestmark = pytest.mark.browser
SETTINGS = [(390, "light"), (390, "dark"), (1400, "light"), (1400, "dark")]


@pytest.fixture
def report(record, tmp_path):
    tone = np.sin(np.arange(16000) * 0.1).astype(np.float32) * 0.5
    return write_report(record, tmp_path, [AudioClip("The question", tone, "what is two plus two", role="question"),
                                           AudioClip("The answer", tone, "four", role="answer"),
                                           AudioClip("Codec copy", tone, "what is two plus two", "the roughness")])


def open_report(browser, report, width=390, scheme="light"):
    """The page, and the list that collects whatever goes wrong on it."""
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True).new_page()
    faults = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else faults.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_function("document.querySelectorAll('figure[data-drawn] .main-svg').length > 0")
    return page, faults


@pytest.mark.parametrize(("width", "scheme"), SETTINGS)
def test_it_works_offline_and_nothing_sticks_out(browser, report, width, scheme):
    page, faults = open_report(browser, report, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    page.wait_for_function("document.querySelectorAll('figure .main-svg').length >= 6 && !document.querySelector('figure:not([data-drawn])')")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    clipped = page.evaluate("""() => [...document.querySelectorAll('figure svg text')].filter(text => {
        const inner = text.getBoundingClientRect(), outer = text.closest('figure').getBoundingClientRect();
        return inner.width && (inner.left < outer.left - 1 || inner.right > outer.right + 1);
    }).map(text => text.textContent)""")
    assert clipped == []
    assert faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_in_figures_follows_light_and_dark(browser, report, scheme):
    page, _ = open_report(browser, report, scheme=scheme)
    ink, background, drawn = page.evaluate("""() => {
        const style = element => getComputedStyle(element);
        return [style(document.body).color, style(document.body).backgroundColor, style(document.querySelector('.xtick text')).fill];
    }""")
    assert drawn == ink
    assert (sum(map(int, background[4:-1].split(","))) > 384) == (scheme == "light")


def test_the_slider_moves_by_keyboard_and_changes_the_data(browser, report):
    page, _ = open_report(browser, report)
    page.locator("summary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#routing-all input[type=range]")
    read = "JSON.stringify(document.querySelector('#routing-all .plot').data.slice(0, 2).map(trace => trace.z))"
    seen = [page.evaluate(read)]
    page.keyboard.press("Tab")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"{read} !== {page.evaluate('value => JSON.stringify(value)', seen[-1])}")
        seen.append(page.evaluate(read))
    assert len(set(seen)) == 4
    assert page.locator("#routing-all output").text_content() == "after stage 3-joint"


def test_every_clip_plays(browser, report):
    page, _ = open_report(browser, report)
    page.wait_for_function("[...document.querySelectorAll('audio')].every(clip => clip.readyState >= 1)")
    assert page.evaluate("[...document.querySelectorAll('audio')].map(clip => clip.duration)") == [1, 1, 1]


def test_the_first_stop_of_the_keyboard_skips_to_the_content(browser, report):
    page, _ = open_report(browser, report)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
