"""What a model or its frozen backbone is worth, as it runs on a worker."""
