"""Computing only the steps that exist changes no number, forward or backward."""

import torch

from minideeptalk.model.packing import Packing


def test_unpacking_undoes_packing_and_leaves_zero_where_nothing_is():
    real = torch.tensor([[True, True, False], [True, False, False]])
    rows = torch.arange(12.0).view(2, 3, 2)
    packing = Packing(real)
    packed = packing.pack(rows)
    assert packed.tolist() == [[[0, 1], [2, 3], [6, 7]]]
    assert torch.equal(packing.unpack(packed), rows * real[..., None])


def _model_and_padded_batch(tiny):
    batch = tiny.batch(tiny.builder())
    assert not bool(batch.mask.all()), "a batch without padding would prove nothing"
    return tiny.model().eval(), batch


def test_packed_outputs_equal_padded_ones_on_every_real_step(tiny):
    model, batch = _model_and_padded_batch(tiny)
    padded, packed = model(**batch.model_inputs()), model(**batch.model_inputs(), real=batch.mask)
    torch.testing.assert_close(packed.hidden[batch.mask], padded.hidden[batch.mask], atol=1e-5, rtol=1e-5)
    assert not packed.hidden[~batch.mask].any()
    for one, other in zip(packed.routing, padded.routing):
        assert torch.equal(one.indices[batch.mask], other.indices[batch.mask])
        torch.testing.assert_close(one.probabilities[batch.mask], other.probabilities[batch.mask])


def _gradients(model, batch, **how):
    model.zero_grad()
    hidden = model(**batch.model_inputs(), **how).hidden[batch.mask]
    (model.text_logits(hidden).logsumexp(-1).mean() + model.audio_logits(hidden).logsumexp(-1).mean()).backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def test_packed_and_padded_steps_give_the_same_gradients(tiny):
    model, batch = _model_and_padded_batch(tiny)
    packed, padded = _gradients(model, batch, real=batch.mask), _gradients(model, batch)
    assert packed.keys() == padded.keys() and "layers.1.attention.qkv.weight" in packed
    for name, gradient in packed.items():
        torch.testing.assert_close(gradient, padded[name], atol=1e-6, rtol=1e-4, msg=name)
