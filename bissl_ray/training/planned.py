"""From what a sweep plans to what the workers do: one rule for the sweep, and for a trial that is run again."""

from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.settings import Settings
from bissl_ray.controls import PLAIN
from bissl_ray.search.plans import Plan
from bissl_ray.store.paths import trial_folder
from bissl_ray.training.order import Order, of_method
from bissl_ray.words import Phase, Step


def planned(plan: Plan, settings: Settings, document: SweepDocument, storage: str) -> Order:
    """What the workers are to do for a plan.

    Args:
        plan: of a trial, or of its look at the test split.
        settings: that it runs with.
        document: of the sweep.
        storage: absolute.
    """
    record, request = plan.record, document.request
    is_control = record.phase == Phase.CONTROL
    start = str(document.start)
    control = request.control or (PLAIN if is_control else None)
    if plan.step == Step.TEST:
        start = f"{trial_folder(request.name, record.trial)}/finetuned.pt"
    elif plan.start is not None:
        start = f"{trial_folder(request.name, plan.start)}/aligned.pt"
    return Order(
        trial=record.trial,
        data=request.data,
        storage=storage,
        sweep=request.name,
        settings=settings,
        seed=record.seed,
        stages=of_method(plan.stages, settings),
        control=control,
        start=start,
        fresh=control == "scratch" and plan.step != Step.TEST,
        # The control gets the same budget, counted in labelled images; or in gradients, by a setting of its own.
        with_upper_budget=is_control and control != "gradients",
        keep_models=record.step != Step.TUNING,
        inherits=record.began_at > 0,
        until=plan.until,
    )
