"""Images of a run, counted against what the pipeline really draws."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bissl_ray.search.cost import alignment_gradients, images_of_run
from bissl_ray.training.data import TrialData
from bissl_ray.training.order import of_method
from tests.training.small_trial import WHOLE, changed, order, run, settings, write_start

CONTROLS: dict[str | None, dict[str, Any]] = {
    None: {},
    "plain": {},
    "gradients": {"finetune_extra_images": 333},
    "joint": {"method": "joint", "upper_steps": 3},
    "continued": {"method": "continued"},
    "identity": {"solver": "identity"},
    "scratch": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("control", CONTROLS)
def test_as_many_as_are_drawn(control: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: Counter[tuple[str, str]] = Counter()

    def count(method: str) -> None:
        really_open = getattr(TrialData, method)

        @contextmanager
        def counting(self: TrialData, stage: str, *rest: int) -> Iterator[Iterator[Any]]:
            def counted(batches: Iterator[Any]) -> Iterator[Any]:
                for pair in batches:
                    drawn[stage, method] += len(pair[0])
                    yield pair

            with really_open(self, stage, *rest) as batches:
                yield counted(batches)

        monkeypatch.setattr(TrialData, method, counting)

    count("labelled")
    count("pretext_batches")
    changes = {"head_epochs": 3, "finetune_epochs": 2, "upper_batch": 24, "finetune_batch": 32, **CONTROLS[control]}
    write_start(tmp_path, **changes)
    aligns = control in (None, "joint", "continued", "identity")
    stages = of_method(WHOLE, settings(**changes)) if aligns else ("head", "finetune")
    budget = control in ("plain", "scratch")
    run(changed(order(tmp_path, stages, **changes), with_upper_budget=budget, fresh=control == "scratch"))
    labelled = sum(drawn[stage, "labelled"] for stage in ("head", "bissl", "finetune"))
    # The saved backbone's statistics are taken over 16 further batches of the pool: nothing is trained on those.
    unlabelled = drawn["bissl", "pretext_batches"] - (16 * 16 if aligns else 0)
    sizes = {"train": 100, "pretext": 800}
    counted = images_of_run(settings(**changes), sizes, 1, control)
    assert (counted.labelled, counted.unlabelled) == (labelled, unlabelled)


def test_the_control_sees_at_least_as_many_labelled_images() -> None:
    sizes = {"train": 1000, "pretext": 5000}
    for workers in (1, 2):
        bissl, control = (images_of_run(settings(), sizes, workers, kind) for kind in (None, "plain"))
        assert bissl.labelled <= control.labelled < bissl.labelled + settings().finetune_batch
        assert bissl.unlabelled == 2 * 3 * 16 and control.unlabelled == 0


def test_gradients_are_counted_by_hand() -> None:
    """2 alternations: 2 steps on 16 images in two views; 2 upper steps on 20 at both backbones; one graph; products."""
    sizes = {"train": 1000, "pretext": 5000}
    lower, upper, graphs = 2 * 2 * 16 * 2, 2 * 2 * 20, 2 * 16 * 2

    def of_alignment(products: int = 0, **changes: Any) -> int:
        return alignment_gradients(settings(**changes), sizes, 1, products)

    assert of_alignment(products=7) == lower + 2 * upper + graphs + 7 * 2 * 16 * 2
    assert of_alignment(products=7, curvature_batch=8) == lower + 2 * upper + graphs // 2 + 7 * 2 * 8 * 2
    assert of_alignment(products=7, solver="f2sa") == lower + 2 * upper + graphs + 7 * 16 * 2
    assert of_alignment(products=7, curvature_products="recompute") == lower + 2 * upper + graphs + 7 * 3 * 16 * 2
    assert of_alignment(solver="identity") == round(lower + 2 * upper + graphs / 3)
    assert of_alignment(method="joint") == lower + upper
    assert of_alignment(method="continued") == round(lower + upper / 3)


def test_fine_tuning_takes_as_many_gradients_as_it_is_given() -> None:
    sizes = {"train": 1000, "pretext": 5000}
    bissl = images_of_run(settings(), sizes, 1, None, products=8)
    extra = alignment_gradients(settings(), sizes, 1, products=8)
    control = images_of_run(settings(finetune_extra_images=extra), sizes, 1, "gradients")
    assert bissl.gradients <= control.gradients < bissl.gradients + settings().finetune_batch


def test_a_frozen_backbone_has_no_gradients_of_its_own() -> None:
    sizes = {"train": 1000, "pretext": 5000}
    plain, frozen = (images_of_run(settings(finetune_part=part), sizes, 1, "plain") for part in ("all", "head"))
    assert frozen.labelled == plain.labelled and frozen.gradients == round(plain.labelled / 3)
