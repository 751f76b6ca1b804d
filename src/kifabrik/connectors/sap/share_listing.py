"""What files a shared table consists of, in both formats of Delta Sharing.

A table is asked for as plain Parquet, or, where its provider serves it as a Delta log only, in that format; what
that format can say and a plain file cannot (rows deleted by a vector, renamed columns) is refused, for reading the
files alone would give other rows. Source: Delta Sharing Protocol 1.0, "Read Data from a Table", "API Response
Format"; Delta Transaction Log Protocol, "Deletion Vectors", "Column Mapping".

Invariants:
- a list that is not whole is never taken for one that is;
- links that end while files are read are asked for anew, for the same version of the table, or the pull ends.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, SignInError, UnavailableError, UsageError

_LET_IN: Final = frozenset({401, 403})
_MISSING: Final = 404


@dataclass(frozen=True)
class SharedFile:
    """A file of a shared table.

    Args:
        id: The same each time it is listed.
        url: Where it can be had, for a while.
        size: Bytes; 0 if not said.
        partitions: Columns that are not in the file.
    """

    id: str
    url: str
    size: int
    partitions: Mapping[str, Any]


class Listing:
    """The files of one table, as of one version.

    Args:
        client: Of the share.
        name: Of the table to be, for errors.
        table: Share, schema and table, with dots between.

    Raises:
        KifabrikError: The share refuses, cannot be reached, or says what makes no sense.
    """

    def __init__(self, client: Any, name: str, table: str) -> None:
        from delta_sharing.protocol import Table  # noqa: PLC0415 - slow to import

        share, schema, word = table.split(".")
        self._client, self._name, self._table = client, name, Table(word, share, schema)
        self._is_delta = self._asked(lambda: client.autoresolve_query_format(self._table)) == "delta"
        self.version, self.files = self._listed()

    def again(self, file: SharedFile) -> SharedFile:
        """Return the file with a fresh link.

        Raises:
            ConflictError: The table has changed since it was first listed.
        """
        version, files = self._listed()
        found = next((one for one in files if one.id == file.id), None)
        if version != self.version or found is None:
            raise ConflictError(
                f"{self._name}: the shared table changed while it was read", hint="Repeat the command."
            )
        return found

    def _listed(self) -> tuple[int, tuple[SharedFile, ...]]:
        if self._is_delta:
            self._client.set_delta_format_header()
        try:
            answer = self._asked(lambda: self._client.list_files_in_table(self._table))
        finally:
            if self._is_delta:
                self._client.remove_delta_format_header()
        files = self._from_lines(answer.lines) if answer.lines else map(_plain, answer.add_files)
        return int(answer.delta_table_version), tuple(files)

    def _from_lines(self, lines: Sequence[str]) -> Iterator[SharedFile]:
        for line in lines:
            try:
                said = json.loads(line)
                self._check(said)
                if "file" in said:
                    yield self._file(said["file"])
            except (ValueError, KeyError, TypeError, AttributeError):
                raise self._senseless() from None

    def _check(self, said: Mapping[str, Any]) -> None:
        if said.get("endStreamAction", {}).get("nextPageToken"):
            raise IntegrityError(f"{self._name}: the share lists only some of the table's files")
        settings = said.get("metaData", {}).get("deltaMetadata", {}).get("configuration") or {}
        if settings.get("delta.columnMapping.mode", "none") != "none":
            raise self._beyond("has columns by other names than in its files (column mapping)")

    def _file(self, said: Mapping[str, Any]) -> SharedFile:
        add = said["deltaSingleAction"]["add"]
        if add.get("deletionVector"):
            raise self._beyond("has rows that are deleted and still in its files (deletion vectors)")
        return SharedFile(said["id"], add["path"], int(add.get("size") or 0), add.get("partitionValues") or {})

    def _beyond(self, what: str) -> UsageError:
        return UsageError(
            f"{self._name}: the shared table {what}, which is not read here",
            hint="Ask its provider to share a table or view without it.",
        )

    def _senseless(self) -> IntegrityError:
        return IntegrityError(f"{self._name}: what the share says of the table makes no sense")

    def _asked(self, ask: Any) -> Any:
        try:
            return ask()
        except OSError as error:  # the library's errors are those of `requests`, which are OSErrors
            raise self._fault(error) from None
        except (ValueError, LookupError, TypeError, StopIteration):
            raise self._senseless() from None

    def _fault(self, error: OSError) -> SignInError | NotFoundError | UnavailableError:
        response = getattr(error, "response", None)
        status = response.status_code if response is not None else 0
        if status in _LET_IN:
            return SignInError(
                f"{self._name}: the share does not let us in ({status})",
                hint="Ask the provider for a fresh profile.",
            )
        if status == _MISSING:
            return NotFoundError(f"{self._name}: the share has no such table", hint="Check table in the plan.")
        what = f"answers {status}" if status else f"does not answer: {type(error).__name__}"
        return UnavailableError(f"{self._name}: the share {what}", hint="Check table in the plan, and the network.")


def _plain(file: Any) -> SharedFile:
    return SharedFile(file.id, file.url, int(file.size or 0), file.partition_values or {})
