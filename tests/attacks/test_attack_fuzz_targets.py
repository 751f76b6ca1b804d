"""A taste of `make fuzz` in every run of the tests: each target, a few hundred made-up inputs, one fixed seed."""

import random
from dataclasses import replace

import pytest
from fuzz.mutation import mutate_json
from fuzz.target import Disagreement, agree
from fuzz.targets import NAMES, load

from kifabrik.errors import IntegrityError

INPUTS = 150


def mutations(seeds: list[bytes], words: tuple[bytes, ...], chance: random.Random, inputs: int):
    """Yield inputs near the seeds: bytes changed, cut, doubled, words put in, two of them joined."""
    for _ in range(inputs):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            at = chance.randint(0, len(data))
            end = min(len(data), at + chance.randint(0, 16))
            other = chance.choice(seeds)
            piece = chance.choice(
                [b"", chance.randbytes(chance.randint(1, 4)), chance.choice(words or (b"",)), other[at : end + 8]]
            )
            data[at : chance.choice((at, end))] = piece
        yield bytes(data)


def play(name: str, inputs: int) -> None:
    target, chance = load(name), random.Random(name)
    seeds = list(target.seeds())
    for data in seeds:
        target.judge(data)
    for number, data in enumerate(mutations(seeds, target.words, chance, inputs)):
        changed = mutate_json(chance.choice(seeds), number) if target.json and number % 2 else None
        target.judge(data if changed is None else changed)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_but_documented_errors_comes_out(name):
    play(name, INPUTS)


@pytest.mark.parametrize("name", NAMES)
def test_each_target_reads_well_formed_inputs_to_their_end(name):
    """A target whose seeds are all refused would look at nothing."""
    target = load(name)

    def accepted(data: bytes) -> bool:
        try:
            target.one(data)
        except target.refuses:
            return False
        return True

    assert any(map(accepted, target.seeds()))


def test_the_oracle_reports_whatever_else_comes_out():
    target = load("canonical")
    with pytest.raises(ZeroDivisionError):
        replace(target, one=lambda _: 1 // 0).judge(b"")
    with pytest.raises(IntegrityError):
        replace(target, refuses=()).judge(b"{")
    with pytest.raises(Disagreement, match="1"):
        replace(target, one=lambda _: agree(1, 2, "numbers")).judge(b"")


@pytest.mark.parametrize(
    ("name", "module", "defence", "stand_in"),
    [
        ("job_files", "kifabrik.jobs.plain_yaml", "_fault", lambda _error: 1 // 0),
        ("shards_contents", "kifabrik.datasets.contents", "fault_of", lambda _path: ""),
        ("model_pickles", "kifabrik.models.pickles.Imports", "add", lambda *_: "harmless"),
    ],
)
def test_a_defence_taken_away_is_found(name, module, defence, stand_in, monkeypatch):
    monkeypatch.setattr(f"{module}.{defence}", stand_in)
    with pytest.raises((ZeroDivisionError, Disagreement)):
        play(name, 3000)
