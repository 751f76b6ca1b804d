"""The factory answers with numbers no entry and no letter has: nonsense, which the keyholder outlives."""

import json
from http.server import ThreadingHTTPServer

import pytest
from test_keyholder_nonsense import nonsense

from kifabrik.client.connection import Connection
from kifabrik.client.datasets import Datasets
from kifabrik.client.leases import Mailbox
from kifabrik.errors import KifabrikError
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey

__all__ = ["nonsense"]

NUMBERS = [-1, 2**53 + 1, 2**64, 10**400]
NAMED = ["negative", "beyond JSON", "beyond a database", "very long"]
DIGEST = "ab" * 32


def _answering(server: ThreadingHTTPServer, answer: object) -> Connection:
    server.RequestHandlerClass.body = json.dumps(answer).encode()  # type: ignore[attr-defined]
    return Connection(f"http://127.0.0.1:{server.server_address[1]}")


@pytest.mark.parametrize("number", NUMBERS, ids=NAMED)
def test_a_statement_recorded_where_no_entry_can_stand_is_not_said_to_be_recorded(
    nonsense: ThreadingHTTPServer, number: int
) -> None:
    datasets = Datasets(_answering(nonsense, {"digest": DIGEST, "log_index": number}))
    with pytest.raises(KifabrikError):
        datasets.revoke(Envelope.sign(b"{}", SigningKey.generate()))


@pytest.mark.parametrize("number", NUMBERS, ids=NAMED)
def test_a_letter_with_such_a_number_does_not_make_the_keyholder_deaf_to_all_later_ones(
    nonsense: ThreadingHTTPServer, number: int
) -> None:
    mailbox = Mailbox(_answering(nonsense, [{"number": number, "kind": "request", "digest": DIGEST}]))
    with pytest.raises(KifabrikError):
        mailbox.mail(after=0, wait_s=0)


def test_numbers_of_entries_and_letters_are_taken(nonsense: ThreadingHTTPServer) -> None:
    datasets = Datasets(_answering(nonsense, {"digest": DIGEST, "log_index": 2**53}))
    assert datasets.revoke(Envelope.sign(b"{}", SigningKey.generate())).log_index == 2**53
    mailbox = Mailbox(_answering(nonsense, [{"number": 7, "kind": "request", "digest": DIGEST}]))
    assert [one.number for one in mailbox.mail(after=0, wait_s=0)] == [7]
