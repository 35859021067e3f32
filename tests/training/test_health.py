"""Router health tells a sure router from an unsure one, and measuring it changes nothing."""

import numpy as np
import pytest
import torch

from minideeptalk.experts import Modality
from minideeptalk.model import DeepTalkConfig, DeepTalkModel
from minideeptalk.tasks import Batch
from minideeptalk.training.health import router_health

EXPERTS = 4


def batch_of(kind, seed):
    text = torch.randint(1, 9, (3, 6), generator=torch.Generator().manual_seed(seed))
    kinds = torch.full_like(text, int(kind))
    kinds[0, 4:] = int(Modality.PADDING)
    return Batch(text, text, None, None, kinds, None, None, None)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return DeepTalkModel(DeepTalkConfig(vocab_size=9, width=16, heads=2, layers=3, experts=EXPERTS, expert_hidden=8)).eval()


BATCHES = [batch_of(Modality.SPOKEN_ANSWER, 1), batch_of(Modality.TEXT_ANSWER, 2)]


def test_it_reports_each_layer_within_its_limits(model):
    health = router_health(model, BATCHES)
    for values, most in ((health.gradient, np.inf), (health.entropy, np.log2(EXPERTS)), (health.specialisation, 1)):
        assert values.shape == (2,) and (values >= 0).all() and (values <= most).all()
    assert (health.gradient > 0).all()


def test_a_router_of_zeros_is_unsure_and_a_loud_one_is_sure(model):
    for mixture, factor in zip(model.mixtures(), (0.0, 1e4)):
        mixture.router.weight.data *= factor
    unsure, sure = router_health(model, BATCHES).entropy
    assert unsure == pytest.approx(np.log2(EXPERTS), abs=1e-4) and sure < 0.1


def test_measuring_leaves_weights_gradients_and_freezing_alone(model):
    model.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    router_health(model, BATCHES)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in model.parameters())
