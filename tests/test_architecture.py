"""The shape of the library: imports point one way, everything public explains itself, and nothing is too long to read."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minideeptalk"

# The rooms, from the one that knows nothing to the one that may know all: a room imports only rooms above it.
# `data_samples` lives at the root for readers and is installed inside the package.
ROOMS = ("errors", "config", "allocator", "data_samples", "world", "speech", "codec", "hearing", "model", "experts", "tasks", "inference",
         "evaluation", "records", "training", "baselines", "viz", "benchmarks", "teaching", "cli")
ENTRIES = ("__init__", "__main__")  # the public API and `python -m`, which may name any room

# Where a room must not know what stands above it, and why.
BLIND_SPOTS = {
    "viz": (("tasks", "evaluation", "training", "baselines"), "figures read records, whoever made them"),
}
# Packages from outside that a room must not import.
NOT_IMPORTED = {
    "errors": ("torch", "numpy", "transformers"), "config": ("torch", "numpy", "transformers"),
    "allocator": ("numpy", "transformers"),  # torch it asks where tensors lie, when it is called
    "world": ("torch", "transformers"), "speech": ("transformers",), "records": ("transformers",),
    "cli": ("torch", "transformers", "plotly", "numpy"),
}
DRAWING = ("plotly", "matplotlib", "ipywidgets")
MAY_DRAW = ROOMS[ROOMS.index("viz"):]
LONGEST_FUNCTION, LONGEST_FILE = 60, 400
SOMEBODYS_PATH = re.compile(rb"(?<![\w./<-])/(?:root|home|Users|work|opt|mnt)/\w")

SOURCES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
relative = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())


def room_of(path):
    """The room of a source file: its folder, or its own name if it stands at the top."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported_modules(tree, package=""):
    """Full dotted names that a module imports anywhere, with `from a import b` as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package.split(".")[:len(package.split(".")) + 1 - node.level]) if node.level else ""
            base = ".".join(part for part in (start, node.module) if part)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def faults(room, names):
    """What is wrong with a module of this room that imports these names; one sentence each."""
    for name in names:
        package, *inside = name.split(".")
        if package in DRAWING and room in ROOMS and room not in MAY_DRAW:
            yield f"{room} must not draw, but imports {package}"
        if package in NOT_IMPORTED.get(room, ()):
            yield f"{room} must not know {package}"
        if package == "minideeptalk" and inside and inside != ["__version__"] and room not in ENTRIES:
            yield from _faults_inside(room, inside)


def _faults_inside(room, inside):
    other = inside[0]
    blind, reason = BLIND_SPOTS.get(room, ((), ""))
    if other not in ROOMS:
        yield f"{room} imports {'.'.join(inside)}, which has no place in the table of rooms"
    elif ROOMS.index(other) > ROOMS.index(room):
        yield f"{room} imports {other}, which stands below it"
    elif other in blind:
        yield f"{room} must not know {other}: {reason}"
    elif room == "teaching" and other == "model" and len(inside) > 1 and (PACKAGE / "model" / f"{inside[1]}.py").exists():
        yield f"teaching knows the model by its public names only, but imports model.{inside[1]}"


@pytest.mark.parametrize("room, name, wrong", [
    ("model", "minideeptalk.config.SIZES", False),
    ("model", "minideeptalk.model.router.Router", False),
    ("model", "minideeptalk.tasks", True),
    ("config", "minideeptalk.errors.LearnerError", False),
    ("config", "minideeptalk.world", True),
    ("evaluation", "minideeptalk.training.loop", True),
    ("training", "minideeptalk.records.RunRecord", False),
    ("training", "plotly.express", True),
    ("viz", "minideeptalk.training.loop", True),
    ("world", "torch", True),
    ("teaching", "minideeptalk.model.DeepTalkModel", False),
    ("teaching", "minideeptalk.model.router.Router", True),
    ("records", "minideeptalk.__version__", False),
    ("cli", "minideeptalk.training", False),
    ("speech", "minideeptalk.attic", True),
])
def test_the_rule_itself_tells_right_from_wrong(room, name, wrong):
    assert bool(list(faults(room, [name]))) is wrong


def test_relative_imports_are_read_as_what_they_mean():
    tree = ast.parse("from . import a\nfrom ..world import b\nimport torch.nn")
    assert list(imported_modules(tree, "minideeptalk.model")) == ["minideeptalk.model.a", "minideeptalk.world.b", "torch.nn"]


@relative
def test_every_module_has_a_place_in_the_table(path):
    assert room_of(path) in (*ROOMS, *ENTRIES)


@relative
def test_imports_point_one_way(path):
    package = ".".join(("minideeptalk", *path.relative_to(PACKAGE).parent.parts))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not list(faults(room_of(path), imported_modules(tree, package)))


def public_objects(tree):
    """Name and node of the module, its public classes and functions, and the public methods of those classes."""
    yield "module", tree
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_"):
            yield node.name, node
            for method in getattr(node, "body", []) if isinstance(node, ast.ClassDef) else []:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_") and not _is_declared_only(method):
                    yield f"{node.name}.{method.name}", method


def _is_declared_only(method):
    """A method that overrides one of an interface in a line or two needs no words of its own."""
    return len(method.body) <= 2


@relative
def test_everything_public_says_what_it_is(path):
    text = path.read_text(encoding="utf-8")
    if not text.strip():
        return  # an empty __init__ has nothing to say
    assert not [name for name, node in public_objects(ast.parse(text)) if ast.get_docstring(node) is None]


@relative
def test_no_function_needs_scrolling(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
                 if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


@relative
def test_no_file_holds_more_than_one_idea(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_text_names_a_path_of_one_machine():
    found = []
    for path in tracked_files():
        content = path.read_bytes()
        if b"\0" not in content[:4096]:
            found += [f"{path.relative_to(ROOT)}: {place.decode()}" for place in SOMEBODYS_PATH.findall(content)]
    assert not found


IMPORT_PROBE = """
import sys, time
start = time.perf_counter()
import minideeptalk
print(time.perf_counter() - start, *sorted({"torch", "transformers", "numpy", "plotly"} & set(sys.modules)))
"""


def test_importing_the_package_is_quick_and_loads_no_torch():
    answers = [subprocess.run([sys.executable, "-c", IMPORT_PROBE], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
               for _ in range(2)]
    assert answers[0][1:] == []
    assert min(float(answer[0]) for answer in answers) < 0.5
