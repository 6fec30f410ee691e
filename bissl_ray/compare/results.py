"""What the sweeps of a comparison have found, and what each side cost in images and gradients."""

from dataclasses import replace

from bissl_ray.compare.confirmed import as_confirmed
from bissl_ray.compare.controls import main_case
from bissl_ray.config.documents import SweepDocument
from bissl_ray.config.requests import Case, Comparison
from bissl_ray.controls import CONTROLS, PLAIN
from bissl_ray.data import get_dataset
from bissl_ray.leaderboard.comparison.cases import CaseFacts, ComparisonBoard, Pipeline
from bissl_ray.leaderboard.comparison.pairing import compare_cases
from bissl_ray.leaderboard.configurations import Configuration, best_bissl, best_control, gather
from bissl_ray.leaderboard.edges import edges_of_best
from bissl_ray.search.cost import TrainingImages, images_of_run
from bissl_ray.search.history import is_finished, planner_of
from bissl_ray.store import read_trials, to_rows
from bissl_ray.store.documents import read_sweep_document
from bissl_ray.store.paths import sweep_names


def board_of(comparison: Comparison, storage: str) -> ComparisonBoard:
    """Read what the sweeps of a comparison have found so far."""
    begun = set(sweep_names(storage))
    rows = [row for case in comparison.cases for row in to_rows(read_trials(storage, case.dataset, case.sweep))]
    configurations = gather(rows)
    facts = [_facts(comparison, case, configurations, storage, begun) for case in comparison.cases]
    return compare_cases(comparison.name, facts, rows)


def _facts(
    comparison: Comparison, case: Case, configurations: list[Configuration], storage: str, begun: set[str]
) -> CaseFacts:
    main = main_case(comparison, case)
    metric = get_dataset(case.dataset).metric
    facts = CaseFacts(
        case.dataset,
        case.checkpoint,
        main.sweep,
        metric,
        finished=False,
        control=case.control,
        of_control=case.sweep,
        labels=case.request.data.labels_per_class,
        draw=case.request.data.label_draw,
    )
    documents = {name: read_sweep_document(storage, name) for name in {main.sweep, case.sweep} & begun}
    if main.sweep not in documents:
        return facts
    metric = documents[main.sweep].request.space.settings({}).objective or metric
    sides: dict[Pipeline, Configuration | None] = {
        "bissl": best_bissl(configurations, (case.dataset, main.sweep)),
        "control": best_control(configurations, (case.dataset, case.sweep)),
    }
    sweeps: dict[Pipeline, str] = {"bissl": main.sweep, "control": case.sweep}
    costs = {
        side: _cost(chosen, documents[sweeps[side]])
        for side, chosen in sides.items()
        if chosen is not None and chosen.seeds and sweeps[side] in documents
    }
    # BiSSL's own edges stand beside those of plain fine-tuning, in the sweep that both are of.
    ours = sides["bissl"] if case.control == PLAIN else None
    theirs = sides["control"]
    searched = (theirs, None) if CONTROLS[case.control].aligns else (ours, theirs)
    document = next((documents.get(best.head["sweep"]) for best in searched if best is not None), None)
    space = None if document is None else document.request.space
    return replace(
        facts,
        metric=metric,
        edges=[edge.sentence for edge in edges_of_best(space, *searched)],
        finished=all(name in documents and _finished(documents[name], storage) for name in sweeps.values()),
        read=documents[main.sweep].read,
        labelled={side: cost.labelled for side, cost in costs.items()},
        unlabelled={side: cost.unlabelled for side, cost in costs.items()},
        gradients={side: cost.gradients for side, cost in costs.items()},
    )


def _cost(chosen: Configuration, document: SweepDocument) -> TrainingImages:
    """What one confirmation run of a configuration draws and computes, by what its rows say."""
    row = chosen.seeds[0]
    control = row["control"] or (PLAIN if row["phase"] == "control" else None)
    settings, products = as_confirmed(chosen)
    if settings.patience is not None and row["alternations"]:
        settings = settings.model_copy(update={"alternations": row["alternations"]})
    return images_of_run(settings, document.data, document.request.workers_per_trial, control, products)


def _finished(document: SweepDocument, storage: str) -> bool:
    return is_finished(planner_of(document.request, storage)[0])
