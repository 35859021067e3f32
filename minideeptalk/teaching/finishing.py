"""The last touch on the built pages: sounds leave the page, and what a screen reader would stumble over is put right.

Chapters carry their sounds inside, so that they play in Colab and Jupyter. On the site each becomes a file that is fetched when it is
played, and a page of many sounds opens as fast as any other.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

CLIPS = Path("_static", "clips")
INLINE_SOUND = re.compile(r'src="data:audio/([a-z-]+);base64,([A-Za-z0-9+/=\s]+)"')
ENDINGS = {"x-wav": "wav", "mpeg": "mp3"}
# What the theme and the bibliography leave to be desired, and what we say instead.
MENDED = {
    '<div class="sidebar-primary-items__start sidebar-primary__section">':
        '<div class="sidebar-primary-items__start sidebar-primary__section" role="navigation" aria-label="Book">',
    'role="doc-biblioentry"': 'role="listitem"',
}


def finish_pages(site: Path) -> None:
    """Rewrite every page of a built site in place; a page that is finished stays as it is."""
    for page in sorted(site.rglob("*.html")):
        before = page.read_text(encoding="utf8")
        after = sounds_as_files(mended(before), site, page.parent)
        if after != before:
            page.write_text(after, encoding="utf8")


def mended(html: str) -> str:
    """A page with its landmarks and roles in order."""
    for found, wanted in MENDED.items():
        html = html.replace(found, wanted)
    return html


def sounds_as_files(html: str, site: Path, folder: Path) -> str:
    """A page whose inline sounds are files of the site, each named by its content.

    Args:
        html: of a page that lies in `folder`, which lies in `site`.
    """
    def moved(match: re.Match) -> str:
        content = base64.b64decode(match[2])
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.{ENDINGS.get(match[1], match[1])}"
        target = site / CLIPS / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return f'src="{Path(os.path.relpath(target, folder)).as_posix()}"'

    return INLINE_SOUND.sub(moved, html)
