"""The command line: one file per verb, or per few that belong together; parses, calls one function below, prints."""
