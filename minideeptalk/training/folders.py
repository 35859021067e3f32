"""The folder of a run: what it was started with, so that it can be resumed and measured again, and no run overwrites another."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from minideeptalk.config import size_config
from minideeptalk.errors import LearnerError
from minideeptalk.records import validate
from minideeptalk.records.rows import selection_entry

SETTINGS = "config.json"


@dataclass(frozen=True)
class RunSettings:
    """What a run was started with; `config.json` in its folder.

    Args:
        size: the dial. seed: of the weights and the batches. arm: a name in `baselines.ARMS`.
        scratch: whether everything is made here, or tools and text model are the shipped ones.

    Raises:
        LearnerError: for a size that does not exist, or a negative seed.
    """

    size: str = "nano"
    seed: int = 0
    arm: str = "deeptalk-aligned"
    scratch: bool = True

    def __post_init__(self):
        size_config(self.size)
        if self.seed < 0:
            raise LearnerError("a seed of 0 or more", str(self.seed))

    @classmethod
    def read(cls, folder: Path) -> RunSettings:
        """The settings of the run in `folder`.

        Raises:
            LearnerError: if it is not the folder of a run.
        """
        for name in (SETTINGS, "record.json"):
            if (folder / name).is_file():
                stored = read_json(folder / name)
                return cls(**{key: stored[key] for key in ("size", "seed", "arm", "scratch") if key in stored})
        raise LearnerError(f"the folder of a run, with {SETTINGS} in it", _what_is_there(folder), "a mistyped path",
                           "`minideeptalk train --size nano --out DIR` makes one")


def begin_run(folder: Path, resume: bool = False, **wanted) -> RunSettings:
    """Settle what runs in `folder`, and write it down there.

    Args:
        folder: a new or empty folder; with `resume`, also one in which the same run was begun.
        wanted: fields of `RunSettings`; None or absent means the stored value, or the default in a new folder.

    Raises:
        LearnerError: a folder with something else in it, or a resumed run with other settings.
    """
    wanted = {name: value for name, value in wanted.items() if value is not None}
    if folder.exists() and not folder.is_dir():
        raise LearnerError("a folder", f"the file {folder}", next_step="give another --out")
    if not folder.exists() or not any(folder.iterdir()):
        settings = RunSettings(**wanted)
    elif not resume:
        raise LearnerError("a new or empty folder", f"{folder}, which has files in it", "an earlier run",
                           "add --resume to go on with it, or give another --out")
    else:
        settings = RunSettings.read(folder)
        differing = {name: value for name, value in wanted.items() if getattr(settings, name) != value}
        for name, value in differing.items():
            raise LearnerError(f"{name} {getattr(settings, name)!r}, as {folder} was begun", repr(value),
                               "another run lies there", "leave the setting out, or give another --out")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / SETTINGS).exists():
        (folder / SETTINGS).write_text(json.dumps(asdict(settings), indent=1) + "\n", encoding="utf-8")
    return settings


def read_json(path: Path) -> dict:
    """The JSON object in a file of a run.

    Raises:
        LearnerError: for a missing or damaged file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LearnerError(f"{path.name} in {path.parent}", "no such file", "training has not come that far",
                           f"minideeptalk train --resume --out {path.parent}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise LearnerError(f"JSON in {path}", str(error), "the file was cut off or edited by hand") from error
    if not isinstance(content, dict):
        raise LearnerError(f"a JSON object in {path}", type(content).__name__)
    return content


def profile_of(folder: Path) -> dict:
    """Expert loads and selection of a run, as far as it has come; works before it is finished, too.

    Returns:
        `loads` (rows of stage, layer, modality and the load of each expert, which sums to 1) and `selection` (None before
        stage 2.1), as in a run record.
    """
    folder = Path(folder)
    if not (folder / "parts.json").is_file():
        RunSettings.read(folder)  # which explains what is no run
    if (folder / "record.json").is_file():
        record = read_json(folder / "record.json")
        validate(record)
        return {"loads": record["loads"], "selection": record["selection"]}
    loads = read_json(folder / "parts.json").get("loads", [])
    if not loads:
        raise LearnerError("a run that has measured expert loads", f"{folder} before stage 1", "training has not come that far",
                           f"minideeptalk train --resume --out {folder}")
    return {"loads": loads, "selection": _selection(folder, min(row["layer"] for row in loads))}


def _selection(folder: Path, first_layer: int) -> dict | None:
    if not (folder / "selection.json").exists():
        return None
    stored = read_json(folder / "selection.json")
    return selection_entry(stored["audio_experts"], stored["formula"], stored["normaliser"], "1", first_layer)


def _what_is_there(folder: Path) -> str:
    if not folder.exists():
        return f"{folder}, which does not exist"
    return f"the file {folder}" if folder.is_file() else f"{folder} without one"
