"""A trained model out of a sweep, as a file that torchvision or timm loads, with a card that says what it is."""

from bissl_ray.export.choice import ExportedRun, choose_run
from bissl_ray.export.configuration import configuration_of_file, configuration_yaml
from bissl_ray.export.model import Target, export_file, export_model, read_file

__all__ = [
    "ExportedRun",
    "Target",
    "choose_run",
    "configuration_of_file",
    "configuration_yaml",
    "export_file",
    "export_model",
    "read_file",
]
