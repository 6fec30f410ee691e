"""A comparison of BiSSL with plain fine-tuning: several sweeps, paired over seeds."""
