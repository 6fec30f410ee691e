"""Images of a run, counted against what the pipeline really draws."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bissl_ray.compare.results import TrainingImages, images_of_run
from bissl_ray.training.data import TrialData
from tests.training.small_trial import WHOLE, changed, order, run, settings, write_start


@pytest.mark.parametrize("control", [False, True])
def test_as_many_as_are_drawn(control: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    changes = {"head_epochs": 3, "finetune_epochs": 2, "upper_batch": 24, "finetune_batch": 32}
    write_start(tmp_path, **changes)
    stages = ("head", "finetune") if control else WHOLE
    run(changed(order(tmp_path, stages, **changes), with_upper_budget=control))
    labelled = sum(drawn[stage, "labelled"] for stage in ("head", "bissl", "finetune"))
    # The saved backbone's statistics are taken over 16 further batches of the pool: nothing is trained on those.
    unlabelled = drawn["bissl", "pretext_batches"] - (0 if control else 16 * 16)
    sizes = {"train": 100, "pretext": 800}
    assert images_of_run(settings(**changes), sizes, 1, control) == TrainingImages(labelled, unlabelled)


def test_the_control_sees_at_least_as_many_labelled_images() -> None:
    sizes = {"train": 1000, "pretext": 5000}
    for workers in (1, 2):
        bissl, control = (images_of_run(settings(), sizes, workers, kind) for kind in (False, True))
        assert bissl.labelled <= control.labelled < bissl.labelled + settings().finetune_batch
        assert bissl.unlabelled == 2 * 3 * 16 and control.unlabelled == 0
