"""What `dataset erase` waits for, and what it does not."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest

from kifabrik.customer import erasing
from kifabrik.customer.erasing import await_certificate
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.grants.statements import ErasureCertificate, KeyedRun
from kifabrik.runs.states import RunState
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement

KEY = SigningKey.generate()
LINE, RUN, OTHER = "d-aaaaaaaaaaaaaaaa", "r-aaaaaaaaaaaaaaaa", "r-bbbbbbbbbbbbbbbb"
SAID = ErasureCertificate(
    "t-1", LINE, "ab" * 32, (), (), (), (), "", complete=True, destroyed="2026-11-23T10:30:00Z"
)


def certificate(*going_on, key=KEY, **parts):
    runs = tuple(KeyedRun(run, ended=False, erased=False) for run in going_on)
    return sign_statement(replace(SAID, complete=not runs, runs=runs, **parts), {}, key).to_json()


@dataclass
class Factory:
    """A factory that shows one certificate after the other: the next one where the present one is known."""

    certificates: list[str]
    states: dict[str, RunState] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def session(self):
        """As much of a session as is needed here."""
        return SimpleNamespace(datasets=self, runs=self, keyholder_key=KEY.public)

    def erasure(self, dataset, *, after, wait_s):
        assert (dataset, wait_s > 0) == (LINE, True)
        self.asked.append(after)
        if after and len(self.certificates) > 1:
            self.certificates.pop(0)
        return SimpleNamespace(certificate=self.certificates[0] if self.certificates else "")

    def show(self, run):
        if run not in self.states:
            raise NotFoundError("there is no such run")
        return SimpleNamespace(state=self.states[run])


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    """What is waited for in vain is not waited for long."""
    monkeypatch.setattr(erasing, "PATIENCE_S", 0.2)
    monkeypatch.setattr(erasing, "SEALING_PATIENCE_S", 0.2)
    monkeypatch.setattr(erasing, "_POLL_S", 0.05)


@pytest.mark.parametrize("state", [RunState.SEALING, RunState.SUCCEEDED])
def test_results_that_are_being_sealed_are_waited_for_and_named(state):
    factory, said = Factory([certificate(RUN), certificate()], {RUN: state}), []
    found = await_certificate(factory.session, LINE, say=said.append)
    assert (found.said.complete, found.sealing, found.going_on) == (True, (), ())
    assert said == ["Waiting for the certificate …", f"Waiting for results of {RUN} …"]


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.STAGING, None])
def test_a_run_at_work_is_named_and_not_waited_for(state):
    factory = Factory([certificate(RUN), certificate()], {RUN: state} if state else {})
    found = await_certificate(factory.session, LINE)
    assert (found.said.complete, found.going_on) == (False, (RUN,))
    assert factory.asked == [""]


def test_a_run_at_work_is_waited_for_where_that_is_wished():
    states = {RUN: RunState.RUNNING, OTHER: RunState.SEALING}
    factory, said = Factory([certificate(RUN, OTHER), certificate(RUN), certificate()], states), []
    found = await_certificate(factory.session, LINE, to_the_end=True, say=said.append)
    assert found.said.complete
    assert said[1:] == [f"Waiting for results of {OTHER} and the end of {RUN} …", f"Waiting for the end of {RUN} …"]


def test_patience_with_results_that_do_not_arrive_ends_and_they_are_named():
    factory = Factory([certificate(RUN)], {RUN: RunState.SEALING})
    found = await_certificate(factory.session, LINE)
    assert (found.said.going_on, found.sealing) == ((RUN,), (RUN,))


def test_without_a_certificate_there_is_none():
    assert await_certificate(Factory([]).session, LINE).said is None


def test_what_the_keyholder_has_not_signed_or_is_of_another_dataset_is_refused():
    for text in (certificate(key=SigningKey.generate()), certificate(dataset="d-bbbbbbbbbbbbbbbb")):
        with pytest.raises(IntegrityError):
            await_certificate(Factory([text]).session, LINE)
