"""What to run next: planner, proposals, records of what has run. Neither Ray nor torch."""
