"""`bissl-ray sweep`: the main job."""

from typing import Annotated, Any

import typer


def sweep(
    dataset: Annotated[
        list[str] | None, typer.Option(help="Dataset to sweep; give it again for several, one sweep each. [digits]")
    ] = None,
    space: Annotated[
        str | None, typer.Option(help="Search space: a file, or a shipped one's name. [the dataset's own]")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Explore trials. [as the space says]")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Stop exploring after this: 90m, 2h, 1d, or 40gpuh; confirmation follows.")
    ] = None,
    workers_per_trial: Annotated[int, typer.Option(help="Workers that share a trial; a GPU each where there are.")] = 1,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join: auto or HOST:PORT. [RAY_ADDRESS, else one started here]")
    ] = None,
    storage: Annotated[str, typer.Option(help="Folder or URI for the results.")] = "./runs",
    name: Annotated[str | None, typer.Option(help="Name of the sweep. [dataset and time]")] = None,
    pretrained: Annotated[str | None, typer.Option(help="Self-supervised checkpoint: .pth, .pt, .safetensors.")] = None,
    pretrained_head: Annotated[
        str | None, typer.Option(help="Its pretext head, projector.* and predictor.*. [in it, or beside it]")
    ] = None,
    allow_partial: Annotated[
        bool, typer.Option("--allow-partial", help="Take what fits the backbone; the rest keeps fresh weights.")
    ] = False,
    pretrain: Annotated[
        bool, typer.Option("--pretrain", help="Without a checkpoint, pretrain on the dataset's own images first.")
    ] = False,
    data_dir: Annotated[str | None, typer.Option(help="Folder that holds the dataset's files.")] = None,
    splits_dir: Annotated[
        str | None, typer.Option(help="Folder of published splits: NAME_train_split.txt, NAME_val_split.txt.")
    ] = None,
    pretext_dataset: Annotated[
        str | None, typer.Option(help="Whose images the lower level sees, such as imagenet. [the dataset's own]")
    ] = None,
    pretext_data_dir: Annotated[str | None, typer.Option(help="Folder of the pretext's dataset. [--data-dir]")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, show the plan, start nothing.")] = False,
) -> None:
    """Search BiSSL's hyperparameters, confirm the best over seeds, and compare with plain fine-tuning."""
    from bissl_ray.errors import BadInputError

    if trials is not None and trials < 1:
        raise BadInputError(f"--trials {trials}: expected 1 or more")
    overrides: dict[str, Any] = {"protocol": {"trials": trials}} if trials is not None else {}
    names: list[str | None] = [*dataset] if dataset else [None]
    if len(set(names)) < len(names):
        raise BadInputError(f"--dataset {' --dataset '.join(map(str, names))}: each dataset once, please")
    if len(names) > 1 and name is not None:
        raise BadInputError(f"--name {name} names one sweep, and there are {len(names)} datasets: leave it out")
    code = 0
    for each in names:
        asked: dict[str, Any] = {
            "space": space,
            "overrides": overrides,
            "name": name,
            "data_dir": data_dir,
            "splits_dir": splits_dir,
            "pretext_dataset": pretext_dataset,
            "pretext_data_dir": pretext_data_dir,
            "pretrained": pretrained,
            "pretrained_head": pretrained_head,
            "allow_partial": allow_partial,
            "workers_per_trial": workers_per_trial,
        }
        if dry_run:
            _check_rest(budget, address)
            _show_plan(each, asked, storage, pretrain, len(names) > 1)
            continue
        code = max(code, _run(each, asked, storage, pretrain, address, budget, len(names) > 1))
        if code == 130:
            break
    raise typer.Exit(code)


def _run(
    dataset: str | None,
    asked: dict[str, Any],
    storage: str,
    pretrain: bool,
    address: str | None,
    budget: str | None,
    one_of_several: bool,
) -> int:
    from bissl_ray.cli.live import conclude, storage_flag, terminal_view
    from bissl_ray.sweep.run import prepare_request, run_sweep

    named = {**asked, "name": prepare_request(dataset, **asked).name}
    try:
        with terminal_view(f"bissl-ray sweep {named['name']}") as view:
            outcome = run_sweep(
                dataset,
                storage=storage,
                pretrain=pretrain,
                address=address,
                budget=budget,
                splits_optional=one_of_several,
                view=view,
                **named,
            )
    except KeyboardInterrupt:
        resume = f"bissl-ray resume {named['name']}{storage_flag(storage)}"
        typer.echo(f"Interrupted at once. If the sweep had begun, go on with:\n  {resume}", err=True)
        return 130
    return conclude(outcome, storage)


def _check_rest(budget: str | None, address: str | None) -> None:
    from bissl_ray.config.protocol import parse_budget
    from bissl_ray.workers.attach import check_cluster

    if budget is not None:
        parse_budget(budget)
    if address is not None:
        check_cluster(address)


def _show_plan(dataset: str | None, asked: dict[str, Any], storage: str, pretrain: bool, one_of_several: bool) -> None:
    from bissl_ray.config import to_yaml
    from bissl_ray.data import DataChoice
    from bissl_ray.preflight.data import inspect_data
    from bissl_ray.preflight.sweeps import check_pretrained, check_request
    from bissl_ray.store import check_writable
    from bissl_ray.sweep.run import check_new, prepare_request

    request = prepare_request(dataset, **asked)
    check_writable(storage)
    check_new(request.name, storage)
    check_request(request)
    checkpoint = check_pretrained(request, pretrain)
    facts = inspect_data(DataChoice.of(request), request.space.settings({}).cache_side)
    if not one_of_several:
        facts.require_split(request.dataset)
    notes = () if checkpoint is None else checkpoint.on_data(request.dataset, facts)
    plan = request.space.protocol
    finalists = min(plan.finalists, plan.trials)
    tuned = plan.finalists * plan.finetune_runs
    confirmed = finalists * plan.seeds
    typer.echo(to_yaml(request.space))
    typer.echo(f"# data: {facts.in_words}")
    typer.echo(
        f"# plan: {plan.trials} explore trials; then {tuned} fine-tuning runs and {confirmed} confirmation runs "
        f"(up to {finalists} configurations, {plan.seeds} seeds) for BiSSL, and as many for the control; "
        "then one look at the test split"
    )
    for note in notes:
        typer.echo(f"# {note}")
    typer.echo("# nothing was started; leave --dry-run out to start")
