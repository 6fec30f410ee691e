"""Pickles and XML, read without the harm that either can do to its reader.

A pickle may call any function that it names. CIFAR is published as pickles; these name functions that rebuild arrays.
Here a pickle may hold nothing but numbers, text, lists, dictionaries and NumPy arrays.

Everything by which XML can harm (entities that grow to gigabytes, entities that name files and addresses) is declared
in a document type. Annotations have none, so a file that begins one is refused before it is read further, and Python's
own parser is safe with the rest.
"""

import io
import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from bissl_ray.errors import BadInputError


def load_plain_pickle(content: bytes, path: Path) -> Any:
    """Read a pickle, with the text of Python 2 as Latin-1.

    Args:
        content: of the file.
        path: named in the error.

    Raises:
        BadInputError: it names anything else, or is damaged.
    """
    try:
        return _PlainUnpickler(io.BytesIO(content), encoding="latin1").load()
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle raises whatever its first wrong byte leads to
        raise BadInputError(
            f"{path}: can't be read as a pickle ({type(error).__name__}: {error}); put an intact copy there"
        ) from error


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _array_parts()
        # NumPy 2 calls numpy.core numpy._core.
        place = f"{module.replace('numpy._core', 'numpy.core')}.{name}"
        if place not in known:
            raise BadInputError(
                f"this pickle asks to run {module}.{name}, and one of images and labels has no need to; nothing was "
                "run: put the published file there"
            )
        return known[place]


def _array_parts() -> Mapping[str, Callable[..., Any]]:
    import numpy as np
    from numpy._core.multiarray import _reconstruct

    return {
        "numpy.core.multiarray._reconstruct": _reconstruct,
        "numpy.core.numeric._frombuffer": _from_buffer,
        "numpy.ndarray": np.ndarray,
        "numpy.dtype": np.dtype,
        "_codecs.encode": _to_bytes,
    }


def _from_buffer(content: bytes, dtype: Any, shape: Sequence[int], order: Literal["C", "F"]) -> Any:
    """An array as protocol 5 writes it."""
    import numpy as np

    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _to_bytes(text: str, encoding: str) -> bytes:
    """Bytes as Python 3 writes them in pickles that Python 2 can read."""
    if encoding != "latin1":
        raise ValueError(f"bytes are written as latin1, and these as {encoding}")
    return text.encode("latin1")


class XmlError(BadInputError):
    """A file can't be read as the XML that annotations are.

    Attributes:
        fault: what is wrong, with the file.
        remedy: what to do about it.
    """

    def __init__(self, fault: str, remedy: str) -> None:
        super().__init__(f"{fault}; {remedy}")
        self.fault = fault
        self.remedy = remedy

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        # From a worker of the cluster to here; an exception pickles its message alone.
        return type(self), (self.fault, self.remedy)


def parse_plain_xml(path: Path) -> ElementTree.Element:
    """Read an XML file.

    Returns:
        Its root.

    Raises:
        XmlError: can't be read, no XML, or XML with a document type; names the file.
    """
    parser = ElementTree.XMLParser(target=_WithoutDocumentType())
    try:
        parser.feed(path.read_bytes())
        root: ElementTree.Element = parser.close()
    except _DocumentTypeError:
        raise XmlError(
            f"{path}: begins a document type (<!DOCTYPE), which annotations don't have and which can do harm",
            "put the published file there",
        ) from None
    except OSError as error:
        raise XmlError(
            f"{path}: can't be read ({error.strerror})", "make it readable, or put an intact copy there"
        ) from error
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise XmlError(f"{path}: can't be read as XML ({error})", "put an intact copy there") from error
    return root


class _DocumentTypeError(Exception):
    """The file has one."""


class _WithoutDocumentType(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called by the parser where a document type begins."""
        raise _DocumentTypeError
