"""Every page in a real browser, as a phone and as a desk, in light and dark: no error, no request to elsewhere, nothing sticks out, nothing
that axe-core calls a barrier, every control changes its figure, every sound can be heard and read."""

import functools

import pytest

from tests.book.conftest import Visit, pages, visits

pytestmark = pytest.mark.browser
QUIETEST = 0.005  # root mean square of full scale; about 46 dB below the loudest tone

BARRIERS = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations.flatMap(rule =>
    rule.nodes.slice(0, 4).map(node => rule.id + ' at ' + node.target.join(' ') + ': ' + (node.any[0] || node.all[0] || node.none[0]).message))"""
# What one control belongs to and what that shows now: a figure's data, or what else stands around the control, but never the handle itself.
SHOWN = """control => {
    const plot = control.closest('.plotly-figure')?.querySelector('.plotly-place');
    if (plot) return JSON.stringify([plot.data.map(trace => [trace.x, trace.y, trace.z, trace.r, trace.visible, trace.opacity, trace.marker, trace.line, trace.text]),
                                     plot.layout.title, plot.layout.annotations, plot.layout.shapes]);
    const copy = control.closest('figure, [data-explorer], .output').cloneNode(true);
    for (const part of copy.querySelectorAll('input, select, button, output, label, script, style')) part.remove();
    return copy.innerHTML; }"""
# Decodes each clip of the page: seconds, level, and the words beside it.
SOUNDS = """async () => Promise.all([...document.querySelectorAll('audio')].map(async node => {
    const bytes = await (await fetch(node.currentSrc || node.src || node.querySelector('source').src)).arrayBuffer();
    const sound = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(bytes);
    const wave = sound.getChannelData(0);
    const words = node.getAttribute('aria-label') || node.closest('figure')?.querySelector('figcaption')?.textContent || '';
    return [sound.duration, Math.sqrt(wave.reduce((sum, value) => sum + value * value, 0) / wave.length), words.trim()]; }))"""
CONTROLS = ".bd-article :is(input[type=range], .figure-buttons button[aria-pressed=false], [data-explorer] button[aria-pressed=false])"
AT_END = "node => node.value === node.max"


@functools.cache
def axe() -> str:
    """axe-core as the Python package ships it."""
    return pytest.importorskip("axe_playwright_python.base").AXE_SCRIPT


@pytest.fixture(scope="module", params=visits())
def visit(request, browser, address):
    with Visit(browser, address, *request.param) as opened:
        yield opened


def test_a_page_loads_in_peace(visit):
    assert visit.elsewhere == []
    assert visit.complaints == []
    assert visit.page.evaluate("document.documentElement.dataset.theme") == visit.theme


def test_nothing_is_wider_than_the_screen(visit):
    assert visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_axe_finds_no_barrier(visit):
    visit.page.evaluate(axe())
    assert visit.page.evaluate(BARRIERS) == []


def press(control) -> None:
    """Use a control by keyboard: a slider to its far end, since a step may rightly change nothing (alignment leaves text alone)."""
    control.focus()
    if control.evaluate("node => node.tagName") == "BUTTON":
        return control.press("Enter")
    return control.press("Home" if control.evaluate(AT_END) else "End")


def tap(control) -> None:
    """Use a control with a finger: a slider at its far end."""
    box = control.bounding_box()
    if control.evaluate("node => node.tagName") == "BUTTON":
        return control.tap()
    return control.tap(position={"x": 6 if control.evaluate(AT_END) else box["width"] - 6, "y": box["height"] / 2})


def test_every_control_changes_what_is_shown(visit):
    """On a desk by keyboard, on a phone by touch."""
    controls = [control for control in visit.page.locator(CONTROLS).element_handles() if control.is_visible()]
    for number, control in enumerate(controls):
        before = control.evaluate(SHOWN)
        (tap if visit.size == "phone" else press)(control)
        visit.page.wait_for_timeout(150)
        assert control.evaluate(SHOWN) != before, f"control {number}: {control.evaluate('node => node.outerHTML')[:200]}"


def test_every_sound_lasts_can_be_heard_and_can_be_read(visit):
    for number, (seconds, level, words) in enumerate(visit.page.evaluate(SOUNDS)):
        assert 0.1 < seconds < 30, f"sound {number}"
        assert level > QUIETEST, f"sound {number}: {words}"
        assert words, f"sound {number}"


def test_every_control_of_a_figure_has_a_name_of_its_own(visit):
    assert visit.page.locator("input[aria-label^='slider ']").count() == 0  # what a slider without `currentvalue.prefix` is called


def test_chapters_have_figures_that_move_and_sounds(browser, address):
    found = {"input[type=range]": 0, "audio": 0}
    for name in (name for name in pages() if "notebooks/00" in name or "notebooks/04" in name):
        with Visit(browser, address, name, "desk", "light") as visit:
            for what in found:
                found[what] += visit.page.locator(what).count()
    assert min(found.values()) >= 3, found


@pytest.mark.parametrize("size", ["phone", "desk"])
def test_a_long_table_is_whole_on_a_desk_and_opens_on_a_phone(browser, address, size):
    with Visit(browser, address, next(name for name in pages() if "14_" in name), size, "light") as visit:
        table = visit.page.locator("table:has(+ .more-rows)").first
        rows, button = table.locator("tbody tr"), table.locator("+ .more-rows")
        shown = [rows.nth(number).is_visible() for number in range(rows.count())]
        assert sum(shown) == (6 if size == "phone" else len(shown)) and len(shown) > 6
        if size == "phone":
            button.tap()
            assert rows.last.is_visible() and button.get_attribute("aria-expanded") == "true"
        else:
            assert not button.is_visible()


def test_figures_follow_the_switch_between_light_and_dark(browser, address):
    name = next(name for name in pages() if "04_" in name)
    ink = "getComputedStyle(document.querySelector('.plotly-place .xtick text')).fill"
    with Visit(browser, address, name, "desk", "light") as visit:
        light = visit.page.evaluate(ink)
        visit.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        visit.page.wait_for_timeout(600)
        assert visit.page.evaluate(ink) != light
