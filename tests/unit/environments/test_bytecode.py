import importlib.util
import marshal
import subprocess
import sys

import pytest

from kifabrik.environments import bytecode

SOURCE = """
import os
NAMES = {'b', 'a', 'c'} if 'x' in {'x', 'y', 'z'} else ()
def f(n): return f'{n} {os.sep}' in ('a', 'b')
"""


@pytest.fixture
def root(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").write_text(SOURCE)
    (tmp_path / "package/other.py").write_text("def g():\n    raise ValueError('here')\n")
    (tmp_path / "package/broken.py").write_text("print 'python 2'\n")
    return tmp_path


def _compile(root, *, seed="0", workers=2):
    subprocess.run(
        [sys.executable, "-S", bytecode.__file__, str(root), "/env", str(workers)],
        check=True,
        env={"PYTHONHASHSEED": seed},
    )
    return {path.name: path.read_bytes() for path in root.rglob("*.pyc")}


def test_compiled_files_do_not_depend_on_who_compiles_them(root):
    first = _compile(root, seed="1", workers=1)
    for path in root.rglob("*.pyc"):
        path.unlink()
    assert _compile(root, seed="2", workers=3) == first


def test_python_runs_the_compiled_file_without_looking_at_the_source(root):
    _compile(root)
    (root / "package/other.py").write_text("changed = True\n")
    code = f"import sys; sys.path.insert(0, {str(root)!r}); import package.other; print(package.other.g.__name__)"
    ended = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "g\n"


def test_the_header_is_the_unchecked_form_of_pep_552(root):
    data = _compile(root)[f"__init__.{sys.implementation.cache_tag}.pyc"]
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == b"\x01\x00\x00\x00"
    assert data[8:16] == importlib.util.source_hash(SOURCE.encode())
    assert marshal.loads(data[16:]).co_filename == "/env/package/__init__.py"


def test_a_module_that_is_not_valid_python_is_left_alone(root):
    assert not any("broken" in name for name in _compile(root))


def test_a_module_that_cannot_be_written_ends_with_an_error(root):
    (root / "package/__pycache__").write_text("not a folder")
    with pytest.raises(subprocess.CalledProcessError):
        _compile(root)
