import pytest
import torch

from bissl_ray.config.settings import Settings
from bissl_ray.models import build_backbone
from bissl_ray.pretext import build_pretext


@pytest.fixture
def online():
    torch.manual_seed(0)
    backbone = build_backbone("smallconv").double()
    settings = Settings(
        backbone="smallconv", pretext="byol", projector_width=12, projector_output=5, target_momentum=0.9
    )
    return backbone, build_pretext(settings, backbone)


def perturb(*modules):
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))


def test_loss_is_the_published_formula(online):
    backbone, task = online
    perturb(backbone, task.projector)
    views = torch.randn(2, 4, 3, 8, 8, dtype=torch.float64)
    predictions = [task.predictor(task.projector(backbone(view))) for view in views]
    targets = [task.target_projector(task.target_backbone(view)) for view in views]
    total = 0.0
    for one, other in ((0, 1), (1, 0)):
        for prediction, target in zip(predictions[one], targets[other], strict=True):
            total += (prediction / prediction.norm() - target / target.norm()).square().sum().item()
    assert task.loss(backbone, tuple(views)).item() == pytest.approx(total / 4, rel=1e-12)


def test_no_gradient_reaches_the_target(online):
    backbone, task = online
    task.loss(backbone, tuple(torch.randn(2, 4, 3, 8, 8, dtype=torch.float64))).backward()
    heads = {id(parameter) for parameter in task.head_parameters()}
    for name, parameter in task.named_parameters():
        assert (id(parameter) in heads) != name.startswith("target_")
        assert (parameter.grad is not None) != name.startswith("target_")
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_the_target_is_the_moving_average_of_the_parameters(online):
    backbone, task = online
    old = {key: value.clone() for key, value in task.state_dict().items()}
    backbone(torch.randn(4, 3, 8, 8, dtype=torch.float64))
    perturb(backbone, task.projector)
    task.after_step(backbone, 0.3)
    new = task.state_dict()
    parameters = {name for name, _ in task.named_parameters()}
    followed = {f"target_backbone.{key}": value for key, value in backbone.state_dict().items()}
    followed |= {f"target_projector.{key}": value for key, value in task.projector.state_dict().items()}
    assert followed.keys() == {key for key in new if key.startswith("target_")}
    for key, value in followed.items():
        expected = 0.9 * old[key] + 0.1 * value if key in parameters else old[key]
        torch.testing.assert_close(new[key], expected, rtol=1e-14, atol=1e-15)


def test_reset_makes_the_target_a_copy_of_its_own(online):
    backbone, task = online
    backbone(torch.randn(4, 3, 8, 8, dtype=torch.float64))
    perturb(backbone, task.projector)
    task.reset_target(backbone)
    for key, value in backbone.state_dict().items():
        copied = task.target_backbone.state_dict()[key]
        assert torch.equal(copied, value) and copied.data_ptr() != value.data_ptr()
    assert not any(parameter.requires_grad for parameter in task.target_backbone.parameters())


def with_schedule(schedule):
    settings = Settings(backbone="smallconv", pretext="byol", target_momentum=0.9, target_schedule=schedule)
    return build_pretext(settings, build_backbone("smallconv"))


def test_the_momentum_rises_to_one_on_a_cosine_where_it_is_scheduled():
    cosine = with_schedule("cosine")
    # Grill et al. 2020: 1 - (1 - base) (cos(pi k / K) + 1) / 2
    assert [cosine.momentum(progress) for progress in (0.0, 1 / 3, 0.5, 1.0)] == pytest.approx([0.9, 0.925, 0.95, 1.0])
    assert {with_schedule("constant").momentum(progress) for progress in (0.0, 0.5, 1.0)} == {0.9}


def test_the_target_follows_by_the_scheduled_momentum():
    torch.manual_seed(0)
    settings = Settings(backbone="smallconv", pretext="byol", target_momentum=0.9, target_schedule="cosine")
    backbone = build_backbone("smallconv").double()
    task = build_pretext(settings, backbone)
    old = [parameter.clone() for parameter in task.target_backbone.parameters()]
    perturb(backbone)
    task.after_step(backbone, 0.5)
    for target, before, online in zip(task.target_backbone.parameters(), old, backbone.parameters(), strict=True):
        torch.testing.assert_close(target, 0.95 * before + 0.05 * online.detach(), rtol=1e-14, atol=1e-15)


def test_the_published_momentum_is_the_default():
    settings = Settings()
    assert (settings.target_momentum, settings.target_schedule) == (0.9995, "constant")
