"""Sounds behind two sliders, one for the row and one for the column: on the page and in a notebook, without a kernel.

By mouse, touch and keyboard; without JavaScript all players stand there, one below the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from html import escape

from minideeptalk.errors import LearnerError
from minideeptalk.teaching.sound_slider import quoted
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.viz.audio import AudioClip

SCRIPT = """
(function () {
  const box = document.getElementById("ID"), head = box.firstElementChild;
  const ranges = head.querySelectorAll("input"), names = head.querySelectorAll("span");
  const players = box.querySelectorAll("figure.sound"), labels = LABELS;
  const show = () => {
    const chosen = Number(ranges[0].value) * labels[1].length + Number(ranges[1].value);
    ranges.forEach((range, axis) => {
      names[axis].textContent = labels[axis][range.value];
      range.setAttribute("aria-valuetext", names[axis].textContent);
    });
    players.forEach((player, number) => {
      player.hidden = number !== chosen;
      if (player.hidden) player.querySelector("audio").pause();
    });
  };
  ranges.forEach((range) => range.addEventListener("input", show));
  head.hidden = false;
  show();
})();
"""


@dataclass(frozen=True)
class SoundGrid:
    """Clips in rows and columns, of which two sliders show one at a time.

    Args:
        clips: row after row of `viz.AudioClip`s, all rows equally long.
        rows, columns: what the sliders say at each row and column.
        names: of the two sliders, for a screen reader.
        active: row and column of the clip that is shown at first.

    Raises:
        LearnerError: when clips and labels do not fit together.
    """

    clips: Sequence[Sequence[AudioClip]]
    rows: Sequence[str]
    columns: Sequence[str]
    names: tuple[str, str]
    active: tuple[int, int] = (0, 0)

    def __post_init__(self):
        shape = [len(row) for row in self.clips]
        if shape != [len(self.columns)] * len(self.rows):
            raise LearnerError(f"{len(self.rows)} rows of {len(self.columns)} clips, one for each pair of labels", f"rows of {shape} clips")

    def _repr_html_(self) -> str:
        players = Sounds([clip for row in self.clips for clip in row])._repr_html_()
        name = f"grid-{blake2b(players.encode(), digest_size=6).hexdigest()}"  # the same build, the same page
        sliders = "".join(_slider(spoken, len(labels), active) for spoken, labels, active
                          in zip(self.names, (self.rows, self.columns), self.active))
        labels = "[" + ",".join("[" + ",".join(map(quoted, labels)) + "]" for labels in (self.rows, self.columns)) + "]"
        script = SCRIPT.replace("ID", name).replace("LABELS", labels)
        return f'<div class="sound-grid" data-explorer id="{name}"><div hidden>{sliders}</div>{players}<script>{script}</script></div>'


def _slider(name: str, positions: int, active: int) -> str:
    return (f'<label style="display:block;max-width:26rem"><span></span><input type="range" min="0" max="{positions - 1}" value="{active}" '
            f'aria-label="Sound, {escape(name, quote=True)}" style="display:block;width:100%"></label>')
