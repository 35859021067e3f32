"""The library as its reader meets it: every public class and function, what it says of itself, and the chapters that explain it.

Sources are read, never imported, so that this is quick and runs nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from minideeptalk.teaching.project import ROOT

# Chapters of the modules that do not say it themselves; a room's entry holds for all of its modules without one.
CHAPTERS = {
    "allocator": "00", "cli": "00", "config": "14", "errors": "00",
    "world": "01", "speech": "01", "speech.features": "02", "speech.files": "02", "speech.loudness": "02", "speech.pitch": "13",
    "speech.resampling": "02", "speech.grid": "06",
    "codec": "02", "codec.streaming": "12", "hearing": "03", "hearing.style_judge": "13",
    "model": "04", "model.attention": "05", "model.configuration": "05", "model.packing": "05", "model.deeptalk": "06",
    "model.streams": "06", "model.checkpoints": "09",
    "experts": "07", "experts.selection": "08", "experts.distance": "08", "experts.partition": "09", "experts.masking": "15",
    "tasks": "06", "inference": "12", "inference.talk": "00", "inference.talker": "00", "inference.decoding": "06",
    "evaluation": "14", "evaluation.text_skills": "05", "evaluation.latency": "12",
    "records": "14", "records.forgetting": "10", "records.abilities": "00",
    "training": "05", "training.preparation": "03", "training.losses": "06", "training.dpo": "11", "training.preferences": "11",
    "training.profile": "07", "training.arm": "14", "training.recipe": "10", "training.run": "10",
    "baselines": "14", "viz": "14", "viz.forgetting": "10", "viz.latency": "12", "viz.routing": "07", "viz.audio": "02",
    "viz.selection": "08", "benchmarks": "15", "teaching": "00", "teaching.checks": "00",
}
HIDDEN = re.compile(r"teaching\.checks\.chapter_\d\d$")  # solutions of exercises are no reference
MENTION = re.compile(r"\bchapters? (\d\d(?:(?:, | and | to )\d\d)*)", flags=re.IGNORECASE)


@dataclass(frozen=True)
class LibraryObject:
    """A public class or function of the library.

    Args:
        module: dotted, without the package's name. name: of the object. kind: `class` or `function`.
        signature: as a reader would write the call. docstring: its own words. chapters: two-digit numbers, in order.
        members: a class's public methods and properties, in the same form.
    """

    module: str
    name: str
    kind: str
    signature: str
    docstring: str
    chapters: tuple[str, ...] = ()
    members: tuple[LibraryObject, ...] = ()

    @property
    def path(self) -> str:
        """Full dotted name."""
        return f"minideeptalk.{self.module}.{self.name}"

    @property
    def target(self) -> str:
        """What a page links to; ids know no capitals, so a class `Pitch` and a function `pitch` need two."""
        return f"{self.path}.class" if self.kind == "class" else self.path


@dataclass(frozen=True)
class Module:
    """A module of the library: dotted name without the package's, its words, and its public objects."""

    name: str
    docstring: str
    objects: tuple[LibraryObject, ...]

    @property
    def room(self) -> str:
        """The folder it lives in, or itself where it stands alone."""
        return self.name.split(".")[0]


def modules(package: Path | None = None) -> list[Module]:
    """Every module with public objects, in the order of their names."""
    package = package or ROOT / "minideeptalk"
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name and not HIDDEN.search(name):
            found.append(read_module(name, path.read_text(encoding="utf8")))
    return [module for module in found if module.objects]


def read_module(name: str, source: str) -> Module:
    """One module from its source."""
    tree = ast.parse(source)
    docstring = ast.get_docstring(tree) or ""
    fallback = mentioned(docstring) or (CHAPTERS.get(name) or CHAPTERS.get(name.split(".")[0], "14"),)
    return Module(name, docstring, tuple(_objects(name, tree, fallback)))


def mentioned(docstring: str) -> tuple[str, ...]:
    """Chapters that a docstring names, one by one, in a list or as a range (`MENTION`)."""
    chapters = set()
    for numbers in MENTION.findall(docstring):
        for first, last in re.findall(r"(\d\d)(?: to (\d\d))?", numbers):
            chapters |= set(range(int(first), int(last or first) + 1))
    return tuple(f"{number:02}" for number in sorted(chapters))


def _objects(module: str, tree: ast.Module, fallback: tuple[str, ...]) -> Iterator[LibraryObject]:
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            docstring = ast.get_docstring(node) or ""
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            chapters = mentioned(docstring) or fallback
            yield LibraryObject(module, node.name, kind, _signature(node), docstring, chapters, tuple(_members(module, node)))


def _members(module: str, node: ast.AST) -> Iterator[LibraryObject]:
    for method in node.body if isinstance(node, ast.ClassDef) else ():
        docstring = ast.get_docstring(method) if isinstance(method, ast.FunctionDef) else None
        if docstring and not method.name.startswith("_"):
            is_property = any("property" in ast.unparse(decorator) for decorator in method.decorator_list)
            signature = method.name if is_property else _signature(method)
            yield LibraryObject(module, f"{node.name}.{method.name}", "method", signature, docstring)


def _signature(node: ast.ClassDef | ast.FunctionDef) -> str:
    if isinstance(node, ast.ClassDef):
        made = next((method for method in node.body if isinstance(method, ast.FunctionDef) and method.name == "__init__"), None)
        arguments = _arguments(made.args) if made else _fields(node)
        return _wrapped(node.name, arguments, "")
    return _wrapped(node.name, _arguments(node.args), f" -> {ast.unparse(node.returns)}" if node.returns else "")


def _arguments(arguments: ast.arguments) -> list[str]:
    return [piece for piece in _split(ast.unparse(arguments)) if piece not in ("self", "cls")]


def _split(text: str) -> list[str]:
    """Split at commas outside brackets and quotes."""
    pieces, depth, current, quote = [], 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        depth += (letter in "([{") - (letter in ")]}") if not quote else 0
        if letter == "," and depth == 0 and not quote:
            pieces.append(current.strip())
            current = ""
        else:
            current += letter
    return [*pieces, current.strip()] if current.strip() else pieces


def _fields(node: ast.ClassDef) -> list[str]:
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return []
    return [ast.unparse(field).replace("\n", " ") for field in node.body if isinstance(field, ast.AnnAssign)]


def _wrapped(name: str, arguments: list[str], returns: str, width: int = 88) -> str:
    line = f"{name}({', '.join(arguments)}){returns}"
    return line if len(line) <= width else f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){returns}"
