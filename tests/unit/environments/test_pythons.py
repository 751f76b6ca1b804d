import sys
from pathlib import Path

import pytest

from kifabrik.environments.pythons import find_python, inspect
from kifabrik.environments.workers import Worker
from kifabrik.errors import UsageError

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_the_interpreter_found_is_of_the_version_asked_for(tmp_path):
    found = inspect(find_python(HERE), HERE, Worker(tmp_path))
    assert found.version.startswith(f"{HERE}.")


def test_a_missing_version_is_an_error_that_names_those_there_are():
    with pytest.raises(UsageError, match=rf"Python 3\.99 is not on this machine; there is .*{HERE}"):
        find_python("3.99")


def test_an_interpreter_of_another_version_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"locked for Python 3\.99"):
        inspect(Path(sys.executable), "3.99", Worker(tmp_path))


def test_what_is_no_interpreter_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be started"):
        inspect(Path("/bin/true"), HERE, Worker(tmp_path))
    with pytest.raises(UsageError, match="there is no interpreter"):
        inspect(tmp_path / "python", HERE, Worker(tmp_path))
