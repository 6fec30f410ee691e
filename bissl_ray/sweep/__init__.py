"""The search: worker groups, trainable, searcher, scheduler, resume. Ray Tune and Optuna live here."""
