"""One reader per dataset, and the registry of all."""
