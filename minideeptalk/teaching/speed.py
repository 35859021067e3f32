"""The page of speeds, made from the benchmark records: every row and bar, and what was tried and stays out."""

from __future__ import annotations

import json
from pathlib import Path

from minideeptalk.teaching.project import ROOT
from minideeptalk.teaching.tables import markdown_table

PAGE = """# Speed, measured beside its peers

How near is the expert layer to the limit, a dense layer with the same arithmetic for each token? Does a whole training step keep what the layer
gains? How long until the first sound? The commands `minideeptalk bench experts`, `train`, `talk` and `codec` answer on your machine; this page
shows what they answered on the one that is named with each table.

All candidates of a table ran **in turns in one process**, so compare rows of one table, not of two. *× dense* is the time over that of the dense
limit in the same run: 1 would be perfect. It depends on the processor, too: where products are quicker beside memory, all that a mixture of experts
has to move and a dense layer has not weighs more. *Products alone* is the layer without that: its rows stand sorted before the clock starts, and nothing
is summed. What it loses to the dense limit is the price of many small products instead of few large ones. In a shape, D is the width, E the experts, H
the width of one expert, K the experts of a token and N the tokens. A product is as large as the rows that one expert gets, N times K over E, so the same
experts cost less a token where N is larger. A bar is a claim that was set before it was measured.

{sections}

## What was tried and stays out

- **Unsorting the results** before adding them up (the usual spelling) reads and writes every row twice more. One sum over bags, in fixed order, took its place.
- **Plain indexing** for the gather is slower than `index_select`; with memory that the allocator has just given back, much slower. What is left of that
  goes away when freed memory is kept (`keep_memory`), which the command line and the notebooks ask for and the library never does by itself.
- **Pages of 4 KiB** make the processor look up two thousand addresses for a buffer of 8 MB. The same call asks torch for huge pages, before its first tensor.
- **torch's RMS normalisation** is, on a CPU, some fifteen operations that each read and write everything. Its gradient by hand took their place.
- **Rotation of positions and SwiGLU by hand** gain one to three percent of a step: too little for code that a reader has to understand.
- **Writing both halves of a gradient where they belong**, instead of joining them, saves a copy, some three percent of the layer. `torch.compile` cannot
  follow, so there would be two spellings of one line.
- **Keeping every row for the gradient** was quicker at few tokens and held more memory; gathering the rows again is cheaper at the sizes that matter here.
- **`torch.compile`** needs a compiler on the learner's machine and minutes of its own. It works (the grouped product is one operator to it, and a test holds
  that), but no recipe turns it on.
- **Two threads for small steps** help on an idle machine and hurt on a busy one. So the loop measures both, again and again, and takes the quicker.
- **Padding every expert to the busiest** makes each product one `bmm`, which two threads share better than many small products. With even loads it would be near
  the limit. But real loads are uneven, padding is computed like all else, and one thread gains nothing. So it is the path of GPUs without a fused kernel.
- **A thread for each half of the experts** should share small products better than two threads in each product. Waking the threads and waiting for the
  slower one cost more than that saved.
- **One expert after another, from its rows to its results**, keeps everything in the processor's cache. The many short calls cost what the cache saved.
- **Weights stored the other way round** suit the products of the forward pass, which get some percent quicker. Turning them at each step costs what that
  gains, and storing them so would leave the layout that other libraries know.
- **Half precision on a CPU** is several times slower than fp32 where the processor has no instructions for it, so it is never chosen there.
"""
TITLES = {"experts": "The expert layer", "train": "A whole training step", "talk": "Talking", "codec": "The codec"}


def speed_page(folder: Path = ROOT / "book" / "records") -> str:
    """Markdown of the page, from all `bench-*.json` of a folder and of those in it, one for each further machine."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("bench-*.json"))]
    sections = [f"## {title}\n\n" + "\n\n".join(_section(record) for record in records if record["benchmark"] == name)
                for name, title in TITLES.items() if any(record["benchmark"] == name for record in records)]
    return PAGE.format(sections="\n\n".join(sections) or "No benchmark has been recorded yet.")


def _section(record: dict) -> str:
    """One record: where it ran, its bars, its rows, its times in parts."""
    device = record["device"]["cpu"].replace("(R)", "")
    machine = f"{device}, {_counted(record['threads'], 'thread')}, torch {record['versions']['torch']}, {record['date'][:10]}"
    parts = [f"### `{record['size']}`, {_counted(record['threads'], 'thread')}, {device}\n\n*{machine}. {record['clock']}.*"]
    if record["bars"]:
        parts.append(markdown_table(("claim", "wanted", "measured", "verdict"), [_bar_cells(bar) for bar in record["bars"]]))
    if record.get("latency_ms"):
        cells = [(part, f"{value['p50']:.1f}", f"{value['p90']:.1f}") for part, value in record["latency_ms"].items()]
        parts.append(markdown_table(("part of the wait", "p50 ms", "p90 ms"), cells))
    rate = "frames/s" if record["benchmark"] == "codec" else "tokens/s"
    parts.append(markdown_table(("shape", "candidate", rate, "× dense", "peak MB"), [_row_cells(row) for row in record["rows"]]))
    return "\n\n".join([*parts, *(f"*{note}.*" for note in record["notes"])])


def _bar_cells(bar: dict) -> tuple[str, str, str, str]:
    wanted = f"at most {bar['at_most']:g}" if bar["at_most"] is not None else f"at least {bar['at_least']:g}"
    return bar["claim"], wanted, f"{bar['measured']:.3g}", "met" if bar["met"] else "**missed**"


def _row_cells(row: dict) -> tuple[str, str, str, str, str]:
    ratio, memory = row["ratio_to_dense"], row["peak_memory_mb"]
    return (row["shape"], row["name"], f"{row['tokens_per_s']:,.0f}", "-" if ratio is None else f"{ratio:.2f}",
            "-" if memory is None else f"{memory:.0f}")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

