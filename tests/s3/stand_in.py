"""An S3 that stands in for the real one: moto's server on 127.0.0.1, which a test may stop and start."""

import importlib.util
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from pyarrow.fs import S3FileSystem

_HERE: Final = Path(__file__).parent
_OF_ITS_OWN: Final = _HERE.parents[1] / ".venv-s3/bin/python"
BUCKET: Final = "bissl"


class StandIn:
    """The server, with an empty bucket, and how it is reached."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.address = self._next_line()
        self.environment = {
            "AWS_ACCESS_KEY_ID": "anybody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": f"http://{self.address}",
        }
        """Variables by which pyarrow finds it, for this process and the commands that are run."""

    def files(self) -> S3FileSystem:
        """Its file system, whatever this process's environment says."""
        return S3FileSystem(
            access_key=self.environment["AWS_ACCESS_KEY_ID"],
            secret_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            endpoint_override=self.address,
            scheme="http",
            allow_bucket_creation=True,
        )

    def stop(self) -> None:
        """Refuse connections from now on; what is stored stays."""
        self._process.send_signal(signal.SIGUSR1)
        assert self._next_line() == "stopped"

    def start(self) -> None:
        """Take them again."""
        self._process.send_signal(signal.SIGUSR2)
        assert self._next_line() == self.address

    def _next_line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Start one, for the duration of a `with` block; the test is skipped where there is no moto."""
    python = sys.executable if importlib.util.find_spec("moto") else str(_OF_ITS_OWN)
    if not Path(python).exists():
        pytest.skip("no moto, whose S3 stands in for the real one: `make .venv-s3/.installed` installs it")
    with subprocess.Popen(
        [python, str(_HERE / "server.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            server = StandIn(process)
            server.files().create_dir(BUCKET)
            yield server
        finally:
            process.kill()
