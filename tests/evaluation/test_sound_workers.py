"""Many processes decode to the same samples as one."""

import torch

from minideeptalk.codec import PyramidCodec
from minideeptalk.evaluation.sound_workers import SoundWorkers
from minideeptalk.evaluation.spoken import Examiners
from minideeptalk.inference.decoding import Answer
from minideeptalk.teaching.samples import shipped_run


def test_workers_give_the_codecs_own_samples_in_the_order_asked():
    folder = shipped_run() / "codec"
    codec = PyramidCodec.load(folder)
    generator = torch.Generator().manual_seed(0)
    tables = [torch.randint(codec.codebook_size, (steps, codec.num_codebooks), generator=generator) for steps in (3, 1, 2)]
    answers = [Answer(codes=tables[0]), Answer(codes=tables[0][:0]), *(Answer(codes=table) for table in tables[1:])]
    here = Examiners(codec, None, None).sounds(answers)
    with SoundWorkers(folder) as workers:
        there = Examiners(codec, None, None, workers).sounds(answers)
    assert [len(sound) // codec.step_samples for sound in there] == [3, 1, 1, 2]
    assert not there[1].any()
    assert all(torch.equal(one, other) for one, other in zip(here, there))
