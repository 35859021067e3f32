"""Evaluation: text skills, spoken questions, recognition, speaking, style (chapters 05, 10, 13 and 14)."""
