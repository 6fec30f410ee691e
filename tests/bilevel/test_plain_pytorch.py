"""Ten alternations of BiSSL beside the same in one page of plain PyTorch, equal to rounding (issue 16).

The reference is written from the paper (arXiv 2410.02387, algorithm 1), from SimCLR's and LARS's own (Chen et al. 2020,
equation 1; You et al. 2017, algorithm 1), and uses nothing of this package: torch's own layers, whose second
derivatives torch composes, and its own conjugate gradients. Beside it runs what a trial runs: the backbone smallconv
with its batch norm and convolutions, the SimCLR task, the classification task and their curvature graph.
"""

import math
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from torch import nn

pytestmark = pytest.mark.slow

ALTERNATIONS, LOWER_STEPS, UPPER_STEPS = 10, 2, 2
TEMPERATURE, CLIP, GAMMA, DAMPING = 4.0, 1.5, 0.7, 800.0
LOWER_DECAY, UPPER_DECAY, LOWER_MOMENTUM, UPPER_MOMENTUM, UPPER_LR, WARM_UP = 1e-3, 1e-2, 0.9, 0.8, 0.1, 2
# λ of stem, layer1, layer2, layer3: M is no multiple of the identity, so that its side of the inverse matters.
PARTS = (3.0, 0.5, 8.0, 1.0)
IMAGES, LABELLED, CLASSES = 10, 12, 3

# The reference


def small_network():
    """Four times 3 x 3 convolution, batch norm, ReLU; the mean over the image."""
    widths = ((3, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1))
    blocks = [[nn.Conv2d(i, o, 3, s, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()] for i, o, s in widths]
    return nn.Sequential(
        *(layer for block in blocks for layer in block), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).double()


def projector():
    hidden = [nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(16, 8, bias=False)).double()


def contrast(embeddings):
    """Equation 1 of SimCLR: views i and i + n are of one image."""
    n = len(embeddings) // 2
    rows = embeddings / embeddings.norm(dim=1, keepdim=True)
    similar = rows @ rows.T / TEMPERATURE
    others = similar.exp() * (1 - torch.eye(2 * n, dtype=rows.dtype))
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return (others.sum(dim=1).log() - similar[torch.arange(2 * n), partner]).mean()


def cosine(step, total, warm_up):
    return (
        (step + 1) / warm_up if step < warm_up else (1 + math.cos(math.pi * (step - warm_up) / (total - warm_up))) / 2
    )


def clipped(gradients):
    norm = torch.cat([gradient.reshape(-1) for gradient in gradients]).norm()
    return [gradient * min(1.0, CLIP / (float(norm) + 1e-6)) for gradient in gradients]  # as torch's clip_grad_norm_


def by_conjugate_gradients(product, v, iterations, tolerance):
    x, r = torch.zeros_like(v), v
    p = r
    for _ in range(iterations):
        if r.norm() <= tolerance * v.norm():
            break
        image = product(p)
        step = r.dot(r) / p.dot(image)
        x, after = x + step * p, r - step * image
        p = after + after.dot(after) / r.dot(r) * p
        r = after
    return x


class Reference:
    def __init__(self, lars, lower_lr, iterations, tolerance):
        self.theta, self.theta_d, self.phi_p, self.phi_d = (
            *(small_network() for _ in range(2)),
            projector(),
            nn.Linear(64, CLASSES).double(),
        )
        self.lars, self.lower_lr, self.iterations, self.tolerance = lars, lower_lr, iterations, tolerance
        # Per tensor: a block has a convolution, and weight and bias of its norm.
        self.weights = [weight for weight in PARTS for _ in range(3)]
        self.momenta, self.lower_taken, self.upper_taken = {}, 0, 0

    def pretext_loss(self, views):
        return contrast(self.phi_p(self.theta(torch.cat(list(views)))))

    def downstream_loss(self, backbone, batch):
        return nn.functional.cross_entropy(self.phi_d(backbone(batch[0])), batch[1])

    def alternate(self, lower_batches, upper_batches):
        lower = [self.lower_step(next(lower_batches)) for _ in range(LOWER_STEPS)]
        theta = list(self.theta.parameters())
        with unmoved(self.theta, self.phi_p):
            slopes = torch.autograd.grad(self.pretext_loss(next(lower_batches)), theta, create_graph=True)
        upper = [self.upper_step(slopes, theta, next(upper_batches)) for _ in range(UPPER_STEPS)]
        gaps = [(t - d).detach() for t, d in zip(theta, self.theta_d.parameters(), strict=True)]
        return {
            "lower_loss": sum(lower) / LOWER_STEPS,
            "upper_loss": sum(loss for loss, _ in upper) / UPPER_STEPS,
            "direct_loss": sum(direct for _, direct in upper) / UPPER_STEPS,
            "distance": math.sqrt(sum(float((gap**2).sum()) for gap in gaps)),
        }

    def lower_step(self, views):
        theta, phi = list(self.theta.parameters()), list(self.phi_p.parameters())
        loss = self.pretext_loss(views)
        gradients = list(torch.autograd.grad(loss, [*theta, *phi]))
        for place, (own, other) in enumerate(zip(theta, self.theta_d.parameters(), strict=True)):
            gradients[place] = gradients[place] + self.weights[place] * (own - other).detach()
        rate = self.lower_lr * cosine(self.lower_taken, ALTERNATIONS * LOWER_STEPS, WARM_UP * LOWER_STEPS)
        self.lower_taken += 1
        for parameter, g in zip([*theta, *phi], clipped(gradients), strict=True):
            w = parameter.detach()
            local, decayed = rate, g
            if w.dim() > 1:  # biases and norms are neither adapted nor do they decay
                decayed = g + LOWER_DECAY * w
                local = rate * 0.001 * w.norm() / (g.norm() + LOWER_DECAY * w.norm()) if self.lars else rate
            # LARS takes the rate into its momentum, SGD leaves it out.
            past = self.momenta.get(parameter, torch.zeros_like(w))
            self.momenta[parameter] = LOWER_MOMENTUM * past + (local * decayed if self.lars else decayed)
            w -= self.momenta[parameter] if self.lars else local * self.momenta[parameter]
        return float(loss.detach())

    def upper_step(self, slopes, theta, batch):
        theta_d, phi = list(self.theta_d.parameters()), list(self.phi_d.parameters())
        with unmoved(self.theta):
            at_lower = self.downstream_loss(self.theta, batch)
        direct = self.downstream_loss(self.theta_d, batch)
        v = torch.autograd.grad(at_lower, [*theta, *phi])
        own = torch.autograd.grad(GAMMA * direct, [*theta_d, *phi])
        M = torch.cat(
            [torch.full((t.numel(),), w + DAMPING).double() for t, w in zip(theta, self.weights, strict=True)]
        )

        def product(p):
            parts = [part.view_as(t) for part, t in zip(p.split([t.numel() for t in theta]), theta, strict=True)]
            return M * p + flat(torch.autograd.grad(slopes, theta, parts, retain_graph=True))

        x = by_conjugate_gradients(product, flat(v[: len(theta)]), self.iterations, self.tolerance)
        implicit = (M * x).split([t.numel() for t in theta])
        gradients = [part.view_as(d) + g for part, d, g in zip(implicit, theta_d, own, strict=False)]
        gradients += [one + other for one, other in zip(v[len(theta) :], own[len(theta) :], strict=True)]
        rate = UPPER_LR * cosine(self.upper_taken, ALTERNATIONS * UPPER_STEPS, 0)
        self.upper_taken += 1
        for parameter, g in zip([*theta_d, *phi], clipped(gradients), strict=True):
            w = parameter.detach()
            past = self.momenta.get(parameter, torch.zeros_like(w))
            self.momenta[parameter] = UPPER_MOMENTUM * past + g + UPPER_DECAY * w
            w -= rate * self.momenta[parameter]
        return float(at_lower.detach()), float(direct.detach())


def flat(tensors):
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


@contextmanager
def unmoved(*modules):
    """Batch norm normalises by the batch, and its running statistics stay."""
    norms = [layer for module in modules for layer in module.modules() if hasattr(layer, "track_running_stats")]
    for layer in norms:
        layer.track_running_stats = False
    yield
    for layer in norms:
        layer.track_running_stats = True


# Beside it, what a trial runs


def of_the_package(lars, lower_lr, **solving):
    """Modules and trainer put together as for a trial (`training.stages.bissl.trainer_of`)."""
    from bissl_ray.bilevel import BilevelTrainer, Level
    from bissl_ray.config.settings import Settings
    from bissl_ray.training.curvature import exact_curvature, proximity_weights
    from bissl_ray.training.models import Models

    settings = Settings(
        backbone="smallconv", image_size=8, precision="float32", projector_width=16, projector_output=8,
        temperature=TEMPERATURE, alternations=ALTERNATIONS, lower_steps=LOWER_STEPS, upper_steps=UPPER_STEPS,
        lower_optimizer="lars" if lars else "sgd", lower_lr=lower_lr, lower_momentum=LOWER_MOMENTUM,
        lower_weight_decay=LOWER_DECAY, lower_warmup=WARM_UP, lower_batch=IMAGES, upper_lr=UPPER_LR,
        upper_momentum=UPPER_MOMENTUM, upper_weight_decay=UPPER_DECAY, upper_batch=LABELLED, direct_weight=GAMMA,
        clip_norm=CLIP, damping=DAMPING, proximity_weight_stem=PARTS[0], proximity_weight_layer1=PARTS[1],
        proximity_weight_layer2=PARTS[2], proximity_weight_layer3=PARTS[3], **solving,
    )  # fmt: skip
    torch.manual_seed(7)
    models = Models.build(settings, torch.device("cpu"), "classification", CLASSES)
    for module in (models.lower, models.pretext, models.upper, models.downstream):
        module.double()
    trainer = BilevelTrainer(
        Level(
            models.lower,
            models.pretext,
            lambda backbone, views: models.pretext.loss(backbone, views),
            after_step=partial(models.pretext.after_step, models.lower),
            curvature=exact_curvature(settings, models, IMAGES),
        ),
        Level(models.upper, models.downstream, lambda backbone, batch: models.downstream.loss(backbone, batch)),
        settings,
        proximity_weights(settings, models.lower),
    )
    return SimpleNamespace(trainer=trainer, modules=(models.lower, models.upper, models.pretext, models.downstream))


def batches():
    """Another pair of views, and other labelled images, for every step."""
    generator = torch.Generator().manual_seed(8)
    draw = partial(torch.randn, dtype=torch.float64, generator=generator)
    images = [draw(IMAGES, 3, 8, 8) for _ in range(ALTERNATIONS * (LOWER_STEPS + 1))]
    views = [tuple(each + 0.5 * draw(IMAGES, 3, 8, 8) for _ in range(2)) for each in images]
    labels = torch.arange(LABELLED) % CLASSES
    means = draw(CLASSES, 3, 8, 8)
    labelled = [(means[labels] + draw(LABELLED, 3, 8, 8), labels) for _ in range(ALTERNATIONS * UPPER_STEPS)]
    return views, labelled


@pytest.mark.parametrize(("lars", "lower_lr"), [(True, 0.2), (False, 0.05)], ids=["lars", "sgd"])
@pytest.mark.parametrize(
    ("iterations", "tolerance", "recycled"), [(5, 0.0, 0), (80, 1e-12, 6)], ids=["five-iterations", "solved-recycling"]
)
def test_ten_alternations_are_those_of_plain_pytorch(lars, lower_lr, iterations, tolerance, recycled):
    ours = of_the_package(
        lars, lower_lr, solver="cg", cg_iterations=iterations, cg_tolerance=tolerance, recycled_products=recycled
    )
    plain = Reference(lars, lower_lr, iterations, tolerance)
    pairs = list(zip((plain.theta, plain.theta_d, plain.phi_p, plain.phi_d), ours.modules, strict=True))
    begun = []
    for reference, module in pairs:
        with torch.no_grad():
            for own, theirs in zip(reference.state_dict().values(), module.state_dict().values(), strict=True):
                own.copy_(theirs)
        begun.append(flat(reference.parameters()).detach().clone())
    views, labelled = batches()
    streams = [(iter(views), iter(labelled)) for _ in range(2)]
    for _ in range(ALTERNATIONS):
        report = ours.trainer.alternation(*streams[0])
        expected = plain.alternate(*streams[1])
        assert report.negative_curvature == 0 and report.hvps >= UPPER_STEPS
        assert {name: getattr(report, name) for name in expected} == pytest.approx(expected, rel=1e-9)
        for reference, module in pairs:
            torch.testing.assert_close(flat(module.parameters()), flat(reference.parameters()), rtol=1e-9, atol=1e-11)
            # Running statistics: of pretext batches below, of labelled ones above, of no product.
            torch.testing.assert_close(list(module.buffers()), list(reference.buffers()), rtol=1e-9, atol=1e-11)
    # Something has happened: all have moved, and the solves were more than the identity.
    for (reference, _), before in zip(pairs, begun, strict=True):
        assert (flat(reference.parameters()) - before).norm() > 1e-3 * before.norm()
    assert report.implicit_change > 1e-3
