"""bissl-ray: hyperparameter sweeps for BiSSL, distributed by Ray."""
