import importlib.util
from pathlib import Path

import pytest

INVENTED = Path(__file__).resolve().parents[1] / "records" / "invented.py"


@pytest.fixture
def record_of():
    """Invented records of a study: `record_of("puremoe", seed=1, lost=0.2)`."""
    spec = importlib.util.spec_from_file_location("invented", INVENTED)
    invented = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(invented)

    def record(arm, seed=0, lost=0.1, **budget):
        made = invented.invented_record() | {"arm": arm, "seed": seed}
        made["config"]["study"] = {"scale": 0.5}
        made["metrics"]["relative_text_drop"]["all"] = lost
        made["metrics"]["counts"] = {"text_items_per_family": 200, "spoken_questions": 200, "spoken_answers": 200, "ceilings": 100}
        made["budget"] |= {"speech_tokens": 1_000_000, "text_tokens": 500_000, **budget}
        return made

    return record
