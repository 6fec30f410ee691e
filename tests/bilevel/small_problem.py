"""A small but whole BiSSL problem in float64: contrastive below, classification above, batch norm in between."""

import itertools

import torch
from torch import nn
from torch.nn import functional as F

from bissl_ray.bilevel import BilevelTrainer, Level
from bissl_ray.config.settings import BilevelSettings
from bissl_ray.parallel import all_gather, convert_batch_norm, rank

NUMBERS = {
    "alternations": 3,
    "lower_steps": 2,
    "lower_lr": 0.4,
    "lower_warmup": 1,
    "upper_steps": 2,
    "upper_lr": 0.1,
    "damping": 10.0,
    "cg_iterations": 3,
}
PROXIMITY = 0.2


def nt_xent(embeddings):
    own = F.normalize(embeddings, dim=1)
    everyone = all_gather(own)
    anchors = torch.arange(len(own)) + rank() * len(own)
    itself = F.one_hot(anchors, len(everyone)).bool()
    return F.cross_entropy((own @ everyone.T / 0.5).masked_fill(itself, -1e9), anchors ^ 1)


class SmallProblem:
    """The four modules, this worker's share of endless batches, and the trainer.

    Numbers are settings; `unchecked` are settings too, but past their check.
    """

    def __init__(self, worker=0, workers=1, loss_factor=1.0, proximity=PROXIMITY, unchecked=None, **numbers):
        torch.manual_seed(3)
        self.lower, self.upper = (
            nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4)).double() for _ in range(2)
        )
        self.upper.load_state_dict(self.lower.state_dict())
        self.pretext_head = nn.Sequential(nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3)).double()
        self.downstream_head = nn.Linear(4, 3).double()
        for module in self.modules():
            convert_batch_norm(module, "synchronised")
        generator = torch.Generator().manual_seed(4)
        views = [torch.randn(8, 5, dtype=torch.float64, generator=generator) for _ in range(4)]
        labelled = [
            (torch.randn(4, 5, dtype=torch.float64, generator=generator), torch.arange(4) % 3) for _ in range(3)
        ]
        self.views = itertools.cycle([batch.chunk(workers)[worker] for batch in views])
        self.labelled = itertools.cycle([(x.chunk(workers)[worker], y.chunk(workers)[worker]) for x, y in labelled])
        self.loss_factor = loss_factor
        self.progress_seen = []
        self.trainer = BilevelTrainer(
            Level(
                self.lower,
                self.pretext_head,
                lambda _, batch: self.lower_loss(batch),
                after_step=self.note_progress,
            ),
            Level(self.upper, self.downstream_head, self.upper_loss),
            BilevelSettings(**{**NUMBERS, **numbers}).model_copy(update=unchecked),
            proximity,
        )

    def modules(self):
        return self.lower, self.pretext_head, self.upper, self.downstream_head

    def lower_loss(self, x):
        return self.loss_factor * nt_xent(self.pretext_head(self.lower(x)))

    def upper_loss(self, backbone, batch):
        return F.cross_entropy(self.downstream_head(backbone(batch[0])), batch[1])

    def note_progress(self, progress):
        self.progress_seen.append(progress)

    def alternate(self):
        return self.trainer.alternation(self.views, self.labelled)

    def states(self):
        return [{name: t.clone() for name, t in module.state_dict().items()} for module in self.modules()]
