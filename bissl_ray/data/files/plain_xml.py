"""XML without a document type.

Everything by which XML can harm its reader (entities that grow to gigabytes, entities that name files and addresses)
is declared in a document type. Annotations have none, so a file that begins one is refused before it is read further,
and Python's own parser is safe with the rest.
"""

from pathlib import Path
from xml.etree import ElementTree

from bissl_ray.errors import BadInputError


def parse_plain_xml(path: Path) -> ElementTree.Element:
    """Read an XML file.

    Returns:
        Its root.

    Raises:
        BadInputError: no XML, or XML with a document type; names the file.
    """
    parser = ElementTree.XMLParser(target=_WithoutDocumentType())
    try:
        parser.feed(path.read_bytes())
        root: ElementTree.Element = parser.close()
    except _DocumentTypeError:
        raise BadInputError(
            f"{path}: begins a document type (<!DOCTYPE), which annotations don't have and which can do harm; put the "
            "published file there"
        ) from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise BadInputError(f"{path}: can't be read as XML ({error}); put an intact copy there") from error
    return root


class _DocumentTypeError(Exception):
    """The file has one."""


class _WithoutDocumentType(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Called by the parser where a document type begins."""
        raise _DocumentTypeError
