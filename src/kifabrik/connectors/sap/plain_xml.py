"""XML of a foreign service, without what a document type can bring in: entities, external files, defaults.

Invariants:
- a document with a document type is refused by the parser's own word for it, whatever the encoding and whatever
  stands before it: bytes that are looked for are not found in UTF-16 or behind a long comment;
- the root element has not begun when that is settled, so no entity is ever expanded.
"""

from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element
from xml.parsers import expat

from kifabrik.errors import IntegrityError


class _DocumentTypeError(Exception):
    """The prolog declares a document type."""


class _RootBegins(Exception):  # noqa: N818 - not an error: the prolog is over
    """The first element begins, and with it nothing can be declared any more."""


def parse_plain_xml(data: bytes, what: str, *, hint: str = "") -> Element:
    """Read a document and return its root.

    Args:
        data: The whole document, in any encoding expat reads.
        what: Names it in errors.
        hint: What to do about an error.

    Raises:
        IntegrityError: It is not XML, or has a document type.
    """
    try:
        _read_prolog(data)
        return ET.fromstring(data)  # noqa: S314 - no document type, so no entities
    except _DocumentTypeError:
        raise IntegrityError(f"{what} has a document type, which OData never has", hint=hint) from None
    except (
        ET.ParseError,
        expat.ExpatError,
        ValueError,
        LookupError,
    ) as error:  # of which the last: no such encoding
        raise IntegrityError(f"{what} is not XML: {error}", hint=hint) from None


def _read_prolog(data: bytes) -> None:
    def document_type(*_declared: object) -> None:
        raise _DocumentTypeError

    def root(*_element: object) -> None:
        raise _RootBegins

    reader = expat.ParserCreate()
    reader.StartDoctypeDeclHandler = document_type
    reader.StartElementHandler = root
    try:
        reader.Parse(data, True)
    except _RootBegins:
        return
