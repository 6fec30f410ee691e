"""`bissl-ray datasets`: what can be swept."""


def datasets() -> None:
    """List the datasets: classes, metric, and what they need."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from bissl_ray.data import dataset_names, get_dataset

    table = Table("dataset", "title", "classes", "metric", "data", box=SIMPLE_HEAD)
    for name in dataset_names():
        spec = get_dataset(name)
        data = "embedded" if spec.embedded else "needs --data-dir"
        table.add_row(name, spec.title, str(spec.classes), spec.metric, data)
    Console().print(table)
