"""The task detection: where in an image which objects are."""
