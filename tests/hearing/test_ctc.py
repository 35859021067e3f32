"""CTC by hand: what is merged, what is dropped, what remains."""

import torch

from minideeptalk.hearing import collapse, compress, ctc_loss

PATH = torch.tensor([0, 7, 7, 0, 7, 3, 3, 0])


def test_repeats_merge_and_a_blank_separates_two_equal_labels():
    assert collapse(PATH) == [7, 7, 3]


def test_compression_keeps_one_mean_frame_for_each_label():
    frames = torch.arange(8.0)[:, None].repeat(1, 2)  # frame t holds (t, t)
    assert torch.equal(compress(frames, PATH), torch.tensor([[1.5, 1.5], [4.0, 4.0], [5.5, 5.5]]))


def test_silence_compresses_to_nothing():
    assert compress(torch.randn(5, 4), torch.zeros(5, dtype=torch.int64)).shape == (0, 4)


def test_compressed_frames_and_labels_always_agree_in_number():
    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        path = torch.randint(0, 3, (12,), generator=generator)
        assert len(compress(torch.randn(12, 2), path)) == len(collapse(path))


def test_the_loss_sums_over_all_paths_of_a_tiny_example():
    # two frames, blank or "a", each with probability one half: "a" is read from (a, a), (a, -) and (-, a)
    log_probabilities = torch.full((1, 2, 2), 0.5).log()
    loss = ctc_loss(log_probabilities, torch.tensor([2]), [[1]])
    assert torch.isclose(loss, -torch.tensor(0.75).log())
