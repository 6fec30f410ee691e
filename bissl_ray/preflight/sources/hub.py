"""Files of the Hugging Face hub, kept in its own cache; its environment variables hold (HF_HOME, HF_TOKEN, ...)."""

import logging
import os
from pathlib import Path
from typing import Any, Final

from bissl_ray.errors import BadInputError
from bissl_ray.preflight.sources.address import Hub
from bissl_ray.preflight.sources.answers import sha256_of
from bissl_ray.preflight.sources.meter import say

_WORDS: Final = {
    "GatedRepoError": "{repo} is open to those alone who accepted its terms: do so on its page, and set HF_TOKEN",
    "DisabledRepoError": "{repo} was disabled by the hub: look for another one",
    "RepositoryNotFoundError": "there is no repository {repo}, or it is private: check the name, or set HF_TOKEN",
    "RevisionNotFoundError": "{repo} has no revision {revision}: check it",
    "HFValidationError": "{repo} can't be the name of a repository; expected OWNER/NAME",
}
"""What the hub answers, the narrower class before the wider one."""


class NoSuchFileError(BadInputError):
    """A repository has no file of that name."""


def from_hub(hub: Hub) -> Path:
    """The copy of a file of the hub in its cache; fetched if the hub has a newer one.

    Raises:
        NoSuchFileError: the repository has no such file.
        BadInputError: huggingface_hub is not installed, or the file can't be fetched; one line says why.
    """
    try:
        import huggingface_hub
        from huggingface_hub.utils.logging import set_verbosity
    except ImportError:
        raise BadInputError(
            f'{hub.shown} needs the huggingface_hub package, which is not installed: pip install "bissl-ray[hub]"'
        ) from None
    where: dict[str, Any] = {"repo_id": hub.repo, "filename": hub.file, "revision": hub.revision}
    if "HF_HUB_VERBOSITY" not in os.environ:
        set_verbosity(logging.ERROR)  # what it would say, the error line says
    try:
        file = Path(_download(huggingface_hub, hub, where))
    except Exception as error:
        raise _refusal(hub, error) from None
    if hub.sha256 is not None and sha256_of(file) != hub.sha256:
        raise BadInputError(
            f"{hub.shown}: {file} has sha256={sha256_of(file)}: another file, or another hash, is meant"
        )
    return file


def _download(library: Any, hub: Hub, where: dict[str, Any]) -> str:
    address = library.hf_hub_url(**where)
    try:
        # Asked first because the download itself, without an answer, goes on asking for half a minute.
        size = library.get_hf_file_metadata(address).size
    except Exception as error:
        kept = library.try_to_load_from_cache(hub.repo, hub.file, revision=hub.revision)
        if isinstance(kept, str) and _may_be_taken_from_cache(error):
            return kept
        raise
    kept = library.try_to_load_from_cache(hub.repo, hub.file, revision=hub.revision)
    if not isinstance(kept, str):
        say(f"fetching {hub.shown}{f' ({size:,} bytes)' if size else ''}")
    found: str = library.hf_hub_download(**where)
    return found


def _may_be_taken_from_cache(error: Exception) -> bool:
    """Whether it is the hub that isn't reached, and not the file that isn't there."""
    status = getattr(getattr(error, "response", None), "status_code", 500)
    return status == 429 or status >= 500


def _refusal(hub: Hub, error: Exception) -> BadInputError:
    kinds = [kind.__name__ for kind in type(error).__mro__]
    for kind, words in _WORDS.items():
        if kind in kinds:
            said = words.format(repo=hub.repo, revision=hub.revision)
            return BadInputError(f"{hub.shown}: {said}")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if "EntryNotFoundError" in kinds and "LocalEntryNotFoundError" not in kinds:
        return NoSuchFileError(f"{hub.shown}: {hub.repo} has no file {hub.file}: check the name on its page")
    if "OfflineModeIsEnabled" in kinds:
        return BadInputError(f"{hub.shown} is not in the hub's cache, and HF_HUB_OFFLINE is set: fetch it before")
    if status is not None:
        return BadInputError(f"{hub.shown} can't be fetched: the hub answers {status}; try again in a while")
    if isinstance(error, OSError) and error.errno is not None and "HTTPError" not in kinds:
        return BadInputError(f"{hub.shown} can't be kept: {os.strerror(error.errno)}; free it, or set HF_HOME")
    return BadInputError(
        f"{hub.shown} can't be fetched: the hub doesn't answer, and it is not in the hub's cache; check the network "
        "(and HF_ENDPOINT)"
    )
