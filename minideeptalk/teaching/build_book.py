"""`make book`: execute every chapter at `quick` and build the site, strict and without network.

`python -m minideeptalk.teaching.build_book` from the root of the checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from minideeptalk.teaching.appendices import write_appendices
from minideeptalk.teaching.notebooks import problems, twins
from minideeptalk.teaching.project import ROOT

BUILD = Path("book", "_build")
COMMAND = ("build", ".", "--config", "book/_config.yml", "--toc", "book/_toc.yml", "--path-output", "book", "-W", "-n", "--keep-going")


def library_fingerprint(root: Path) -> str:
    """A hash of what chapters run: the library and its samples. The cache of outputs looks at cells only, so we must."""
    digest = hashlib.sha256()
    for folder in ("minideeptalk", "data_samples", "book/records"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(str(path.relative_to(root)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()


def drop_stale_outputs(root: Path) -> None:
    """Forget the cached outputs when the library has changed since they were made."""
    stamp, now = root / BUILD / "library.sha256", library_fingerprint(root)
    if not stamp.is_file() or stamp.read_text() != now:
        shutil.rmtree(root / BUILD, ignore_errors=True)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(now)


def build_environment() -> dict[str, str]:
    """The environment that notebooks run in: quick, budgets enforced, and no hub to ask."""
    return {**os.environ, "MINIDEEPTALK_MODE": "quick", "MINIDEEPTALK_ENFORCE_BUDGET": "1", "PLOTLY_RENDERER": "plotly_mimetype",
            "HF_HUB_OFFLINE": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1", "OMP_NUM_THREADS": "1",
            "TOKENIZERS_PARALLELISM": "false"}


def main() -> int:
    """Check the notebooks, build, and say where the book is."""
    wrong = [f"{twin.name}: {problem}" for twin in twins() for problem in problems(twin)]
    if wrong:
        print(*wrong, "Run: python -m minideeptalk.teaching.notebooks", sep="\n")
        return 1
    write_appendices(ROOT)
    drop_stale_outputs(ROOT)
    started = time.monotonic()
    jupyter_book = Path(sys.executable).parent / "jupyter-book"
    status = subprocess.run([str(jupyter_book), *COMMAND], check=False, cwd=ROOT, env=build_environment()).returncode
    if status:
        for report in sorted((ROOT / BUILD / "html" / "reports").rglob("*.log")):
            print(f"== {report.name}", report.read_text(encoding="utf8")[-3000:], sep="\n")
        return status
    site = ROOT / BUILD / "html"
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) / 1e6
    print(f"book: built in {time.monotonic() - started:.0f} s, {size:.0f} MB. Open {site / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
