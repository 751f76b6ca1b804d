"""The factory shows a member an old log, so that the newest version of a name is an old one."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_attack_customer_names import View
from test_attack_customer_recipients import session
from test_attack_customer_split_view import shown

from keyhouse import House, Person, Run, as_input
from kifabrik.customer.apply import PreparedRun
from kifabrik.customer.entered import newer_than_ordered
from kifabrik.customer.session import Session
from kifabrik.errors import IntegrityError
from kifabrik.jobs.jobfile import parse_job
from kifabrik.signatures.dsse import Envelope

__all__ = ["session"]

JOB = "name: train\npurpose: predictive-maintenance\nrun: python train.py\ndata: {{/data/press: {}}}\n"


class Shown:
    """What a member's machine is shown, and what it then orders."""

    def __init__(self, house: House, session: Session, named: str = "press") -> None:
        self.house, self.session, self.anna = house, session, house.enrol()
        self.first = self.anna.seal({"a": b"first"})
        self.prepared = self.prepare(named)

    def prepare(self, named: str) -> PreparedRun:
        entries = list(self.house.factory.entries)
        self.session.log = shown(self.house, entries)
        self.session.mirror()
        inputs, names = {"/data/press": as_input(self.first)}, {"/data/press": "press@1"}
        job = parse_job(JOB.format(named))
        return PreparedRun("r-x", job, Path(), inputs, names, {}, None, len(entries))  # type: ignore[arg-type]

    def seal(self, by: Person | None = None, previous: Envelope | None = None) -> Envelope:
        """A colleague seals; the next version of the dataset, or another dataset."""
        dataset = as_input(self.first).owner if previous else ""
        return (by or self.anna).seal({"a": b"second"}, dataset, previous)

    def ordered(self) -> SimpleNamespace:
        """What the factory answers to the order."""
        run: Run = self.anna.order(self.first)
        return SimpleNamespace(run=run.id, order=run.order.digest)

    def look(self, view: SimpleNamespace, entries: list[bytes] | None = None, detail=None) -> tuple[str, ...]:
        """Look at the log once more, as it is or as it is shown."""
        self.session.log = shown(self.house, self.house.factory.entries if entries is None else entries)
        self.session.log.detail = detail
        return newer_than_ordered(self.session, self.prepared, view)


def test_an_old_version_that_passed_for_the_newest_is_told_once_the_order_stands_in_the_log(
    house: House, session: Session
) -> None:
    member = Shown(house, session)
    member.seal(previous=member.first)
    (said,) = member.look(member.ordered())
    assert said.startswith("press@1 is not the newest any more")


def test_an_old_model_that_passed_for_the_newest_is_told_too(
    house: House, session: Session, tmp_path: Path
) -> None:
    member = Shown(house, session)
    (tmp_path / "details").mkdir()
    view = View(house, member.anna, tmp_path / "details")
    made = [view.trained(name) for name in ("press", "press", "scrap")]
    outputs = [one.output({"weights": b"w"}) for one in made]
    made[0].finish(outputs[0])
    member.first = outputs[0]
    member.prepared = member.prepare("model:press")
    session._statement = house.factory.statement  # type: ignore[assignment]
    identity = member.anna.invitation.catalogue_identity
    session.profile = replace(session.profile, catalogue_identity=identity)
    made[2].finish(outputs[2])
    order = member.ordered()
    assert member.look(order, detail=view.detail) == ()
    member.prepared = member.prepare("model:press")
    made[1].finish(outputs[1])
    (said,) = member.look(member.ordered(), detail=view.detail)
    assert said.startswith("press@1 is not the newest any more")


def test_an_order_the_log_does_not_show_is_an_error_whatever_the_factory_answers(
    house: House, session: Session
) -> None:
    member = Shown(house, session)
    old = list(house.factory.entries)
    member.seal(previous=member.first)
    view = member.ordered()
    with pytest.raises(IntegrityError, match="the log it shows does not hold it"):
        member.look(view, old)


def test_nothing_is_told_of_what_came_later_or_is_about_something_else(house: House, session: Session) -> None:
    member = Shown(house, session)
    member.seal()
    view = member.ordered()
    member.seal(previous=member.first)
    assert member.look(view) == ()


def test_nothing_is_told_of_a_version_that_was_asked_for(house: House, session: Session) -> None:
    member = Shown(house, session, named="press@1")
    member.seal(previous=member.first)
    assert member.look(member.ordered()) == ()
