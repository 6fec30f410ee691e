"""Images decoded once per machine, shared by all processes."""
