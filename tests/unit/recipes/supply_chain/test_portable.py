import platform
import sys
from pathlib import Path

import pytest

from kifabrik.errors import CapacityError
from kifabrik.recipes.supply_chain import portable

X86 = sys.platform == "linux" and platform.machine() == "x86_64"
needs_x86 = pytest.mark.skipif(not X86, reason="classes of processors are told apart under Linux on x86-64 only")
AVX2 = "avx avx2 bmi1 bmi2 f16c fma abm movbe"
AVX512 = "avx512f avx512bw avx512cd avx512dq avx512vl"


def processor(tmp_path, flags):
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nflags\t\t: fpu sse2 {flags}\n\nprocessor\t: 1\nflags\t\t: none\n")
    return file


@needs_x86
@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (f"{AVX2} {AVX512}", ("x86-64-v4", "x86-64-v3")),
        (AVX2, ("x86-64-v3",)),
        (AVX512, ()),  # each class holds all of those below
        (AVX2.replace("movbe", ""), ()),
        ("", ()),
    ],
)
def test_a_processor_belongs_to_the_classes_whose_features_it_has(flags, found, tmp_path):
    assert portable.levels(processor(tmp_path, flags)) == found


@pytest.fixture
def compilers(tmp_path, monkeypatch):
    """Instead of Python: a program that leaves what numba would, and a line for each time it was started."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    started = tmp_path / "started"
    started.touch()
    program = tmp_path / "python"
    program.write_text(
        '#!/bin/sh -e\nmkdir -p "$NUMBA_CACHE_DIR/kernel_0"\ncd "$NUMBA_CACHE_DIR/kernel_0"\n'
        f'echo "$NUMBA_CPU_NAME" | tee block.nbi block.1.nbc >>{started}\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    return lambda: sorted(started.read_text().split())


def assert_holds(folder, made):
    assert sorted(place.name for place in folder.iterdir()) == sorted(made)
    for level in made:
        texts = {file.name: file.read_text() for file in (folder / level).iterdir()}
        assert texts == {"block.nbi": f"{level}\n", "block.1.nbc": f"{level}\n"}


@needs_x86
def test_what_is_compiled_is_kept_for_the_next_folder(tmp_path, compilers):
    made = portable.compile_into(tmp_path / "one")
    assert portable.compile_into(tmp_path / "two") == made
    assert compilers() == sorted(made)
    for name in ("one", "two"):
        assert_holds(tmp_path / name, made)


@needs_x86
def test_where_the_users_caches_cannot_be_written_each_call_compiles(tmp_path, compilers, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for name in ("one", "two"):
        assert_holds(tmp_path / name, portable.compile_into(tmp_path / name))
    assert compilers() == sorted(2 * portable.levels())


@needs_x86
def test_a_compiler_that_fails_is_named_and_nothing_is_kept_of_it(tmp_path, compilers):
    Path(sys.executable).write_text("#!/bin/sh\nmkdir -p $NUMBA_CACHE_DIR/kernel_0\necho no memory >&2\nexit 1\n")
    for _ in range(2):
        with pytest.raises(CapacityError, match=r"could not be compiled for x86-64-v\d: no memory"):
            portable.compile_into(tmp_path / "compiled")
    assert not (tmp_path / "compiled").exists()
    assert compilers() == []
