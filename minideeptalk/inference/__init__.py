"""Inference: cached decoding of text and speech, streaming to sound, latency in parts (chapter 12)."""
