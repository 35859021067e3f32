"""Sounds behind one slider: on the page and in a notebook, without a kernel, by mouse, touch and keyboard.

Without JavaScript all players stand there, one below the other. On the page the slider also moves the figure just above it when that has a slider
with as many positions, and the other way round, so that a picture and its sound stay together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from html import escape

from minideeptalk.teaching.sounds import Sounds
from minideeptalk.viz.audio import AudioClip

SCRIPT = """
(function () {
  const box = document.getElementById("ID"), row = box.firstElementChild;
  const range = row.querySelector("input"), name = row.querySelector("span");
  const players = box.querySelectorAll("figure.sound"), labels = LABELS;
  const figure = () => {
    const above = [...document.querySelectorAll(".plotly-figure input[type=range]")]
      .filter((input) => input.compareDocumentPosition(box) & Node.DOCUMENT_POSITION_FOLLOWING);
    const last = above[above.length - 1];
    return last && last.max === range.max ? last : null;
  };
  const show = (position) => {
    range.value = position;
    players.forEach((player, number) => {
      player.hidden = number !== Number(position);
      if (player.hidden) player.querySelector("audio").pause();
    });
    name.textContent = "PREFIX" + labels[position];
    range.setAttribute("aria-valuetext", name.textContent);
  };
  range.addEventListener("input", () => {
    show(range.value);
    const other = figure();
    if (other && other.value !== range.value) {
      other.value = range.value;
      other.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });
  document.addEventListener("input", function follow(event) {
    if (!row.isConnected) return document.removeEventListener("input", follow);
    if (event.target === figure() && event.target.value !== range.value) show(event.target.value);
  });
  row.hidden = false;
  show(ACTIVE);
})();
"""


@dataclass(frozen=True)
class SoundSlider:
    """Clips of which a slider shows one at a time.

    Args:
        clips: `viz.AudioClip`s, each with a title and, where words are said, a transcript.
        labels: what the slider says at each clip.
        prefix: what stands before the label; also the slider's name for a screen reader.
        active: which clip it shows at first.
    """

    clips: Sequence[AudioClip]
    labels: Sequence[str]
    prefix: str
    active: int = 0

    def _repr_html_(self) -> str:
        players = Sounds(self.clips)._repr_html_()
        name = f"sounds-{blake2b(players.encode(), digest_size=6).hexdigest()}"  # the same build, the same page
        spoken = escape(self.prefix.rstrip(":= "), quote=True)
        row = (f'<div hidden><label style="display:block;max-width:26rem"><span></span><input type="range" min="0" max="{len(self.clips) - 1}" '
               f'value="{self.active}" aria-label="Sound, {spoken}" style="display:block;width:100%"></label></div>')
        labels = "[" + ",".join(map(quoted, self.labels)) + "]"
        script = SCRIPT.replace("ID", name).replace("LABELS", labels).replace('"PREFIX"', quoted(self.prefix)).replace("ACTIVE", str(self.active))
        return f'<div class="sound-slider" id="{name}">{row}{players}<script>{script}</script></div>'


def quoted(text: str) -> str:
    """A JavaScript string that cannot end the script element."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("<", "\\u003c") + '"'
