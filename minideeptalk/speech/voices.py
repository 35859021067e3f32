"""Who speaks, and how: a few synthetic voices and four speaking styles.

Users have many voices, the assistant has one. One voice stays out of all training, so that a number can be
reported for somebody the model never met. A style is a set of four espeak-ng settings and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from minideeptalk.config import STYLES as STYLE_NAMES
from minideeptalk.errors import LearnerError


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker.

    Args:
        name: what this project calls the speaker.
        espeak: espeak-ng language and voice variant, such as `en-us+f3`.
        sex: `female` or `male`, as the variant is meant to sound.
        accent: in words.
        pitch_scale: multiplies the pitch of every style, so that speakers differ and styles keep their order.
        rate_scale: multiplies the speaking rate of every style.
    """

    name: str
    espeak: str
    sex: str
    accent: str
    pitch_scale: float = 1.0
    rate_scale: float = 1.0


@dataclass(frozen=True)
class Style:
    """A speaking style in espeak-ng's own units.

    Args:
        name: one of neutral, happy, sad, angry.
        rate: words a minute.
        pitch: base pitch, 0 to 99.
        range: how far the pitch moves, 0 to 99.
        volume: amplitude, 0 to 200. Loudness is normalised afterwards, so this changes timbre only.
    """

    name: str
    rate: int
    pitch: int
    range: int
    volume: int


USER_VOICES: tuple[Voice, ...] = (
    Voice("amy", "en-us+f2", "female", "American", pitch_scale=0.95),
    Voice("bob", "en-us+m3", "male", "American"),
    Voice("rose", "en-gb-x-rp+f4", "female", "Received Pronunciation", pitch_scale=0.9, rate_scale=1.05),
    Voice("ian", "en-gb-scotland+m1", "male", "Scottish", pitch_scale=1.15, rate_scale=0.95),
    Voice("tony", "en-us-nyc+m7", "male", "New York", rate_scale=1.05),
    Voice("joy", "en-029+f5", "female", "Caribbean", pitch_scale=1.1),
    Voice("ted", "en-gb-x-gbclan+m2", "male", "Lancashire", pitch_scale=0.85, rate_scale=0.95),
)
HELD_OUT_VOICE = Voice("wendy", "en-gb-x-gbcwmd+f1", "female", "West Midlands")
ASSISTANT_VOICE = Voice("assistant", "en-us+f3", "female", "American")

VOICES: dict[str, Voice] = {voice.name: voice for voice in (*USER_VOICES, HELD_OUT_VOICE, ASSISTANT_VOICE)}

STYLES: dict[str, Style] = {
    style.name: style
    for style in (
        Style("neutral", 165, 50, 50, 90),
        Style("happy", 200, 70, 95, 110),
        Style("sad", 125, 35, 12, 60),
        Style("angry", 190, 42, 85, 180),
    )
}
assert tuple(STYLES) == STYLE_NAMES  # the order is the order of the style tokens


def find_voice(voice: str | Voice) -> Voice:
    """The voice of that name (a `Voice` is passed through). Raises `LearnerError` for an unknown name."""
    if isinstance(voice, Voice):
        return voice
    if voice not in VOICES:
        raise LearnerError(f"a voice out of {', '.join(VOICES)}", repr(voice),
                           next_step="build your own: Voice('eve', 'en-us+f1', 'female', 'American')")
    return VOICES[voice]


def find_style(style: str | Style) -> Style:
    """The style of that name (a `Style` is passed through). Raises `LearnerError` for an unknown name."""
    if isinstance(style, Style):
        return style
    if style not in STYLES:
        raise LearnerError(f"a style out of {', '.join(STYLES)}", repr(style))
    return STYLES[style]
