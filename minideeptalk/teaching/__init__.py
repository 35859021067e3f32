"""What the book and its exercises need: the set-up cell, notebook pairing, checks and the build of the pages."""
