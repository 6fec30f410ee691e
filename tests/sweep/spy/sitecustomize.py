"""Python imports this at its start where its folder is on PYTHONPATH: workers write down the orders that they run."""

import importlib.util
import os
import sys
from importlib.abc import Loader, MetaPathFinder
from pathlib import Path

WATCHED = "bissl_ray.training.pipeline"


class _Spy(MetaPathFinder, Loader):
    def find_spec(self, name, path, target=None):
        if name != WATCHED:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        self._really = spec.loader
        spec.loader = self
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        self._really.exec_module(module)
        really_run = module.run_order

        def run_order(order, worker, sender):
            if worker.is_chief:
                kind = "-".join(order.stages)
                name = f"{order.sweep}.{order.trial}.{kind}.{os.getpid()}.json"
                Path(os.environ["BISSL_SPY"], name).write_text(order.model_dump_json())
            return really_run(order, worker, sender)

        module.run_order = run_order


if "BISSL_SPY" in os.environ:
    sys.meta_path.insert(0, _Spy())
