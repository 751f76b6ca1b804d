"""When a launcher quotes, and when it asks again."""

import base64
from types import SimpleNamespace

import pytest

from kifabrik.attestation.evidence import Evidence
from kifabrik.launcher import attesting
from kifabrik.launcher.attesting import Attester, QuoteError
from kifabrik.launcher.node import Node
from kifabrik.launcher.tpm import Tpm
from kifabrik.leases.attested import binding_of
from kifabrik.leases.statements import AttemptRequest, RequestingNode
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.merkle import EMPTY_ROOT
from kifabrik.signatures.keys import SigningKey
from kifabrik.values import Place

ENTRY = RequestingNode("ab" * 32, "age1x")
REQUEST = AttemptRequest("t", "r", "a", 1, "o", ("i",), (ENTRY,), Place(), "k", "x", "e", "")


def node(tmp_path, tpm=""):
    return Node(tmp_path, "n", SigningKey.generate(), tmp_path, tmp_path, None, tpm=tpm)


class Heads:
    """Gives one cosigned head after another; the newest signed one covers `size` entries."""

    def __init__(self, size=0, cosigned=(0,)):
        self._size, self._cosigned = size, list(cosigned)

    def checkpoint(self):
        return head(self._size)

    def cosigned(self):
        return head(self._cosigned.pop(0) if len(self._cosigned) > 1 else self._cosigned[0])


class Never:
    def checkpoint(self):
        raise AssertionError("a head was fetched")

    cosigned = checkpoint


def head(size):
    text = TreeHead("log", size, bytes(32) if size else EMPTY_ROOT).to_note_text()
    return f"{text}\n— log {base64.b64encode(bytes(68)).decode()}\n"


def test_a_request_costs_nothing_while_nobody_asks_for_a_quote(tmp_path):
    assert Attester(node(tmp_path, "device:/dev/none"), Never()).show(REQUEST, ENTRY) == ""


def test_a_node_without_a_tpm_shows_nothing_and_does_not_ask_again(tmp_path):
    attester = Attester(node(tmp_path), Never(), asked=True)
    assert attester.show(REQUEST, ENTRY) == ""
    assert not attester.asks_again("not-attested")
    assert not attester.asks_again("stale-quote")


def test_a_node_with_a_tpm_asks_again_once_it_was_asked_and_for_a_fresher_quote(tmp_path):
    attester = Attester(node(tmp_path, "device:/dev/none"), Never())
    assert not attester.asks_again("no-grant")
    assert attester.asks_again("not-attested")
    assert not attester.asks_again("not-attested")
    assert not attester.asks_again("wrong-pcrs")
    assert attester.asks_again("stale-quote")


def test_a_node_that_was_known_to_be_asked_is_not_refused_twice_for_the_same(tmp_path):
    assert not Attester(node(tmp_path, "device:/dev/none"), Never(), asked=True).asks_again("not-attested")


def test_a_tpm_without_a_key_says_which_command_makes_one(tmp_path):
    attester = Attester(node(tmp_path, "device:/dev/none"), Heads(), asked=True)
    with pytest.raises(QuoteError, match="cannot show what it is") as caught:
        attester.show(REQUEST, ENTRY)
    assert "node attest init" in caught.value.hint or "tpm2-tools" in caught.value.hint


def test_stale_quotes_are_not_made_for_ever(tmp_path):
    attester = Attester(node(tmp_path, "device:/dev/none"), Heads(), asked=True)
    asked = 0
    while attester.asks_again("stale-quote"):
        asked += 1
        with pytest.raises(QuoteError):
            attester.show(REQUEST, ENTRY)
        assert asked < 10
    assert asked == 4


def test_a_quote_waits_for_a_cosigned_head_that_covers_the_run_s_order(tmp_path, monkeypatch):
    quoted = []
    monkeypatch.setattr(
        Tpm, "quote", lambda _self, _handle, binding: quoted.append(binding) or {"type": "tpm-quote"}
    )
    monkeypatch.setattr(attesting, "read_key", lambda _home: SimpleNamespace(handle=1))
    attester = Attester(node(tmp_path, "device:/dev/none"), Heads(7, [5, 6, 8]), asked=True)
    assert Evidence.from_text(attester.show(REQUEST, ENTRY)).head == head(8)
    assert quoted == [binding_of(REQUEST, ENTRY).digest(head(8))]


def test_a_run_that_is_stopped_waits_for_no_head(tmp_path):
    stopped = [False, False, True]
    attester = Attester(
        node(tmp_path, "device:/dev/none"), Heads(7, [5]), asked=True, given_up=lambda: stopped.pop(0)
    )
    with pytest.raises(QuoteError):
        attester.show(REQUEST, ENTRY)
    assert not stopped


def test_a_factory_that_sends_something_else_than_a_head_is_named(tmp_path):
    heads = SimpleNamespace(checkpoint=lambda: "<html>", cosigned=lambda: "<html>")
    with pytest.raises(QuoteError, match="something else than a tree head"):
        Attester(node(tmp_path, "device:/dev/none"), heads, asked=True).show(REQUEST, ENTRY)
