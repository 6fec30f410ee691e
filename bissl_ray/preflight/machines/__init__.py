"""The machines that a job would run on: what each tells of itself, and what would make the job fail (issue 19)."""
