"""When a launcher quotes, and when it asks again."""

import pytest

from kifabrik.launcher.attesting import Attester, QuoteError
from kifabrik.launcher.node import Node
from kifabrik.leases.statements import AttemptRequest, RequestingNode
from kifabrik.signatures.keys import SigningKey
from kifabrik.values import Place

ENTRY = RequestingNode("ab" * 32, "age1x")
REQUEST = AttemptRequest("t", "r", "a", 1, "o", ("i",), (ENTRY,), Place(), "k", "x", "e", "")


def node(tmp_path, tpm=""):
    return Node(tmp_path, "n", SigningKey.generate(), tmp_path, tmp_path, None, tpm=tpm)


def never():
    raise AssertionError("a head was fetched")


def test_a_request_costs_nothing_while_nobody_asks_for_a_quote(tmp_path):
    assert Attester(node(tmp_path, "device:/dev/none"), never).show(REQUEST, ENTRY) == ""


def test_a_node_without_a_tpm_shows_nothing_and_does_not_ask_again(tmp_path):
    attester = Attester(node(tmp_path), never, asked=True)
    assert attester.show(REQUEST, ENTRY) == ""
    assert not attester.asks_again("not-attested")
    assert not attester.asks_again("stale-quote")


def test_a_node_with_a_tpm_asks_again_once_it_was_asked_and_for_a_fresher_quote(tmp_path):
    attester = Attester(node(tmp_path, "device:/dev/none"), never)
    assert not attester.asks_again("no-grant")
    assert attester.asks_again("not-attested")
    assert not attester.asks_again("not-attested")
    assert not attester.asks_again("wrong-pcrs")
    assert attester.asks_again("stale-quote")


def test_a_node_that_was_known_to_be_asked_is_not_refused_twice_for_the_same(tmp_path):
    assert not Attester(node(tmp_path, "device:/dev/none"), never, asked=True).asks_again("not-attested")


def test_a_tpm_without_a_key_says_which_command_makes_one(tmp_path):
    attester = Attester(node(tmp_path, "device:/dev/none"), lambda: "head", asked=True)
    with pytest.raises(QuoteError, match="cannot show what it is") as caught:
        attester.show(REQUEST, ENTRY)
    assert "node attest init" in caught.value.hint or "tpm2-tools" in caught.value.hint


def test_stale_quotes_are_not_made_for_ever(tmp_path):
    heads = iter("abcdefgh")
    attester = Attester(node(tmp_path, "device:/dev/none"), lambda: next(heads), asked=True)
    asked = 0
    while attester.asks_again("stale-quote"):
        asked += 1
        with pytest.raises(QuoteError):
            attester.show(REQUEST, ENTRY)
        assert asked < 10
    assert asked == 4
