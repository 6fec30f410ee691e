"""Second derivatives of the pretext loss as operators: graphs, products, memory."""
