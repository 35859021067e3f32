"""`report.html`: one page that shows what a run can do and what it forgot. It needs no network and no second file."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from minideeptalk.records import validate
from minideeptalk.records.abilities import abilities, percent
from minideeptalk.viz import embed
from minideeptalk.viz.audio import AudioClip, player_html
from minideeptalk.viz.forgetting import PREFIX, forgetting_by_family, forgetting_curve
from minideeptalk.viz.latency import latency_timeline
from minideeptalk.viz.routing import routing_heat_map
from minideeptalk.viz.style import join_words, stages_in_order
from minideeptalk.viz.tables import abilities_table, forgetting_table

NUMBER_AND_UNIT = re.compile(r"(?<=\d) (?=%|ms\b)")  # never apart at the end of a line


def write_report(record: Mapping, folder: str | Path, audio_clips: Sequence[AudioClip] = ()) -> Path:
    """Write `folder/report.html`, self-contained: plotly once, audio as data addresses, light and dark.

    Args:
        record: a run record as a dict (`read_record`, or `RunRecord.to_dict`); every number on the page comes from it.
        folder: where the run's files lie; made if it is missing.
        audio_clips: clips to hear; those with the role `question` and `answer` open the page.

    Returns:
        The path of the report.

    Raises:
        LearnerError: if the record breaks its schema or a clip cannot be read.
    """
    validate(record)
    folder = Path(folder)
    sections = [_opening(record, audio_clips), _abilities(record), _forgotten(record), _routing(record),
                _clips(audio_clips), _latency(record), _made(record), _go_on(folder)]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.html"
    part = folder / f".report.{os.getpid()}.part"
    part.write_text(_page(sections), encoding="utf-8")
    os.replace(part, path)
    return path


def _page(sections: Sequence[str]) -> str:
    css = embed.read_resource("report.css") + embed.figures_css()
    header, *rest = (NUMBER_AND_UNIT.sub("\u00a0", section) for section in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,"><title>minideeptalk: report of a run</title>'
        f"<style>{css}</style>{embed.plotly_script()}</head><body>"
        f'<a class="skip" href="#content">Skip to the content</a>{header}<main id="content" tabindex="-1">{"".join(rest)}</main>'
        '<footer class="page"><p>Every number on this page comes from the run record beside it, <code>record.json</code>.</p></footer>'
        f"{embed.figures_script()}</body></html>\n")


def _section(name: str, title: str, body: str) -> str:
    return f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">{title}</h2>{body}</section>'


def _opening(record: Mapping, clips: Sequence[AudioClip]) -> str:
    bubbles = "".join(_bubble(role, clip) for role in ("question", "answer") for clip in clips if clip.role == role)
    tiles = "".join(f"<li><strong>{value}</strong><span>{name}</span><span class=\"soft\">{beside}</span></li>"
                    for name, value, beside in _tiles(record))
    talk = f'<div class="talk">{bubbles}</div>' if bubbles else ""
    return (f'<header class="page"><p class="soft">minideeptalk · {escape(record["arm"])} · {record["size"]} · seed {record["seed"]}</p>'
            f"<h1>A spoken question in, a spoken answer out</h1>{talk}"
            f'<ul class="tiles" aria-label="The run in four numbers">{tiles}</ul></header>')


def _bubble(role: str, clip: AudioClip) -> str:
    words = escape(clip.transcript) or "(no words)"
    return (f'<section class="bubble {role}"><h2>{escape(clip.title)}</h2>'
            f'<p class="words">{words}</p>{player_html(clip)}{_beside(clip)}</section>')


def _beside(clip: AudioClip) -> str:
    heard = "" if clip.heard is None else f"<p><b>The judge heard:</b> {escape(clip.heard) or '(nothing)'}</p>"
    listen = f'<p class="soft">Listen for: {escape(clip.listen_for)}</p>' if clip.listen_for else ""
    return heard + listen


def _tiles(record: Mapping) -> list[tuple[str, str, str]]:
    rows = {ability.field: ability for ability in abilities(record)}
    found = []
    for field, name in (("spoken_qa_text", "of new spoken questions answered"), ("tts_wer.unseen", "of words wrong, speaking new texts"),
                        ("relative_text_drop.all", "of text ability lost"), ("first_audio_ms.p50", "to the first sound of an answer")):
        ability = rows[field]
        beside = [f"{word} {ability.show(value)}" for word, value in (("chance", ability.chance), ("ceiling", ability.ceiling))
                  if value is not None]
        found.append((name, ability.show(ability.value), ", ".join(beside)))
    return found


def _abilities(record: Mapping) -> str:
    counts = record["metrics"].get("counts", {})
    rests = f'<p class="soft">Counted on held-out items: {join_words(f"{number} {escape(name)}" for name, number in counts.items())}.</p>' \
        if counts else ""
    return _section("abilities", "What it can do", "<p>Chance is what guessing scores. The ceiling is the best that this "
                    "run's own parts allow: nobody speaks more clearly than the codec, or understands more than the ear hears.</p>"
                    f"{abilities_table(record)}{rests}")


def _forgotten(record: Mapping) -> str:
    curve = ""
    if any(row["name"].startswith(PREFIX) for row in record["curves"]):
        curve = embed.figure_html(forgetting_curve(record), "forgetting-curve", "Text accuracy over the stages, each drawn equally wide. "
                                  "Thick lines are means; the covered skills are those in the text of after-training.")
    families = embed.figure_html(forgetting_by_family(record), "forgetting-families", "Each text skill before (open) and after (filled).")
    return _section("forgotten", "What it forgot", f"<p>{_forgotten_sentence(record)}</p>{curve}{families}{forgetting_table(record)}")


def _forgotten_sentence(record: Mapping) -> str:
    drop = record["metrics"]["relative_text_drop"]
    if drop["all"] is None:
        return "How much text ability was lost was not measured in this run."
    parts = [f"{percent(drop[name])} of the skills {words}" for name, words in
             (("covered", "that after-training practises"), ("uncovered", "whose text it never repeats")) if drop[name] is not None]
    sentence = f"Learning to speak took {percent(drop['all'])} of the text ability on average: {join_words(parts)}. "
    lost = drop.get("by_family") or {}
    if lost:
        most, least = max(lost, key=lost.get), min(lost, key=lost.get)
        sentence += f"It hurt {escape(most)} most ({percent(lost[most])}) and {escape(least)} least ({percent(lost[least])}). "
    if drop.get("left_out"):
        sentence += f"Left out, because it was never learnt: {escape(join_words(drop['left_out']))}. "
    return sentence + "Guessing is taken off first, so a skill at chance counts as lost."


def _routing(record: Mapping) -> str:
    stages = stages_in_order(record["loads"])
    if not stages:
        return _section("routing", "Which experts speak", "<p>Expert loads were not recorded in this run.</p>")
    ends = list(dict.fromkeys((stages[0], stages[-1])))
    maps = "".join(embed.figure_html(routing_heat_map(record, [stage]), f"routing-{number}", f"{when}: the state after stage {escape(stage)}.")
                   for number, (when, stage) in enumerate(zip(("Before", "After"), ends, strict=False)))
    every = embed.figure_html(routing_heat_map(record), "routing-all", "Move the slider through the stages.") if len(stages) > 2 else ""
    more = f"<details><summary>Every stage, with a slider</summary>{every}</details>" if every else ""
    return _section("routing", "Which experts speak", "<p>Each cell is an expert. The brighter it is, the more of the tokens of "
                    "that kind chose it. White dots mark the experts that this run chose to speak.</p>"
                    f'<div class="pair">{maps}</div>{more}')


def _clips(clips: Sequence[AudioClip]) -> str:
    items = "".join(f"<li><h3>{escape(clip.title)}</h3>{player_html(clip)}<p>“{escape(clip.transcript) or '(no words)'}”</p>{_beside(clip)}</li>"
                    for clip in clips if clip.role not in ("question", "answer"))
    return _section("listen", "Listen", f'<ul class="clips">{items}</ul>') if items else ""


def _latency(record: Mapping) -> str:
    if not record["metrics"]["first_audio_ms"]["parts"]:
        return ""
    figure = embed.figure_html(latency_timeline(record), "latency-timeline", "The parts of the wait for the first sound, one after the other.")
    return _section("latency", "How long it thinks", figure)


def _made(record: Mapping) -> str:
    device, budget, versions = record["device"], record["budget"], record["versions"]
    memory = record["peak_memory_mb"]
    rows = [
        ("machine", f"{device['name']}, {device['threads']} threads"),
        ("time", f"{record['seconds']:.0f} seconds" + _stage_times(record)),
        ("memory", "not measured" if memory is None else f"{memory:.0f} MB at the peak"),
        ("training", (f"{budget['updates']:,} updates on {budget['tokens']:,} steps; {budget['trainable']:,} parameters trained, "
                     f"{budget['active']:,} active for one token")),
        ("date", record["date"].replace("T", " ").replace("Z", " UTC")),
        ("code", f"commit {record['commit'] or 'unknown'}" + (", with uncommitted changes" if record.get("uncommitted_changes") else "")),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions.items() if number)),
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in record["notes"])
    listed = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return _section("made", "How it was made", f"<dl>{listed}</dl>" + (f"<h3>Notes</h3><ul>{notes}</ul>" if notes else ""))


def _stage_times(record: Mapping) -> str:
    times = record.get("stage_seconds") or {}
    return f" ({', '.join(f'{name} {seconds:.0f} s' for name, seconds in times.items())})" if times else ""


def _go_on(folder: Path) -> str:
    name = escape(shlex.quote(_reader_path(folder)))
    return _section("go-on", "How to go on", (
        "<p>Ask it something yourself. It knows its own small world and synthetic voices only: when it cannot make out what "
        "it hears, it says so.</p>"
        f"<pre tabindex=\"0\">minideeptalk talk {name} --audio your-question.wav --out answer.wav</pre>"
        "<p>See every number of this run, and train a larger one:</p>"
        f"<pre tabindex=\"0\">minideeptalk record show {name}\nminideeptalk train --size mini --out runs/mini</pre>"
        "<p>Or read how it works, chapter by chapter: <code>make book</code>.</p>"))


def _reader_path(folder: Path) -> str:
    """The folder as the reader would type it: relative where that is shorter to say."""
    folder = folder.resolve()
    return folder.relative_to(Path.cwd()).as_posix() if folder.is_relative_to(Path.cwd()) else folder.as_posix()
