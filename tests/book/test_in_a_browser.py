"""Every page in a real browser, as a phone and as a desk, in light and dark: no error, no request to elsewhere, nothing sticks out, every
control changes its figure, every sound can be heard and read."""

import pytest

from tests.book.conftest import pages

pytestmark = pytest.mark.browser
PHONE, DESK = (390, 844), (1400, 900)
# two of the four settings always; the other two take part in `make test-all`
SETTINGS = [pytest.param(PHONE, "light", id="phone-light"), pytest.param(DESK, "dark", id="desk-dark"),
            pytest.param(PHONE, "dark", id="phone-dark", marks=pytest.mark.slow), pytest.param(DESK, "light", id="desk-light", marks=pytest.mark.slow)]


class Visit:
    """One page opened in one setting, with what went wrong while it loaded."""

    def __init__(self, browser, address, name, size, theme):
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
        self.page = self.context.new_page()
        self.complaints, self.elsewhere = [], []
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.on("response", lambda answer: self.complaints.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None)
        self.context.route("**/*", lambda route: self._guard(route, address))
        self.page.goto(address + name)
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_function("[...document.querySelectorAll('.plotly-figure')].every(figure => figure.dataset.drawn)")

    def _guard(self, route, address):
        if route.request.url.startswith((address, "data:", "blob:")):
            return route.continue_()
        self.elsewhere.append(route.request.url)
        return route.abort()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()


@pytest.mark.parametrize(("size", "theme"), SETTINGS)
def test_pages_load_in_peace(browser, address, size, theme):
    for name in pages():
        with Visit(browser, address, name, size, theme) as visit:
            visit.page.wait_for_timeout(300)
            assert visit.elsewhere == [], name
            assert visit.complaints == [], name
            sticks_out = visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert sticks_out <= 0, f"{name} is {sticks_out} px wider than the screen"
            assert visit.page.evaluate("document.documentElement.dataset.theme") == theme


def shown_data(page, number):
    """What a figure draws now: its data and title, not the position of a handle."""
    return page.evaluate(
        "number => { const place = document.querySelectorAll('.plotly-place')[number];"
        " return JSON.stringify([place.data.map(trace => [trace.x, trace.y, trace.z, trace.visible, trace.marker]), place.layout.title]); }", number)


def test_every_control_changes_the_data_of_its_figure_by_keyboard(browser, address):
    moved = 0
    for name in pages():
        with Visit(browser, address, name, DESK, "light") as visit:
            figures = visit.page.locator(".plotly-figure")
            for number in range(figures.count()):
                controls = figures.nth(number).locator("input[type=range], .figure-buttons button[aria-pressed=false]")
                for position in range(controls.count()):
                    before = shown_data(visit.page, number)
                    control = controls.nth(position)
                    control.focus()
                    at_end = control.evaluate("input => input.value === input.max")
                    control.press("Enter" if control.evaluate("node => node.tagName") == "BUTTON" else "ArrowLeft" if at_end else "ArrowRight")
                    visit.page.wait_for_timeout(300)
                    assert shown_data(visit.page, number) != before, f"{name}, figure {number}, control {position}"
                    moved += 1
    assert moved >= 3


def test_figures_follow_the_switch_between_light_and_dark(browser, address):
    name = next(name for name in pages() if "04_" in name)
    ink = "getComputedStyle(document.querySelector('.plotly-place .xtick text')).fill"
    with Visit(browser, address, name, DESK, "light") as visit:
        light = visit.page.evaluate(ink)
        visit.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        visit.page.wait_for_timeout(600)
        assert visit.page.evaluate(ink) != light


def test_every_sound_has_a_duration_and_a_transcript(browser, address):
    for name in pages():
        with Visit(browser, address, name, PHONE, "light") as visit:
            sounds = visit.page.locator("audio")
            for number in range(sounds.count()):
                sound = sounds.nth(number)
                seconds = sound.evaluate(
                    "node => new Promise((done, fail) => { node.preload = 'metadata'; node.onerror = fail; node.load();"
                    " node.onloadedmetadata = () => done(node.duration); })")
                assert 0.1 < seconds < 30, name
                assert sound.evaluate("node => !!(node.getAttribute('aria-label') || node.closest('figure')?.textContent.trim())"), name
