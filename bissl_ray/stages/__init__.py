"""The stages of the pipeline, each run by itself: what was asked for, what it starts from, its folder. Beside sweep."""
