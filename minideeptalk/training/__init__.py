"""Training: stages as data, one loop, losses, checkpoints and the whole recipe (chapters 05 to 11)."""
