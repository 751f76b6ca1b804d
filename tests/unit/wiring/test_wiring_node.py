"""A node's home: made once, readable by its owner only, wrong settings named."""

import os
import stat
from pathlib import Path

import pytest

from kifabrik.errors import UsageError
from kifabrik.factory.capacity import Gpu
from kifabrik.values import Kind, Place, is_id
from kifabrik.wiring.node import init_node, launcher_command, read_key, read_node, short_model


def test_a_node_is_made_from_what_the_machine_has(tmp_path: Path) -> None:
    made = init_node(tmp_path / "node", place=Place("DE", 'the "old" site'), objects=tmp_path)
    assert is_id(made.node, Kind.NODE)
    assert 1 <= made.cpus <= len(os.sched_getaffinity(0))
    assert 0 < made.memory < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert made.objects == str(tmp_path)
    record = made.record(read_key(tmp_path / "node"))
    assert record.place == Place("DE", 'the "old" site')
    assert record.key == read_key(tmp_path / "node").public.hex


def test_a_node_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "node"
    made, key = init_node(home, place=Place("DE")), read_key(home)
    assert init_node(home, place=Place("FR")) == made
    assert read_key(home) == key


def test_only_its_owner_reads_a_nodes_key(tmp_path: Path) -> None:
    init_node(tmp_path, place=Place())
    assert stat.S_IMODE((tmp_path / "node.key").stat().st_mode) == 0o600
    assert (tmp_path / "node.key").stat().st_size == 32


def test_the_operator_may_write_sizes_and_gpus_by_hand(tmp_path: Path) -> None:
    init_node(tmp_path, place=Place())
    text = (tmp_path / "node.toml").read_text()
    memory = next(line for line in text.splitlines() if line.startswith("memory"))
    gpus = '[[gpus]]\nindex = 2\nmodel = "H200"\nmemory = "141GB"\n'
    (tmp_path / "node.toml").write_text(text.replace(memory, 'memory = "6GB"') + gpus)
    node = read_node(tmp_path)
    assert node.memory == 6 * 10**9
    assert node.record(read_key(tmp_path)).gpus == (Gpu(2, "H200", 141 * 10**9),)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("cpus = 0", "node.toml: cpus"),
        ('memory = "much"', "node.toml: memory"),
        ("memry = 5", "node.toml: unknown setting 'memry'"),
        ("cpus = [", "not TOML"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, line: str, words: str) -> None:
    init_node(tmp_path, place=Place())
    key = line.partition(" ")[0]
    kept = [old for old in (tmp_path / "node.toml").read_text().splitlines() if not old.startswith(f"{key} ")]
    (tmp_path / "node.toml").write_text("\n".join([line, *kept]))
    with pytest.raises(UsageError, match=words):
        read_node(tmp_path)


def test_a_folder_without_a_node_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as missing:
        read_node(tmp_path)
    assert "there is no node in" in missing.value.message
    assert "kifabrik up" in missing.value.hint
    with pytest.raises(UsageError, match=r"node\.key is missing"):
        read_key(tmp_path)
    (tmp_path / "node.key").write_bytes(b"short")
    with pytest.raises(UsageError, match="is not a node key"):
        read_key(tmp_path)


def test_launchers_are_kifabriks_own_unless_the_operator_says_otherwise(tmp_path: Path) -> None:
    node = init_node(tmp_path, place=Place())
    command = launcher_command(tmp_path, node)
    assert command[-3:] == ["kifabrik.launcher.__main__", "--node-home", str(tmp_path)]
    other = node.model_copy(update={"launcher": ("/srv/own.py", "x")})
    assert launcher_command(tmp_path, other)[-2:] == ["/srv/own.py", "x"]


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H200", "H200"),
        ("Tesla T4", "T4"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA GeForce RTX 4090", "RTX4090"),
        ("NVIDIA RTX A6000", "A6000"),
    ],
)
def test_gpus_have_the_names_job_files_use(name: str, model: str) -> None:
    assert short_model(name) == model
