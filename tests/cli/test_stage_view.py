"""What a stage's view says of a report where there is no bar to move."""

import io

from rich.console import Console

from bissl_ray.cli.stage_view import StageView
from bissl_ray.progress import Report


def said(**columns):
    console = Console(file=io.StringIO(), width=200)
    row = {"stage": "bissl", "alternation": 3, "upper_loss": 0.5, "seconds": 12.0, "objective_name": "validation_top1"}
    StageView(console, None).show(Report({**row, "objective": 0.9, **columns}))
    return console.file.getvalue().strip()


def test_an_alternation_says_what_the_lower_backbone_is_worth_where_that_was_measured():
    assert said() == "BiSSL: alternation 3, loss 0.5, top-1 90.0%, 12s"
    measured = said(lower_knn=0.877, so_far={"lower_knn_before": 0.85})
    assert measured == "BiSSL: alternation 3, loss 0.5, top-1 90.0%, kNN 85.0% to 87.7%, 12s"
