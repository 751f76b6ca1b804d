"""A folder whose owner is an enemy and still writing to it: a run's outputs and checkpoints."""

import os

import pytest

from kifabrik.datasets.packing import plan_shards
from kifabrik.errors import ConflictError, IntegrityError, KifabrikError, UsageError


@pytest.fixture
def out(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/shadow").write_bytes(b"root:x:")
    place = tmp_path / "out"
    (place / "model").mkdir(parents=True)
    (place / "model/shadow").write_bytes(b"root:x:")
    return place


def taken(plan):
    blocks = []
    for shard in plan.shards:
        shard.write_to(lambda block: blocks.append(bytes(block)))
    return b"".join(blocks)


def test_a_declared_output_that_is_a_link_is_not_followed(out):
    (out / "link").symlink_to("../secret")
    (out / "file").symlink_to("../secret/shadow")
    for within in ("link", "link/shadow", "file"):
        with pytest.raises(KifabrikError), plan_shards(out, within=within) as plan:
            taken(plan)


def test_a_folder_swapped_for_a_link_after_planning_is_not_followed(out):
    with plan_shards(out) as plan:
        (out / "model").rename(out / "gone")
        (out / "model").symlink_to("../secret")
        with pytest.raises(IntegrityError):
            taken(plan)


def test_a_file_swapped_for_a_link_after_planning_is_not_followed(out):
    with plan_shards(out) as plan:
        (out / "model/shadow").unlink()
        (out / "model/shadow").symlink_to("../../secret/shadow")
        with pytest.raises(IntegrityError):
            taken(plan)


def test_the_root_swapped_for_a_link_after_planning_still_means_the_old_one(out):
    (out / "model/shadow").write_bytes(b"mine")
    with plan_shards(out, within="model") as plan:
        (out / "model").rename(out / "gone")
        (out / "model").symlink_to("../secret")
        assert b"mine" in taken(plan)


@pytest.mark.parametrize("swap", ["other", "fifo", "folder", "gone"])
def test_a_file_swapped_for_something_else_is_named(out, swap):
    place = out / "model/shadow"
    with plan_shards(out) as plan:
        place.unlink()
        if swap == "other":
            place.write_bytes(b"root:y:")
        elif swap == "fifo":
            os.mkfifo(place)  # must not hang either
        elif swap == "folder":
            place.mkdir()
        with pytest.raises(ConflictError, match="model/shadow"):
            taken(plan)


@pytest.mark.parametrize("change", ["grow", "shrink", "rewrite"])
def test_a_file_that_changes_while_it_is_read_is_named(out, change):
    place = out / "model/shadow"
    place.write_bytes(bytes(4 * 2**20))
    calls = []

    def meddle(block):
        calls.append(len(block))
        if len(calls) == 1:
            with place.open("r+b") as stream:
                if change == "shrink":
                    stream.truncate(2**20)
                else:
                    stream.seek(0, os.SEEK_END if change == "grow" else os.SEEK_SET)
                    stream.write(b"new")

    with plan_shards(out) as plan, pytest.raises(ConflictError, match="changed while"):
        plan.shards[0].write_to(meddle)


@pytest.mark.parametrize("kind", ["hard names", "deep", "long"])
def test_names_made_to_break_the_packer_are_refused(out, kind):
    if kind == "hard names":
        (out / "a\nb").touch()
    elif kind == "deep":
        (out / "/".join(["d"] * 101)).mkdir(parents=True)
    else:
        (out / "/".join(["d" * 200] * 11)).mkdir(parents=True)
    with pytest.raises(UsageError), plan_shards(out):
        pass


def test_an_ignore_file_that_is_a_link_fifo_or_huge_is_refused(out):
    ignore = out / ".kifabrikignore"
    ignore.symlink_to("../secret/shadow")
    with pytest.raises(IntegrityError), plan_shards(out):
        pass
    ignore.unlink()
    os.mkfifo(ignore)
    with pytest.raises(UsageError, match="not a regular file"), plan_shards(out):
        pass
    ignore.unlink()
    ignore.write_bytes(b"x\n" * 2**16)
    with pytest.raises(UsageError, match="larger"), plan_shards(out):
        pass
