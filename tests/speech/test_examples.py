"""The examples in the docstrings run."""

import doctest

import pytest

from minideeptalk.speech import features, synthesis


def test_the_example_of_log_mel_runs():
    assert doctest.testmod(features) == (0, 2)


@pytest.mark.skipif(not synthesis.is_available(), reason="espeakng-loader is not installed")
def test_the_example_of_the_synthesizer_runs():
    assert doctest.testmod(synthesis) == (0, 3)
