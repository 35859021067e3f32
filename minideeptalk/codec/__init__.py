"""Sound as a table of integers: the residual k-means codec, its streaming decoder, and the interface of any codec."""

from minideeptalk.codec.interface import Codec
from minideeptalk.codec.pyramid import PyramidCodec
from minideeptalk.codec.streaming import StreamingDecoder
from minideeptalk.codec.usage import usage_perplexity

__all__ = ["Codec", "PyramidCodec", "StreamingDecoder", "usage_perplexity"]
