"""Speech: synthesised voices with exact word times, log-mel features, pitch, and audio files.

Nothing is imported here on purpose: a corpus is built by fresh processes that need numpy and espeak-ng only,
and they should not wait for torch. Import from the modules: `from minideeptalk.speech.corpus import build_corpus`.
"""
