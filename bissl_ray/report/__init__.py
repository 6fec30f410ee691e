"""Reports: what sweeps and comparisons came to, as one HTML file that opens without a network (issue 20.6)."""

from bissl_ray.report.facts import read_subject
from bissl_ray.report.page import make_report
from bissl_ray.report.png import check_png, write_png
from bissl_ray.report.write import check_report, write_report

__all__ = ["check_png", "check_report", "make_report", "read_subject", "write_png", "write_report"]
