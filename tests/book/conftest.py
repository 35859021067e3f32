"""The built book, a small server for it, and a browser; tests are skipped with a reason where one is missing."""

import functools
import http.server
import threading
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parents[2] / "book" / "_build" / "html"


def pages() -> list[str]:
    """Every page of the built book, as paths below the site."""
    return sorted(str(path.relative_to(SITE)) for folder in ("book", "notebooks") for path in (SITE / folder).rglob("*.html"))


SIZES = {"phone": (390, 844), "desk": (1400, 900)}
SETTINGS = [("phone", "light"), ("desk", "dark")]  # these always; the other two take part in `make test-all`
OTHER_SETTINGS = [("phone", "dark"), ("desk", "light")]


def visits() -> list:
    """Every page in every setting, as pytest parameters; one page in one setting is opened once for all tests."""
    marks = {setting: () for setting in SETTINGS} | {setting: pytest.mark.slow for setting in OTHER_SETTINGS}
    return [pytest.param((name, *setting), id="-".join((name, *setting)), marks=mark) for name in pages() for setting, mark in marks.items()]


class Visit:
    """One page opened in one setting, with what went wrong while it loaded. Only the book's own server answers."""

    def __init__(self, browser, address, name, size, theme):
        width, height = SIZES[size]
        self.size, self.theme = size, theme
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, has_touch=size == "phone",
                                           reduced_motion="reduce")
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
        self.page.wait_for_timeout(300)

    def _guard(self, route, address):
        if route.request.url.startswith((address, "data:", "blob:")):
            return route.continue_()
        self.elsewhere.append(route.request.url)
        return route.abort()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()


@pytest.fixture(scope="session")
def site() -> Path:
    if not (SITE / "index.html").is_file():
        pytest.skip("the book is not built: make book")
    return SITE


@pytest.fixture(scope="session")
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
