"""A search space, records, and rows of the store, as small as they get."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bissl_ray.config.search_space import SearchSpace
from bissl_ray.search.records import Record

PARAMETERS: dict[str, dict[str, Any]] = {
    "lower_lr": {"type": "float", "low": 0.1, "high": 4.8, "log": True},
    "direct_weight": {"type": "float", "low": 0.0, "high": 1.0},
    "cg_iterations": {"type": "int", "low": 0, "high": 10},
    "solver": {"type": "categorical", "choices": ["cg", "neumann"]},
}
FINETUNE: dict[str, dict[str, Any]] = {
    "finetune_lr": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
    "finetune_weight_decay": {"type": "float", "low": 1e-5, "high": 1e-2, "log": True},
}
PROTOCOL: dict[str, Any] = {"trials": 6, "finalists": 2, "finetune_runs": 3, "seeds": 2, "startup_trials": 3}


def space(protocol: dict[str, Any] | None = None, **sections: Any) -> SearchSpace:
    """The space above, with other sections or numbers where wanted."""
    content = {
        "dataset": "digits",
        "parameters": PARAMETERS,
        "finetune_parameters": FINETUNE,
        "fixed": {"alternations": 4},
        "protocol": {**PROTOCOL, **(protocol or {})},
        **sections,
    }
    return SearchSpace.model_validate(content)


def store_rows(records: list[Record], space: SearchSpace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of trials and of reports as a sweep writes them: every setting has its column."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    trials = [
        {
            **{
                name: getattr(record, name) for name in ("trial", "phase", "step", "parent", "seed", "origin", "status")
            },
            "objective": record.objective,
            "seconds": record.seconds,
            "alternations": max(record.curve, default=None),
            "test_metric": record.test_metric,
            "started_at": begin + timedelta(seconds=number),
            **{f"param_{name}": value for name, value in space.settings(record.point).model_dump().items()},
        }
        for number, record in enumerate(records)
    ]
    reports = [
        {"trial": record.trial, "stage": "bissl", "alternation": alternation, "objective": objective, "seconds": None}
        for record in records
        for alternation, objective in record.curve.items()
    ]
    return trials, reports
