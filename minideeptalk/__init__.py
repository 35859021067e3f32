"""minideeptalk: a native spoken language model in miniature, built to be read, run and checked."""

__version__ = "0.1.0"
