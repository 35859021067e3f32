"""Which experts work for which modality, and which of them speak (chapter 07)."""

from minideeptalk.experts.distance import jensen_shannon, modality_distance
from minideeptalk.experts.importance import Importance, measure_importance
from minideeptalk.experts.loads import GROUPS, MODALITIES, NORMALISERS, ExpertLoads
from minideeptalk.experts.masking import find_routers, forbid_experts
from minideeptalk.experts.recorder import LoadRecorder, Modality, find_experts, same_modality
from minideeptalk.experts.selection import FORMULAS, Selection, select_audio_experts

__all__ = [
    "FORMULAS", "GROUPS", "MODALITIES", "NORMALISERS", "ExpertLoads", "Importance", "LoadRecorder", "Modality", "Selection",
    "find_experts", "find_routers", "forbid_experts", "jensen_shannon", "measure_importance", "modality_distance", "same_modality",
    "select_audio_experts",
]
