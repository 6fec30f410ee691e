"""A comparison as a table, in words and as a picture."""
