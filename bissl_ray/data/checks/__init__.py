"""Whether a data folder is what it should be."""
