"""Who a token belongs to, said without waiting where nothing is to be written down."""

from dataclasses import replace

import pytest

from databases import sqlite_only
from kifabrik.errors import SignInError
from kifabrik.factory.factory import Factory
from kifabrik.factory.records import Member, Principal, TokenKind
from kifabrik.factory.tokens import issued, new_token
from kifabrik.tenants.statements import Role
from rows_of_runs import attempt, enter
from signing_up import sign_up


@sqlite_only
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


@sqlite_only
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


@sqlite_only
def test_a_members_token_is_known_at_a_glance_with_its_role_until_member_or_device_go(opened: Factory) -> None:
    tenant, token, others = sign_up(opened), new_token(TokenKind.DEVICE), new_token(TokenKind.DEVICE)
    member = Member(tenant, "m-1", Role.ENGINEER, membership="0" * 64, device="1" * 64)
    with opened.store.write(tenant) as transaction:
        transaction.accounts.add_member(member)
        for one, device in ((token, "1" * 64), (others, "2" * 64)):
            made = issued(one, tenant, "2026-11-23T08:00:00Z", member="m-1", device=device)
            transaction.accounts.add_token(replace(made, used="2026-11-23T08:00:01Z"))
    known = Principal(TokenKind.DEVICE, tenant, "m-1", Role.ENGINEER, "1" * 64)
    assert opened.accounts.glance(token) == known == opened.accounts.sign_in(token)
    assert opened.accounts.glance(others) is None
    with pytest.raises(SignInError):
        opened.accounts.sign_in(others)
    with opened.store.write(tenant) as transaction:
        transaction.accounts.remove_member(tenant, "m-1", "2026-11-23T09:00:00Z")
        assert opened.accounts.glance(token) == known  # not before it is committed
    assert opened.accounts.glance(token) is None
    with pytest.raises(SignInError):
        opened.accounts.sign_in(token)
