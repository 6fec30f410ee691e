"""What a storage holds is looked at, all of it: what is damaged, what contradicts itself, what was left behind."""
