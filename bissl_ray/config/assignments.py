"""Settings given on the command line, as ``--set name=value``."""

from collections.abc import Sequence

from bissl_ray.config.parameters import SettingValue
from bissl_ray.config.refusal import RuleError
from bissl_ray.config.setting_rules import check_name, check_value
from bissl_ray.config.yaml_document import read_scalar
from bissl_ray.errors import BadInputError


def parse_assignments(texts: Sequence[str]) -> dict[str, SettingValue]:
    """Read what was given to ``--set``, each a setting's name and a value as a search space writes it.

    Args:
        texts: such as ``lower_lr=0.5``, ``clip_norm=null``, ``pretext=byol``.

    Returns:
        Values by setting, each right by itself.

    Raises:
        BadInputError: no such setting, a value that it can't take, or a setting given twice.
    """
    values: dict[str, SettingValue] = {}
    for text in texts:
        name, equals, written = (part.strip() for part in text.partition("="))
        if not (name and equals and written):
            raise BadInputError(f"--set {text}: expected NAME=VALUE, such as --set lower_lr=0.5")
        if name in values:
            raise BadInputError(f"--set {text}: {name} is given twice; give it once")
        try:
            check_name(name, ())
            value = read_scalar(written)
            check_value(name, value, ())
        except RuleError as error:
            raise BadInputError(f"--set {text}: {error}") from error
        values[name] = value
    return values
