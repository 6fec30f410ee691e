"""What is refused before anything starts, and what is looked at for that."""
