"""The live explorer of chapter 02: any words, or a recording, through the codec at any depth. Jupyter and Colab only."""

from __future__ import annotations

import torch

from minideeptalk.codec import PyramidCodec
from minideeptalk.config import STYLES
from minideeptalk.hearing import Judge
from minideeptalk.speech.features import griffin_lim, log_mel, normalise_loudness
from minideeptalk.speech.voices import ASSISTANT_VOICE, HELD_OUT_VOICE, USER_VOICES
from minideeptalk.teaching.live import told_on, uploaded_sound
from minideeptalk.teaching.sounds import Sounds
from minideeptalk.viz.audio import AudioClip

VOICES = tuple(voice.name for voice in (ASSISTANT_VOICE, *USER_VOICES, HELD_OUT_VOICE))
SHOWN_STEPS = 8


class CodecExplorer:
    """Widgets around a codec and a judge; call `show()` in the last line of a cell.

    Args:
        codec: a fitted codec.
        judge: writes down what is left of the words.
        words: what stands in the field at first.
    """

    def __init__(self, codec: PyramidCodec, judge: Judge, words: str = "seventeen yellow spoons"):
        import ipywidgets as widgets

        self.codec, self.judge = codec, judge
        self.words = widgets.Text(value=words, description="Words", continuous_update=False)
        self.voice = widgets.Dropdown(options=VOICES, value=VOICES[0], description="Voice")
        self.style = widgets.Dropdown(options=STYLES, value=STYLES[0], description="Style")
        self.depth = widgets.IntSlider(value=codec.num_codebooks, min=1, max=codec.num_codebooks, description="Codebooks")
        self.button = widgets.Button(description="Listen", button_style="primary", tooltip="Say the words and send them through the codec")
        self.upload = widgets.FileUpload(accept=".wav,.flac", multiple=False, description="Load a WAV")
        self.page = widgets.HTML(value="Press Listen.")
        self.sound, self.said = None, ""
        self.button.on_click(lambda _: self.listen())
        self.depth.observe(lambda _: self.show_again(), names="value")
        self.upload.observe(lambda change: self.listen_to_file(change["new"]), names="value")

    def show(self):
        """The widgets in one box."""
        import ipywidgets as widgets

        rows = [widgets.HBox([self.voice, self.style]), widgets.HBox([self.depth, self.button]), self.upload, self.page]
        return widgets.VBox([self.words, *rows])

    def listen(self) -> None:
        """Say the words that were typed and send them through the codec."""
        self._explained(self._say)

    def listen_to_file(self, uploaded) -> None:
        """Send a recording through the codec."""
        if uploaded:
            self._explained(lambda: (torch.as_tensor(uploaded_sound(uploaded)), ""))

    def show_again(self) -> None:
        """The same sound at another depth."""
        if self.sound is not None:
            self.page.value = codec_html(self.codec, self.judge, self.sound, self.said, self.depth.value)

    def _say(self) -> tuple[torch.Tensor, str]:
        from minideeptalk.speech.synthesis import Synthesizer

        words = self.words.value.lower()
        return torch.as_tensor(Synthesizer().speak(words, voice=self.voice.value, style=self.style.value).waveform), words

    def _explained(self, make) -> None:
        """Make a sound and show it, or the sentence of its error."""
        with told_on(self.page):
            sound, said = make()
            self.page.value = codec_html(self.codec, self.judge, sound, said, self.depth.value)
            self.sound, self.said = sound, said  # only what could be shown


def codec_html(codec: PyramidCodec, judge: Judge, sound: torch.Tensor, words: str, depth: int) -> str:
    """Three players, before and after, and the first codes; all at one loudness.

    Args:
        codec: the codec. judge: writes down each of the three. sound: (N,) at 16 kHz. words: what was said, where it is known.
        depth: how many codebooks take part.
    """
    picture = log_mel(sound)  # (F, 80)
    codes = codec.encode_mel(picture)  # (T, Q)
    sounds = {"Original:": (sound, ""), "Log-mel and back:": (griffin_lim(picture), "No codes yet: what the way back alone costs."),
              f"Through {depth} of {codec.num_codebooks} codebooks:": (griffin_lim(codec.decode_mel(codes, depth)), "What the codes can say.")}
    equal = {title: torch.as_tensor(normalise_loudness(samples)) for title, (samples, _) in sounds.items()}
    heard = judge.transcribe(list(equal.values()))
    clips = [AudioClip(title, samples, words, sounds[title][1], heard=text) for (title, samples), text in zip(equal.items(), heard)]
    rows = "<br>".join(" ".join(f"{code:3d}" for code in row[:depth]).replace(" ", "&nbsp;") for row in codes[:SHOWN_STEPS].tolist())
    return f"{Sounds(clips)._repr_html_()}<p>The first {min(SHOWN_STEPS, len(codes))} of {len(codes)} steps:<br><code>{rows}</code></p>"
