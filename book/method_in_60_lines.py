"""The whole method: `python book/method_in_60_lines.py [updates of a stage]`."""

import sys
from contextlib import nullcontext

import torch

from minideeptalk.config import size_config
from minideeptalk.evaluation.text_skills import text_accuracy
from minideeptalk.experts import LoadRecorder, select_audio_experts
from minideeptalk.experts.partition import only_experts, trainable_only
from minideeptalk.teaching.material import chapter_sampler, shipped_stage, spoken_material
from minideeptalk.training.losses import batch_loss

UPDATES = int(sys.argv[1]) if len(sys.argv) > 1 else 300
AUDIO_SIDE = ("adapter", "audio_embedding", "audio_heads")
SPEECH = {"recognise": 1, "speak": 2, "answer_in_text": 1, "answer_aloud": 1}
TEXT = {"covered_text": 1}


def train(stage, tasks, parts, experts=None):
    """Some updates in which only these parts learn and, if said, only these experts of each layer are open."""
    with only_experts(model, [list(layer) for layer in experts]) if experts else nullcontext():
        optimizer = torch.optim.AdamW(trainable_only(model, parts), lr=2e-3, weight_decay=0.0)
        for step in range(UPDATES):
            loss = batch_loss(model.train(), sampler.batch(tasks, 32, f"{stage}-{step}")).total
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(f"stage {stage}: loss {loss.item():.2f}, text skills {text_skills():.1%}")


def text_skills():
    """Mean accuracy of the ten text skills on combinations never trained."""
    accuracy = text_accuracy(model, sampler.builder, "test", 40)
    return sum(accuracy.values()) / len(accuracy)


def profile():
    """Load of every expert on speech and on text."""
    with LoadRecorder(model.eval()) as recorder, torch.no_grad():
        for number, tasks in ((number, tasks) for number in range(4) for tasks in (SPEECH, TEXT)):
            batch = sampler.batch(tasks, 64, f"profile-{number}")
            recorder.modality(batch.modality)
            model(**batch.model_inputs())
    return recorder.loads()


model = shipped_stage("0-pretrain")  # a text model, which has something to lose
sampler = chapter_sampler(model, spoken_material(questions=300, replies=300))
print(f"stage 0, text only: text skills {text_skills():.1%}")
train("1", {"recognise": 1, "answer_in_text": 1, "speak": 2}, AUDIO_SIDE)  # alignment
selection = select_audio_experts(profile(), size_config("nano").model.audio_experts)  # much sound, little text
print("audio experts of each layer:", *selection.audio_experts)
train("2.1", SPEECH, ("bank", *AUDIO_SIDE), selection.audio_experts)  # only audio experts
train("2.2", TEXT, ("bank",), [selection.text_experts(layer) for layer in range(selection.num_layers)])  # only text experts
train("3", {**SPEECH, **TEXT}, ("experts", "router", *AUDIO_SIDE))  # together
