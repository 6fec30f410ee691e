"""What a storage holds, as things with names: listed, looked at, compared, removed, and rid of what nothing needs."""
