"""An example of every verb, with which its help ends."""

from typing import Final

import typer

_EXAMPLES: Final = {
    "sweep": "sweep --dataset digits --trials 16 --name night",
    "resume": "resume night --trials 40",
    "watch": "watch night --storage s3://bucket/runs",
    "leaderboard": "leaderboard --sweep night --top 5",
    "show": "show t004 --sweep night",
    "list": "list --storage s3://bucket/runs",
    "status": "status night",
    "diff": "diff night/t004 night/t007",
    "rm": "rm night --yes",
    "clean": "clean night --dry-run",
    "compare": "compare --dataset digits --seeds 5 -n pays",
    "report": "report night -o report.html",
    "export": "export --sweep night -o winner.safetensors",
    "pretrain": "pretrain --dataset digits -n backbone",
    "train": "train --start runs/stages/pre/pretrained.pt",
    "finetune": "finetune --start runs/stages/aligned/aligned.pt",
    "evaluate": "evaluate --start runs/stages/tuned/finetuned.pt",
    "config": "config --write",
    "spaces": "spaces cars",
    "launch": "launch slurm.sbatch > sweep.sbatch",
    "doctor": "doctor --only files",
    "datasets": "datasets --data-dir ~/data",
    "datasets check": "datasets check cars --data-dir ~/data --download",
    "bench": "bench hypergradient",
    "bench augment": "bench augment --json",
    "bench driver": "bench driver --trials 1000",
    "bench hypergradient": "bench hypergradient --backbone resnet50 --batch 64",
    "bench input": "bench input --json",
    "bench leaderboard": "bench leaderboard --rows 1000,1000000",
    "bench precision": "bench precision --json",
    "bench scaling": "bench scaling --workers 1,2",
    "bench search": "bench search --sweep random --seeds 5",
    "bench sharing": "bench sharing --trials 1,2",
    "bench tasks": "bench tasks --json",
    "bench train": "bench train --json",
    "bench turnaround": "bench turnaround --trials 6",
}
"""By verb."""


def give_examples(app: typer.Typer, path: str = "") -> None:
    """Have the help of every verb, and of every group of verbs, end with its example."""
    for command in app.registered_commands:
        name = command.name or str(getattr(command.callback, "__name__", "")).replace("_", "-")
        command.epilog = _line(f"{path}{name}")
    for group in app.registered_groups:
        group.epilog = _line(f"{path}{group.name}")
        if group.typer_instance is not None:
            give_examples(group.typer_instance, f"{path}{group.name} ")


def _line(verb: str) -> str:
    return f"Example: bissl-ray {_EXAMPLES[verb]}"
