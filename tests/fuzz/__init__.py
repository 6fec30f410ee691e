"""Input that was mutated, through the command line in this process: a seeded fuzz test."""
