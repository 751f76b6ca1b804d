from types import SimpleNamespace

from kifabrik.cli.reasons import grant_hint, with_names
from kifabrik.grants.decision import _SENTENCES
from kifabrik.grants.policy import Condition

DATASET, RUN = "d-4h7h5tqqjkjyl3tj", "r-mk2moc5qe74hdblt"
MISSING = _SENTENCES[Condition.PURPOSE].format(purpose="upkeep", dataset=DATASET)


class Names:
    """A catalogue that knows one dataset and one run."""

    def datasets(self):
        return [SimpleNamespace(dataset=DATASET, name="press-line-7")]

    def runs(self):
        return [SimpleNamespace(run=RUN, name="press-anomaly")]


def test_ids_in_a_reason_get_the_names_members_gave_them():
    said = with_names(Names(), f"Waits for {RUN} and {RUN}-17, on {DATASET}, not r-aaaaaaaaaaaaaaaa.")
    tasks = f"{RUN} (press-anomaly) and {RUN}-17 (press-anomaly/17)"
    assert said == f"Waits for {tasks}, on press-line-7, not r-aaaaaaaaaaaaaaaa."


def test_a_missing_grant_is_said_with_the_command_that_gives_it():
    assert with_names(Names(), MISSING) == "There is no grant for purpose upkeep on dataset press-line-7."
    assert grant_hint(Names(), MISSING).endswith("kifabrik dataset grant press-line-7 --purpose upkeep")


def test_other_reasons_get_no_such_hint():
    assert grant_hint(Names(), _SENTENCES["erased"].format(dataset=DATASET)) == ""
    assert grant_hint(Names(), MISSING.replace(DATASET, "d-aaaaaaaaaaaaaaaa")) == ""
