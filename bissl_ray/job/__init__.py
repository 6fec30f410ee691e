"""What every job needs, a sweep or a stage by itself: cluster, Ctrl-C, lock, where results come from. Below both."""
