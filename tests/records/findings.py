"""Invented findings of every kind: complete, plausible and small, so that figures and schema can be tried without a study."""

from minideeptalk.records.finding import finding

FAMILIES = ("add", "lookup", "story", "count")
STAGES = ("1", "2.1", "3")
EXPERTS = 8


def why():
    """A run of two layers with eight experts, of which two speak."""
    def exam(closed, count, draw, left):
        return {"closed": closed, "count": count, "draw": draw, "experts": [list(range(count))] * 2, "text_accuracy": dict.fromkeys(FAMILIES, 0.5 * left),
                "kept": dict(zip(FAMILIES, (left, left, 0.5 * left, 0.25 * left))), "spoken_qa_text": 0.6 * left, "spoken_qa_speech": 0.4 * left,
                "tts_wer": 1.2 - left}

    exams = [exam("nothing", 0, None, 1.0), exam("audio experts", 2, None, 0.9), exam("text experts", 6, None, 0.2),
             *(exam("drawn by lot", 2, draw, 0.7 + 0.1 * draw) for draw in range(2)), *(exam("drawn by lot", 6, draw, 0.4) for draw in range(2))]
    result = {
        "run": {"arm": "deeptalk-aligned", "seed": 0, "commit": None, "date": "2026-01-01T00:00:00Z"}, "covered": ["add", "lookup"],
        "chance": {"text_accuracy": dict.fromkeys(FAMILIES, 0.25), "spoken_qa": 0.15}, "text_before": dict.fromkeys(FAMILIES, 0.95),
        "knock_out": exams,
        "drift": [{"stage": stage, "group": group, "since_start": moved, "since_before": moved * (group == "audio experts")}
                  for stage in STAGES for group, moved in (("attention", 0.0), ("audio experts", 0.4), ("router", 0.002))],
        "load_distance": [{"stage": stage, "layer": layer, "distance": 0.2 * number + 0.1 * layer}
                          for number, stage in enumerate(("0", *STAGES)) for layer in (1, 2)],
        "load_shift": [{"stage": stage, "layer": layer, "modality": modality, "since_start": 0.3, "since_before": 0.1 * layer}
                       for stage in STAGES for modality in ("audio", "text") for layer in (1, 2)],
        "probes": [{"question": question, "stage": stage, "state": state, "accuracy": (0.3 if question == "next word" else 0.35) + 0.1 * state, "control": 0.24, "chance": 0.25,
                    "classes": 4, "train_items": 100, "items": 50} for question in ("skill", "next word") for stage in ("0", "3") for state in range(4)],
        "within_frame": [{"stream": stream, "own": 2.0 + 0.1 * stream, "chained": 1.9, "control": 2.0} for stream in range(3)],
    }
    return finding("why", "nano", [0], {"draws": 2}, 12.5, result)


def load_and_importance():
    """Three text models, in which load agrees with importance the less the more the load was evened out."""
    def model(name, weight, seed, agree):
        load = [[0.02 + 0.03 * expert for expert in range(EXPERTS)]] * 2
        rise = [[agree * 0.1 * expert + (1 - agree) * (expert * 5 % EXPERTS) * 0.1 for expert in range(EXPERTS)]] * 2
        closing = [{"rule": rule, "closed": closed, "draw": draw, "kept": {family: 1 - 0.1 * closed * cost for family in FAMILIES}}
                   for closed in (1, 2, 4) for rule, draw, cost in (("lowest importance", None, 0.1), ("lowest load", None, 1 - 0.5 * agree),
                                                                    ("highest load", None, 2.0), ("drawn by lot", 0, 1.2), ("drawn by lot", 1, 0.8))]
        profile = {"load": load, "rise": rise, "correlation": [agree, agree - 0.1], "reliability": [0.9, 0.8], "evenness": [0.97, 0.98], "closing": closing}
        return {"name": name, "shipped": name == "shipped", "seed": seed, "balance_weight": weight, "updates": 100,
                "train_seconds": None if name == "shipped" else 9.0, "text_accuracy": dict.fromkeys(FAMILIES, 0.9),
                "profiles": {"covered": profile, "eight": profile}}

    models = [model("shipped", 0.001, 0, 0.3), model("balance 0, seed 0", 0.0, 0, 0.9), model("balance 0, seed 1", 0.0, 1, 0.8)]
    result = {"by_chance": 0.7, "profiles": {"covered": ["add", "lookup"], "eight": ["add", "lookup"]}, "held_out": ["story", "count"], "models": models}
    return finding("load-and-importance", "nano", [0, 1], {"updates": 100}, 30.0, result)


def style():
    """Three systems: one that gives the style back, one that half does, and one that reads words only."""
    styles = ("neutral", "happy", "sad", "angry")

    def table(right, columns):
        return [[right if one == column else (20 - right) // (columns - 1) for column in range(columns)] for one in range(4)]

    def run(arm, right, seed):
        blind = arm == "cascade"
        return {"arm": arm, "seed": seed, "commit": None, "date": "2026-01-01T00:00:00Z", "updates": 100, "items": 80, "reads_words_only": blind,
                "named": [[0, 0, 0, 0, 20]] * 4 if blind else table(right, 5), "mirrored": [[20, 0, 0, 0]] * 4 if blind else table(right, 4),
                "right_words": 0.5, "voices": {style: {"hz": 200.0 + 10 * number, "spread_hz": 20.0, "seconds_per_word": 0.3} for number, style in enumerate(styles)},
                "probes": {place: {"accuracy": 0.9 - 0.1 * number, "control": 0.25, "chance": 0.25} for number, place in enumerate(("ear", "read", "thought", "voice"))},
                "examples": [{"style": style, "asked": "say red cat", "heard": "say red cat", "answer": "red cat",
                              "codes": [[number] * 7] * 6} for number, style in enumerate(styles)]}

    runs = [run(arm, right, seed) for arm, right in (("deeptalk-aligned", 17), ("modular", 8), ("cascade", 5)) for seed in (0, 1)]
    return finding("style", "nano", [0, 1], {"probe_items": 100}, 60.0, {"styles": styles, "chance": 0.25, "ceiling": {"mirrored": 0.98}, "runs": runs})


def rates():
    """Two arms at three rates and two seeds: one trades text for speech, the other keeps its text."""
    trials = [{"arm": arm, "factor": factor, "seed": seed, "spoken_qa_text": 0.4 + 0.1 * place, "said": 0.2 + 0.2 * place, "covered_text": 0.9, "score": 0.5,
               "kept": {"all": 1 - cost * place - 0.01 * seed, "covered": 1.0, "uncovered": 1 - 1.4 * cost * place}}
              for arm, cost in (("deeptalk-aligned", 0.05), ("puremoe", 0.3)) for place, factor in enumerate((0.3, 1.0, 3.0)) for seed in (0, 1)]
    return finding("rates", "nano", [0, 1], {"scale": 0.5}, 1.0, {"trials": trials})


def second_runs():
    """Two records that were run again: one came out much the same, one forgot its text."""
    first = {"spoken_qa_text": 0.5, "relative_text_drop.all": 0.05, "asr_wer": None}
    runs = [{"arm": "deeptalk-aligned", "seed": seed, "shared": f"aligned-0a1b-s{seed}", "seconds": 200.0, "devices": ["one", "other"], "commits": [None, None], "record": first,
             "here": first | {"relative_text_drop.all": lost}, "outside": ["relative_text_drop.all"] if lost > 0.5 else []}
            for seed, lost in ((0, 0.06), (1, 0.9))]
    return finding("second-runs", "nano", [0, 1], {"runs": 2, "lot": 0}, 400.0, {"runs": runs})


INVENTED = {"why": why, "load-and-importance": load_and_importance, "style": style, "rates": rates, "second-runs": second_runs}
