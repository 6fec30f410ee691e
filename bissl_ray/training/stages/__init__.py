"""The stages of the pipeline as they run on a worker: pretrain, head, BiSSL, fine-tune."""
