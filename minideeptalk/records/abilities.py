"""What a run can do, one ability a row: the measured value, chance and ceiling beside it, and a plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


def percent(value: float | None) -> str:
    """A fraction as readers see it: `40 %`, one decimal below 10 %, and a dash where nothing was measured."""
    if value is None:
        return "-"
    number = round(100 * value, 1)
    return f"{number:.1f} %" if 0 < abs(number) < 10 else f"{number:.0f} %".replace("-0 ", "0 ")


def milliseconds(value: float | None) -> str:
    """A time as readers see it: `420 ms`."""
    return "-" if value is None else f"{value:.0f} ms"


@dataclass(frozen=True)
class Ability:
    """One row of the table of abilities.

    `chance` is what guessing scores and `ceiling` the best this run could score (None where the notion has no sense or
    was not measured); for error rates and times lower is better.
    """

    name: str
    field: str
    value: float | None
    chance: float | None
    ceiling: float | None
    lower_is_better: bool
    meaning: str
    unit: str = "fraction"

    def show(self, value: float | None) -> str:
        return milliseconds(value) if self.unit == "ms" else percent(value)


def abilities(record: Mapping) -> list[Ability]:
    """Rows for the table, in the order in which the method meets them; numbers come from the record only."""
    metrics, chance = record["metrics"], record["metrics"]["chance"]
    ceiling, style = metrics.get("ceiling", {}), metrics["style_accuracy"]
    return [
        Ability("spoken question, text answer", "spoken_qa_text", metrics["spoken_qa_text"], chance["spoken_qa_text"],
                ceiling.get("spoken_qa_text"), False,
                "Of spoken questions never trained, this share gets exactly the right words. "
                "The ceiling is the same questions, typed."),
        Ability("spoken question, spoken answer", "spoken_qa_speech", metrics["spoken_qa_speech"],
                chance["spoken_qa_speech"], ceiling.get("spoken_qa_speech"), False,
                "The same, but the answer is the sound, written down by a judge that shares no weights with the model."),
        Ability("writing down speech (word errors)", "asr_wer", metrics["asr_wer"], None,
                ceiling.get("asr_wer", metrics.get("ear_wer")), True,
                "Word errors when the model transcribes. The ceiling is the ear alone. Zero is perfect; "
                "saying nothing costs 100 %."),
        Ability("speaking, trained texts (word errors)", "tts_wer.trained", metrics["tts_wer"]["trained"], None,
                metrics["codec_wer"], True,
                "Word errors the judge hears when the model reads out texts it was trained on. "
                "The ceiling is a perfect speaker through the same codec."),
        Ability("speaking, unseen texts (word errors)", "tts_wer.unseen", metrics["tts_wer"]["unseen"], None,
                metrics["codec_wer"], True,
                "The same for word combinations that were never trained: the difference tells speaking from reciting."),
        Ability("speaking style recognised", "style_accuracy.recognised", style["recognised"], chance["style_accuracy"],
                None, False, "How often the model names the style of a question it hears."),
        Ability("speaking style mirrored", "style_accuracy.mirrored", style["mirrored"], chance["style_accuracy"],
                style["ceiling"], False,
                "How often the answer sounds in the style of the question, by the ear of a style judge. "
                "The ceiling is that judge on real answers through the codec."),
        Ability("time to first sound", "first_audio_ms.p50", metrics["first_audio_ms"]["p50"], None, None, True,
                "From the end of the question to the first sound of the answer; half of the answers are faster.", "ms"),
        Ability("text ability lost", "relative_text_drop.all", metrics["relative_text_drop"]["all"], None, None, True,
                "The mean share of each text skill that training on speech took away, corrected for guessing. "
                "Below zero means that text got better."),
    ]
