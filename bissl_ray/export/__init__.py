"""A trained model out of a sweep, as a file that torchvision or timm loads, with a card that says what it is."""

from bissl_ray.export.choice import ExportedRun, choose_run
from bissl_ray.export.model import Target, export_file, export_model, read_file
from bissl_ray.export.write import write_out

__all__ = ["ExportedRun", "Target", "choose_run", "export_file", "export_model", "read_file", "write_out"]
