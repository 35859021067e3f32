"""The page of speeds, made from the benchmark records: every row and bar, and what was tried and stays out."""

from __future__ import annotations

import json
from pathlib import Path

from minideeptalk.benchmarks.record import told
from minideeptalk.teaching.project import ROOT
from minideeptalk.teaching.tables import markdown_table

PAGE = """# Speed, measured beside its peers

How near is the expert layer to the limit, a dense layer with the same arithmetic for each token? Does a whole training step keep what the layer
gains? How long until the first sound? The commands `minideeptalk bench experts`, `train`, `talk` and `codec` answer on your machine; this page
shows what they answered on the one that is named with each table.

The candidates of one shape ran **in turns**, so compare rows of one shape, not of two tables. Shapes that differ in the number of experts alone took
turns with each other too, and so did the two processes of a training step: one keeps freed memory, and one, *allocator as found*, leaves it to the
system. *× dense* is the time over that of the dense limit in the same run: 1 would be perfect. It depends on the processor, too: where products are
quicker beside memory, all that a mixture of experts has to move and a dense layer has not weighs more. *Products alone* is the layer without that: its
rows stand sorted before the clock starts, and nothing is summed; its gradient is torch's own. What it loses to the dense limit is the price of many small products instead of few
large ones, and of larger gradients: every expert's weights get one, not only as many as a token uses. *Plain autograd* is our layer with nothing written
by hand, and *fused AdamW step alone* the optimizer's over the layer's weights, in tokens a second if every batch has as many as the shape. It is counted
apart because it grows with the experts however the layer is computed. In a shape, D is the width, E the experts, H the width of one expert, K the experts
of a token and N the tokens. A product is as large as the rows that one expert gets, N times K over E, so up to thousands of tokens the same experts cost less a
token where N is larger.

Below each heading stands the clock. In talking it is that of the rows alone: the wait for the first sound and the real-time factors are always wall
clock, because that is what a listener waits.

A bar is a claim that was set before it was measured. The shapes with the most tokens came when the bars with fewer had missed on the Intel processor, so
they are rows and no bars; the one that the bar of the layer would hold for, with few experts, misses it there, too. And a bar that is missed or met by a few
hundredths says little. An earlier run of the same layer (commit 990d0b5) missed the bar of growth with one thread on the Intel processor that the run below meets.

Why is the bar of the layer missed on the Intel processor? Look at *products alone*. At some shapes they cost more than the bar by themselves there, and at the others most
of what it allows. Only the way from them to *ours* is left to save. With two threads, the growth of the products from few experts to many is beyond its bar, too.

*Of the roofline* is an estimate of the least time that this machine's arithmetic and memory allow, over the measured time. How quick the machine is shows one large
product and one large copy in the same run. The layer is charged with its weights, input and output; a step also with the rows that a mixture of experts gathers.
What stays in a processor's cache can beat the estimate. Older tables lack the column.

A *whole training step* here reads rows of words: the language model, loss, clipping and update, without audio rows and without the heads that write codes. The claim about memory is of
the same step. Nothing on this page was measured on a GPU. The code for it (a fused kernel, padded products, half precision) is tested for what it computes, not for speed; a
step there still waits for the GPU at some places (rows that are found, counts that are read), and small batches leave it waiting for its next kernel.

Each table names its date. Those of the AMD processor are older and lack some rows: they are from before huge pages, normalisation by hand and a clear loop
that takes its weights apart once; shapes that differ in their experts did not take turns yet, nor did the two processes of a training step. There *allocator as found* ran first, and its ratio to ours
also holds what the machine did in between.

{sections}

## What was tried and stays out

What stands in no table was measured by hand, once, while it was tried; so it has words here and no numbers.

- **Unsorting the results** before adding them up (the usual spelling) reads and writes every row twice more. One sum over bags, in fixed order, took its place.
- **Plain indexing** for the gather is slower than `index_select`; with memory that the allocator has just given back, much slower.
- **The allocator as found** gives large buffers back to the system and fetches them anew. Keeping freed memory (`keep_memory`) is what the command line and
  the notebooks ask for and the library never does by itself. What it gains depends on the machine and on what a step allocates: transformers' step gains
  in the tables of the Intel processor, where both took turns; ours does not.
- **Small pages** make the processor look up an address for every few thousand bytes of a large buffer. `keep_memory` asks torch for huge pages, before its
  first tensor. By hand this showed in single operations; in a whole step of ours it does not, since rows with the allocator as found lack huge pages, too.
- **torch's RMS normalisation** is, on a CPU, a chain of small operations that each read and write everything. Its gradient by hand took their place.
- **Rotation of positions and SwiGLU by hand** gained hardly more of a step than the noise: too little for code that a reader has to understand.
- **Writing both halves of a gradient where they belong**, instead of joining them, saves a copy, which is little of the layer. `torch.compile` cannot
  follow, so there would be two spellings of one line.
- **Keeping every row for the gradient** was quicker at few tokens and held more memory; gathering the rows again is cheaper at the sizes that matter here.
- **Buffers with room ahead** for keys and values should beat transformers' cache, which copies all it had at every step. In the tables of talking they
  do not: *ours, transformers' cache* writes a short text a little quicker than *ours*. The copies of a short text are small.
- **`torch.compile`** needs a compiler on the learner's machine and minutes of its own. It takes our layer in one graph (the grouped product is one operator to it,
  and a test holds that for the tracing, not for the code that a compiler would write), but no recipe turns it on, and what it gains is in no table.
- **Two threads for small steps** help on an idle machine and hurt on a busy one. So the loop measures both, again and again, and takes the quicker.
- **Padding every expert to the busiest** makes each product one `bmm`. But loads are uneven, and padding is computed like all else. With one thread it is
  slower than ours in the tables that have this row. With two it comes near at many tokens, where it shares whole products out and ours splits each
  of them; but these tables draw experts evenly, and a trained router does not. So it is the path of GPUs without a fused kernel.
- **The gradient by hand** was meant to be quicker, too. Beside *plain autograd* it is so at the fewest tokens; at more it is about as quick. It stays for its memory: a layer keeps fewer rows for its gradient, which takes a good part off the peak of a whole step. One
  layer alone does not show that, since its peak lies inside the gradient.
- **Weights taken by index** in the clear loop, `gate_up_proj[expert]`, gave each expert a gradient as large as all of them, zeros but for its own. With 64
  experts that was most of the loop's time, and it is still the way of transformers' eager experts. The loop now takes the table apart once.
- **A thread for each half of the experts** should share small products better than two threads in each product. Waking the threads and waiting for the
  slower one cost more than that saved.
- **One expert after another, from its rows to its results**, keeps everything in the processor's cache. The many short calls cost what the cache saved.
- **Weights stored the other way round** suit the products of the forward pass, which get a little quicker. Turning them at each step costs what that
  gains, and storing them so would leave the layout that other libraries know.
- **Half precision on a CPU** is much slower than fp32 where the processor has no instructions for it, so it is never chosen there.
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
    device = record["device"]["name"].replace("(R)", "")
    machine = ", ".join([device, _counted(record["threads"], "thread"), f"torch {record['versions']['torch']}", record["date"][:10], *_circumstances(record)])
    parts = [f"### `{record['size']}`, {_counted(record['threads'], 'thread')}, {device}\n\n*{machine}. {record['clock']}.*"]
    if record["bars"]:
        parts.append(markdown_table(("claim", "wanted", "measured", "verdict"), [_bar_cells(bar) for bar in record["bars"]]))
    if record.get("latency_ms"):
        cells = [(part, f"{value['p50']:.1f}", f"{value['p90']:.1f}") for part, value in record["latency_ms"].items()]
        parts.append(markdown_table(("part of the wait", f"p50 of {record['rounds']}, ms", f"p90 of {record['rounds']}, ms"), cells))
    rate = "frames/s" if record["benchmark"] == "codec" else "tokens/s"
    parts.append(markdown_table(("shape", "candidate", rate, "× dense", "of the roofline", "peak MB"), [_row_cells(row) for row in record["rows"]]))
    return "\n\n".join([*parts, *(f"*{note}.*" for note in record["notes"])])


def _circumstances(record: dict) -> list[str]:
    """Precision, and how busy the machine was, of a record that tells."""
    load = record.get("load_average")
    return [*([record["precision"]] if "precision" in record else []), *([] if load is None else [f"load {load:.2f} at the start"])]


def _bar_cells(bar: dict) -> tuple[str, str, str, str]:
    wanted = f"at most {bar['at_most']:g}" if bar["at_most"] is not None else f"at least {bar['at_least']:g}"
    return bar["claim"], wanted, f"{bar['measured']:.4g}", "met" if bar["met"] else "**missed**"


def _row_cells(row: dict) -> tuple[str, str, str, str, str, str]:
    return (row["shape"], row["name"], f"{row['tokens_per_s']:,.0f}", told(row, "ratio_to_dense", ".2f"), told(row, "share_of_roofline", ".0%"),
            told(row, "peak_memory_mb", ".0f"))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"

