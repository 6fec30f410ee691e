"""A sweep's explored trials as a study in a database of Optuna's, which optuna-dashboard opens (issue 20)."""

import optuna
from optuna.exceptions import DuplicatedStudyError

from bissl_ray.addresses import without_secrets
from bissl_ray.errors import BadInputError
from bissl_ray.metrics import of_objective
from bissl_ray.search.records import records_from_store
from bissl_ray.search.study import NAME, stored_study
from bissl_ray.store import read_reports, read_trials, sweep_names, to_rows
from bissl_ray.store.documents import read_sweep_document
from bissl_ray.words import Step

_EXAMPLE = "expected an address that Optuna knows, such as sqlite:///sweeps.db"


def export_study(storage: str, sweep: str | None, url: str, force: bool = False) -> str:
    """Write what a sweep has explored as a study of its name: settings, scores after each alternation, how each ended.

    Trials that still run are left out; scores are in the metric's unit, shares in per cent.

    Args:
        storage: that holds the sweep.
        sweep: its name; None: the only one.
        url: of the database, which may hold other studies.
        force: replace a study of that name.

    Returns:
        A line that says what was written.

    Raises:
        BadInputError: there is no such sweep, several and none was named, a study of that name is there, or the
            database can't be opened.
    """
    names = sweep_names(storage)
    if sweep is None and len(names) > 1:
        raise BadInputError(f"{storage} holds {len(names)} sweeps: choose one with --sweep: {', '.join(names)}")
    document = read_sweep_document(storage, sweep or next(iter(names), ""))
    request = document.request
    rows = to_rows(read_trials(storage, request.dataset, request.name))
    explored = [row for row in rows if row["step"] == Step.SEARCH]
    names_of_scores = (row["objective_name"] for row in rows if row["objective_name"] is not None)
    records = records_from_store(explored, to_rows(read_reports(storage, request.dataset, request.name)))
    study = stored_study(request.name, request.space, records, of_objective(next(names_of_scores, None)))
    trials = study.get_trials(deepcopy=False)
    told = without_secrets(url)
    try:
        database = optuna.storages.get_storage(url)
        if force and request.name in [known.study_name for known in optuna.get_all_study_summaries(database)]:
            optuna.delete_study(study_name=request.name, storage=database)
        written = optuna.create_study(study_name=request.name, storage=database, directions=study.directions)
        written.set_user_attr("dataset", request.dataset)
        written.add_trials(trials)
    except DuplicatedStudyError:
        raise BadInputError(
            f"--optuna {told}: it has a study {request.name!r} already; give --force to replace it, or another database"
        ) from None
    except Exception as error:
        if not type(error).__module__.startswith(("sqlalchemy", "optuna")) and not isinstance(error, ImportError):
            raise
        reason = " ".join(str(error).split()).partition("(Background")[0].strip()
        raise BadInputError(f"--optuna {told}: {without_secrets(reason)}; {_EXAMPLE}") from None
    named = f", each with its name here as the attribute {NAME!r}" if trials else ""
    return f"{told}: study {request.name}, {len(trials)} explored trials{named}; open it with: optuna-dashboard {told}"
