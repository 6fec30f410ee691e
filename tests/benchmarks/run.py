"""A benchmark as a person runs it, in this process."""

from typer.testing import CliRunner

from bissl_ray.cli.main import app
from bissl_ray.errors import BadInputError


def bench(*arguments: str, code: int = 0) -> str:
    """What `bissl-ray bench ...` prints; with code 2, what it refuses with."""
    result = CliRunner().invoke(app, ["bench", *arguments], catch_exceptions=True)
    if isinstance(result.exception, BadInputError):
        assert code == 2
        return str(result.exception)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.output
