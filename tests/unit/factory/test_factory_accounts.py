"""Who a token belongs to, said without waiting where nothing is to be written down."""

import pytest
from rows_of_runs import attempt, enter
from signing_up import sign_up

from kifabrik.errors import SignInError
from kifabrik.factory.factory import Factory
from kifabrik.factory.records import Principal, TokenKind
from kifabrik.factory.tokens import issued, new_token


def test_a_token_is_known_at_a_glance_from_its_second_use_until_it_ends(opened: Factory) -> None:
    tenant, token = sign_up(opened), new_token(TokenKind.KEYHOLDER)
    with opened.store.write(tenant) as transaction:
        transaction.accounts.add_token(issued(token, tenant, "2026-11-23T08:00:00Z"))
    assert opened.accounts.glance(token) is None
    principal = opened.accounts.sign_in(token)
    assert opened.accounts.glance(token) == principal == Principal(TokenKind.KEYHOLDER, tenant)
    assert opened.accounts.glance(new_token(TokenKind.KEYHOLDER)) is None
    with opened.store.write(tenant) as transaction:
        transaction.accounts.drop_tokens(tenant, kind=TokenKind.KEYHOLDER)
    assert opened.accounts.glance(token) is None
    with pytest.raises(SignInError):
        opened.accounts.sign_in(token)


def test_the_first_use_of_an_attempts_token_is_not_noted(opened: Factory) -> None:
    tenant = sign_up(opened)
    run = enter(opened, tenant)
    name = attempt(opened, tenant, run)
    with opened.store.write(tenant) as transaction:
        token = opened.accounts.issue_attempt_token(transaction, tenant, run, name)
    assert opened.accounts.glance(token) == opened.accounts.sign_in(token)
    with opened.store.read() as transaction:
        assert [
            one.used for one in transaction.accounts.tokens_of(tenant, kind=TokenKind.ATTEMPT, attempt=name)
        ] == [""]
    with opened.store.write(tenant) as transaction:
        opened.accounts.end_attempt_tokens(transaction, tenant, name)
    assert opened.accounts.glance(token) is None
