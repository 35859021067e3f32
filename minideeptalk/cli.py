"""The command line: each command turns its arguments into one call of the library, and prints what came back.

Exit status: 0 all well, 1 `doctor` found a fault or `compare` a difference, 2 bad input (one line on stderr), 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
import warnings

from minideeptalk import __version__
from minideeptalk.allocator import keep_memory
from minideeptalk.errors import LearnerError

BAD_INPUT, INTERRUPTED = 2, 130
LIGHT = ("doctor", "record")  # commands that compute nothing; all others ask for memory that is kept
QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1",
         "PYTHONWARNINGS": "ignore", "TOKENIZERS_PARALLELISM": "false"}


class OneLineParser(argparse.ArgumentParser):
    """A parser that answers bad arguments in one line."""

    def error(self, message):
        """Print the line and leave with status 2."""
        self.exit(BAD_INPUT, f"{self.prog}: {message}; `{self.prog} --help` shows how\n")


def doctor(args) -> int:
    """Look at this machine; 1 if something needed is missing."""
    from minideeptalk.teaching.doctor import examine, report, to_dict

    checks = examine()
    result = to_dict(checks)
    print(json.dumps(result, indent=1) if args.json else report(checks))
    return 0 if result["ready"] else 1


def train(args) -> int:
    """Run the recipe and write the report."""
    from minideeptalk.records import show
    from minideeptalk.teaching.demo import show_run, train

    record = train(args.out, args.size, args.seed, args.arm, args.resume, progress=not args.quiet)
    shown = show_run(args.out, record)
    print(f"\n{show(record)}\n\nreport    {shown.report.resolve()}\nnext      minideeptalk talk {args.out} --audio question.wav --out answer.wav")
    return 0


def evaluate(args) -> int:
    """Measure again; print the fresh metrics."""
    from minideeptalk.baselines import find_arm
    from minideeptalk.records import show
    from minideeptalk.training.evaluate import evaluate_run

    record = evaluate_run(args.run, find_arm, args.seed)
    print(json.dumps(record["metrics"], indent=1) if args.json else show(record))
    return 0


def talk(args) -> int:
    """Ask one question; a question that was not understood is an answer, not an error."""
    from minideeptalk.baselines.talking import open_run
    from minideeptalk.inference.sampling import Sampling
    from minideeptalk.inference.talk import ask

    sampling = Sampling(args.temperature, args.top_k, args.top_p, args.repetition_penalty, args.seed)
    reply = ask(args.run, args.audio, args.text, args.out, sampling, args.mirror, args.stage, not args.one_row, open_run)
    if args.json:
        print(json.dumps(reply, indent=1))
    else:
        print(reply["text"] + (f"\n(sound in {reply['audio']})" if reply["audio"] else ""))
    return 0


def dpo(args) -> int:
    """Make pairs, train stage 4, compare."""
    from minideeptalk.training.dpo_run import preference_table, run_dpo
    from minideeptalk.training.preferences import PreferencePlan

    record = run_dpo(args.run, PreferencePlan(requests=args.requests), args.seed, progress=not args.quiet)
    print(json.dumps(record["metrics"]["preference"], indent=1) if args.json else preference_table(record))
    return 0


def profile(args) -> int:
    """Print expert loads and the selection."""
    from minideeptalk.records.tables import load_table
    from minideeptalk.training.folders import profile_of

    found = profile_of(args.run)
    print(json.dumps(found, indent=1) if args.json else load_table(found["loads"], found["selection"]))
    return 0


def explain(args) -> int:
    """Look into a finished run."""
    from minideeptalk.baselines import find_arm
    from minideeptalk.records.finding import write_finding
    from minideeptalk.training.explain import explain_run, explanation

    found = explain_run(args.run, find_arm, seed=args.seed, say=lambda line: print(line, file=sys.stderr))
    if args.out:
        write_finding(found, args.out)
    print(json.dumps(found, indent=1) if args.json else explanation(found))
    return 0


def record_show(args) -> int:
    """Print a run record."""
    from minideeptalk.records import read_record, show
    from minideeptalk.records.tables import markdown

    found = read_record(args.path)
    print(json.dumps(found, indent=1) if args.json else markdown(found) if args.markdown else show(found))
    return 0


def bench(args) -> int:
    """Measure speed beside the peers; `all` is one benchmark after another."""
    from minideeptalk.benchmarks import BENCHMARKS, bench, record_path, table, write

    records = []
    for name in BENCHMARKS if args.benchmark == "all" else (args.benchmark,):
        records.append(bench(name, args.size, args.threads, args.rounds, args.run if name == "talk" or args.benchmark != "all" else None))
        if args.out:
            write(records[-1], record_path(args.out, records[-1]))
        if not args.json:
            print(table(records[-1]))
    if args.json:
        print(json.dumps(records if args.benchmark == "all" else records[0], indent=1))
    return 0


def demo(args) -> int:
    """Train, ask, report."""
    from minideeptalk.teaching.demo import run_demo

    run_demo(args.out, args.scratch, args.seed, progress=not args.quiet)
    return 0


def study(args) -> int:
    """Run what is missing of a study, or print its table."""
    from minideeptalk.teaching.research import study, table_of

    if not args.table:
        study(args.out, args.size, args.tier, args.arms, args.seed, args.seeds, args.scale, args.workers, args.trials, args.rates)
    print(table_of(args.out))
    return 0


def compare(args) -> int:
    """Run a record again; 1 if a metric lies outside its band."""
    from minideeptalk.teaching.research import compare

    report, inside = compare(args.record, args.out)
    print(report)
    return 0 if inside else 1


def build_parser() -> argparse.ArgumentParser:
    """All commands with the words of their `--help`."""
    parser = OneLineParser(prog="minideeptalk", description="A spoken language model in miniature: train it, talk to it, look inside.",
                           epilog="Begin with: minideeptalk doctor, then minideeptalk demo --out runs/demo")
    parser.add_argument("--version", action="version", version=f"minideeptalk {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=OneLineParser, required=True)
    for add in (_add_doctor, _add_demo, _add_train, _add_evaluate, _add_talk, _add_dpo, _add_profile, _add_explain, _add_record, _add_bench, _add_study, _add_compare):
        add(commands)
    return parser


def _command(commands, name: str, run, summary: str, teaches: str, example: str, seed: str, seed_default: int | None = 0):
    """One command; `teaches` says what it does and why, `seed` what its seed changes."""
    parser = commands.add_parser(name, help=summary, description=teaches, epilog=f"example:\n{example}",
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=seed_default, metavar="N", help=seed)
    parser.set_defaults(run_command=run, command=name)
    return parser


def _add_doctor(commands) -> None:
    parser = _command(commands, "doctor", doctor, "is everything here that is needed?", (
        "Looks at Python, the packages, torch and torchaudio (which must fit together), the device,\n"
        "threads, memory, disk, speech synthesis and the shipped data, and says what to do about each\n"
        "fault. Leaves with 0 if all is well, with 1 if not."), "  minideeptalk doctor", "accepted, as everywhere; nothing here is random")
    parser.add_argument("--json", action="store_true", help="the findings as JSON")


def _add_demo(commands) -> None:
    parser = _command(commands, "demo", demo, "train in minutes, ask a question, open a report", (
        "Takes the shipped text model, teaches it to hear and to speak (nano size, stages 1, 2.1, 2.2\n"
        "and 3), asks it a recorded question, and writes DIR/answer.wav and DIR/report.html: what it\n"
        "can do, what it forgot, which experts speak, and sounds to compare. Interrupted, it goes on\n"
        "where it was when called again."),
        "  minideeptalk demo --out runs/demo\n  minideeptalk demo --out runs/scratch --scratch     from nothing, text model included",
        "another seed is another run: weights and batches differ (default 0)", None)
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the run")
    parser.add_argument("--scratch", action="store_true", help="make everything here, from speech to text model")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def _add_train(commands) -> None:
    parser = _command(commands, "train", train, "the whole recipe, from nothing to a record", (
        "Synthesises the speech, fits the codec, trains ear and judges, pretrains the text model, then\n"
        "runs the stages: 1 alignment, profile and selection, 2.1 audio experts, 2.2 text experts, 3\n"
        "joint. Measures everything on held-out material into DIR/record.json and writes DIR/report.html.\n"
        "Ctrl-C is safe: --resume goes on from the last minute."),
        "  minideeptalk train --size nano --out runs/nano\n  minideeptalk train --resume --out runs/nano",
        "of weights and batches (default 0)", None)
    parser.add_argument("--size", metavar="SIZE", help="nano (default): minutes on 2 cores; mini: an hour or so; base: a large GPU")
    parser.add_argument("--out", required=True, metavar="DIR", help="a new folder for the run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR; size, seed and arm are taken from it")
    parser.add_argument("--arm", metavar="ARM", help="deeptalk-aligned (default): each word as it sounds; deeptalk: the paper's "
                        "layout, all text first")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def _add_evaluate(commands) -> None:
    parser = _command(commands, "evaluate", evaluate, "measure a finished run again", (
        "Asks the finished model every held-out question again: text skills by family, spoken questions,\n"
        "recognition, speaking through the judge, style, and the wait for the first sound. The numbers\n"
        "must be those of the run's record, but for the times. Writes nothing."),
        "  minideeptalk evaluate runs/nano --json", "of torch; decoding is greedy, so it should change nothing (default 0)")
    parser.add_argument("run", metavar="DIR", help="folder of a finished run")
    parser.add_argument("--json", action="store_true", help="the metrics as JSON")


def _add_talk(commands) -> None:
    parser = _command(commands, "talk", talk, "ask a question, aloud or typed", (
        "Answers a spoken question in text and sound. WAV or FLAC at any rate, up to 20 s. The model\n"
        "knows a few synthetic voices and a small world; speech that it cannot make out, human voices\n"
        "included, it answers with \"I did not understand\" (exit status 0, understood false in JSON)\n"
        "and writes no sound. A typed question is answered in text."),
        "  minideeptalk talk runs/demo --audio question.wav --out answer.wav --json\n"
        "  minideeptalk talk runs/demo --text \"what is forty two plus seven\"",
        "of the answer's chance, where --temperature is above 0 (default 0)")
    parser.add_argument("run", metavar="DIR", help="folder of a finished run")
    parser.add_argument("--audio", metavar="FILE", help="the question as WAV or FLAC")
    parser.add_argument("--text", metavar="WORDS", help="the question typed, in lower-case words of the world")
    parser.add_argument("--out", metavar="FILE", help="where the answer's sound goes (WAV or FLAC)")
    parser.add_argument("--mirror", action="store_true", help="answer in the style of the question instead of the neutral one")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T", help="0 (default): the likeliest answer; above: by chance")
    parser.add_argument("--top-k", type=int, default=0, metavar="K", help="above temperature 0: draw from the K likeliest (0, default: all)")
    parser.add_argument("--top-p", type=float, default=1.0, metavar="P", help="above temperature 0: draw from the likeliest that hold this "
                        "share (1, default: all)")
    parser.add_argument("--repetition-penalty", type=float, default=1.0, metavar="R", help="above 1, what was said becomes less likely "
                        "(1, default: it does not)")
    parser.add_argument("--one-row", action="store_true", help="no batch-parallel decoding: the speaking row finds its own words")
    parser.add_argument("--stage", default="3-joint", metavar="STAGE", help="3-joint (default), or 4-dpo after `minideeptalk dpo`")
    parser.add_argument("--json", action="store_true", help="text, what was heard, style, confidence and times as JSON")


def _add_dpo(commands) -> None:
    parser = _command(commands, "dpo", dpo, "stage 4: learn from what was better understood", (
        "Lets the finished model say each of many texts several times, ranks the takes by the judge's word\n"
        "errors, and trains on the best against the worst (DPO). Prints word errors as the judge and as the\n"
        "ear hear them, pitch spread, length and text ability before and after, on held-out material, and\n"
        "writes stages/4-dpo and record-dpo.json into DIR. Interrupted, it goes on when called again."),
        "  minideeptalk dpo runs/nano\n  minideeptalk talk runs/nano --stage 4-dpo --audio question.wav --out answer.wav",
        "of the takes and batches (default 0)")
    parser.add_argument("run", metavar="DIR", help="folder of a finished run")
    parser.add_argument("--requests", type=int, default=900, metavar="N", help="texts and questions to rank takes of (default 900)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.add_argument("--json", action="store_true", help="the comparison as JSON")


def _add_profile(commands) -> None:
    parser = _command(commands, "profile", profile, "which expert works for which modality", (
        "Shows how often each expert of each layer was chosen by text and by audio, after each stage,\n"
        "and which experts the rule chose to speak. Reads what the run measured; works while it runs."),
        "  minideeptalk profile runs/nano --json", "accepted, as everywhere; nothing is measured anew")
    parser.add_argument("run", metavar="DIR", help="folder of a run")
    parser.add_argument("--json", action="store_true", help="loads and selection as JSON")


def _add_explain(commands) -> None:
    parser = _command(commands, "explain", explain, "why does a run forget what it forgets?", (
        "Closes the audio or the text experts of a finished run, and as many by lot, and takes every exam\n"
        "again; says which weights moved in which stage and how far apart audio and text use the experts;\n"
        "reads style, skill and next word off the hidden states with linear probes. Trains nothing else.\n"
        "A run that sets no experts apart, such as puremoe, is looked into without closing any."),
        "  minideeptalk explain runs/nano --json\n  minideeptalk explain runs/nano --out why.json", "of random sets of experts (default 0)")
    parser.add_argument("run", metavar="DIR", help="folder of a finished run, with all its checkpoints")
    parser.add_argument("--out", metavar="FILE", help="also write the finding here")
    parser.add_argument("--json", action="store_true", help="the finding as JSON")


def _add_record(commands) -> None:
    parser = commands.add_parser("record", help="look at run records", description="A run record is one JSON file with everything a "
                                 "page may say about a run.", epilog="example: minideeptalk record show runs/nano")
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=OneLineParser, required=True)
    shown = _command(inner, "show", record_show, "a record as a table", (
        "Prints what ran, what it can do beside chance and ceiling, and what each text skill lost."),
        "  minideeptalk record show runs/nano\n  minideeptalk record show book/records/nano-deeptalk-aligned.json --markdown",
        "accepted, as everywhere; nothing here is random")
    shown.add_argument("path", metavar="FILE_OR_DIR", help="a record, or the folder of a run")
    form = shown.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="the abilities as a Markdown table")
    form.add_argument("--json", action="store_true", help="the record itself, after checking it against its schema")


def _add_bench(commands) -> None:
    parser = _command(commands, "bench", bench, "how fast, beside the limit and the peers?", (
        "experts: the expert layer beside a dense layer of the same active work, the clear loop and\n"
        "transformers' experts. train: a whole training step. talk: the wait for the first sound in\n"
        "parts, and single steps. codec: codes to sound. All candidates run in turns, so only their\n"
        "ratios count; close other programs first."),
        "  minideeptalk bench experts --size mini --threads 1 --json\n"
        "  minideeptalk bench all --size mini --threads 2 --out book/records",
        "accepted, as everywhere; weights and tokens of a benchmark are fixed")
    parser.add_argument("benchmark", metavar="WHAT", help="experts, train, talk, codec, or all")
    parser.add_argument("--size", default="mini", metavar="SIZE", help="nano, mini (default) or base")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of torch (default 1)")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds that count (default: enough for the benchmark)")
    parser.add_argument("--run", metavar="DIR", help="of talk: a finished run, whose voice is measured too")
    parser.add_argument("--out", metavar="DIR", help="also write the record into this folder")
    parser.add_argument("--json", action="store_true", help="the record as JSON")


def _add_study(commands) -> None:
    parser = _command(commands, "study", study, "every rival and every ablation, with seeds and intervals", (
        "Runs many arms with many seeds and writes one record a run into DIR/records. Tier A: the main\n"
        "arms, B: all rivals, C: the ablations. Arms of one seed share tools, text model and stage 1.\n"
        "Interrupted, the same command goes on. Prints the table: means over seeds with 95 % t\n"
        "intervals, differences from deeptalk-aligned paired by seed, the paper's figures beside them."),
        "  minideeptalk study --size nano --tier A --out runs/study --scale 0.5\n  minideeptalk study --out runs/study --table",
        "the first seed (default 0)")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--size", default="nano", metavar="SIZE", help="nano (default), mini or base")
    parser.add_argument("--tier", default="A", choices=("A", "B", "C"), help="which arms (default A)")
    parser.add_argument("--arms", metavar="A,B", help="only these arms, by name, instead of a tier")
    parser.add_argument("--seeds", type=int, metavar="N", help="how many seeds (default: 5 in tier A, else 3)")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="times the updates of every stage after 0 (default 1)")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="runs side by side, one thread each (default 2)")
    parser.add_argument("--trials", action="store_true", help="first try three learning rates for every arm, judged on validation")
    parser.add_argument("--rates", metavar="DIR", help="take the rates that trials in another study chose, of another size perhaps")
    parser.add_argument("--table", action="store_true", help="only print the table of what has run")


def _add_compare(commands) -> None:
    parser = _command(commands, "compare", compare, "run a published record again and hold it against a band", (
        "Does on this machine what the record says was done, and prints metric by metric what the\n"
        "record has, what came out here, and whether the difference is inside its band, which is about\n"
        "as wide as runs of one recipe with different seeds lie apart. One healthy run in about twenty\n"
        "leaves some band. Leaves with 1 if any metric is outside."),
        "  minideeptalk compare book/records/nano-deeptalk-aligned.json --out runs/again",
        "accepted, as everywhere; the record's own seed is used")
    parser.add_argument("record", metavar="RECORD", help="a record, or the folder of a run")
    parser.add_argument("--out", required=True, metavar="DIR", help="a new folder for the run; called again, it goes on")


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    for name, value in QUIET.items():  # before transformers is imported; children inherit it
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    args = build_parser().parse_args(argv)
    if args.command not in LIGHT:
        keep_memory()
    try:
        return args.run_command(args)
    except LearnerError as error:
        print(f"minideeptalk {args.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"\nminideeptalk {args.command}: interrupted{_how_to_resume(args)}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a disk or a path that says no
        print(f"minideeptalk {args.command}: {_refused(error)}", file=sys.stderr)
        return BAD_INPUT


def _refused(error: OSError) -> str:
    """Which file it was, what the system says, and the likely cause."""
    full, closed, in_the_way = "a full disk", "a missing right", "a file where a folder should be"
    causes = {errno.ENOSPC: full, errno.EDQUOT: full, errno.EACCES: closed, errno.EPERM: closed, errno.EROFS: closed,
              errno.EEXIST: in_the_way, errno.ENOTDIR: in_the_way,
              errno.ENOENT: "a place where no file or folder can be made, or one that was removed meanwhile"}
    cause = f"; likely cause: {causes[error.errno]}" if error.errno in causes else ""
    return " ".join(f"{error.filename or 'the system'}: {error.strerror or error}{cause}".split())


def _how_to_resume(args) -> str:
    if args.command == "train":
        return f"; to go on: minideeptalk train --resume --out {args.out}"
    if args.command == "demo":
        return f"; to go on: minideeptalk demo --out {args.out}{' --scratch' if args.scratch else ''}"
    return "; the same command goes on" if args.command in ("dpo", "study", "compare") else ""


if __name__ == "__main__":
    sys.exit(main())
