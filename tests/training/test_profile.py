"""Which text counts as text load: all of it, or that of text batches alone."""

import numpy as np
import pytest

from minideeptalk.config import WorldConfig
from minideeptalk.experts import Modality
from minideeptalk.tasks import TaskSampler
from minideeptalk.training.profile import COVERED_TEXT, ByLoad, Profile, profile_loads

TEXT = [Modality.TEXT_PROMPT, Modality.TEXT_ANSWER]


def test_unimodal_loads_count_the_text_of_text_batches_alone(tiny):
    sampler = TaskSampler(tiny.builder(), WorldConfig(), tiny.spoken_set())
    model = tiny.model()
    every, apart = (profile_loads(model, sampler, batches=2, size=8, unimodal=unimodal) for unimodal in (False, True))
    written = sum(int((sampler.batch(COVERED_TEXT, 8, f"profile-{number}").modality >= 0).sum()) for number in range(2))
    assert (apart.tokens[TEXT].sum(axis=0) == written).all() and (every.tokens[TEXT].sum(axis=0) > written).all()
    sound = [Modality.AUDIO_PROMPT, Modality.SPOKEN_ANSWER]
    assert np.array_equal(apart.counts[sound], every.counts[sound])


def test_a_rule_takes_the_loads_that_it_asks_for(tiny):
    profile = Profile(tiny.model(), None, tiny.size(), 0)
    loads = profile_loads(profile.model, TaskSampler(tiny.builder(), WorldConfig(), tiny.spoken_set()), batches=1, size=8)
    profile.__dict__.update(loads=loads, unimodal_loads=None)  # cached properties, so nothing is measured
    assert ByLoad()(profile).audio_experts
    with pytest.raises(AttributeError):  # there are none
        ByLoad(unimodal=True)(profile)
