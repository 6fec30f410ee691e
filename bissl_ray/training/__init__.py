"""The stages that run on workers: pretrain, head warm-up, BiSSL, fine-tune, evaluate; Ray Train lives here."""
