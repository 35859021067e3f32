"""The page of defaults is the table in the code."""

from pathlib import Path

from minideeptalk.config import DEFAULTS, defaults_table, size_config
from minideeptalk.model import DeepTalkConfig

PAGE = Path(__file__).parents[1] / "book" / "defaults.md"


def test_the_page_of_defaults_is_generated_from_the_code():
    assert PAGE.read_text(encoding="utf-8").endswith(defaults_table())


def test_every_default_names_all_four_sides():
    assert all(d.choice and d.paper and d.reference_code and d.ours and d.why for d in DEFAULTS)


def test_the_table_tells_what_the_code_does():
    ours = {d.choice: d.ours for d in DEFAULTS}
    config = DeepTalkConfig()
    assert not config.renormalise and "not renormalised" in ours["gate weights of the chosen experts"]
    assert config.balance_weight == 0.001 and ours["balance loss"].startswith("0.001")
    nano = size_config("nano")
    assert f"nano: {nano.model.audio_experts}, top-{nano.model.experts_per_token}" in ours["audio experts and top-k"]
    assert f"7 of {nano.codec.codebook_size} (nano)" in ours["streams of the codec"]
