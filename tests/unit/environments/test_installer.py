import subprocess
import sys

import pytest

from kifabrik.environments.installer import binary, explain, local_settings
from kifabrik.errors import CapacityError, IntegrityError, UnavailableError, UsageError

UNSATISFIABLE = "error: No solution found when resolving dependencies\n  cause: Because "

SAID_BY_UV = [
    (
        UNSATISFIABLE + "docopt==0.6.2 has no usable wheels and you require docopt==0.6.2, we can conclude that …",
        UsageError,
        "no wheel for docopt==0.6.2",
        "pip wheel docopt==0.6.2",
    ),
    (
        UNSATISFIABLE + "tensorflow==2.3.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and …",
        UsageError,
        "no wheel for tensorflow==2.3.0",
        "find-links",
    ),
    (
        UNSATISFIABLE + "all of:\n             numpy<=1.9.3\n             numpy>=1.10.4,<=1.19.5\n"
        "         have no usable wheels and only the following versions of numpy are available:\n",
        UsageError,
        "wanted versions of numpy",
        "find-links",
    ),
    (
        UNSATISFIABLE + "numpyy was not found in the package registry and you require numpyy, we can …",
        UsageError,
        "no package numpyy",
        "spelling",
    ),
    (
        UNSATISFIABLE + "there is no version of torch==2.13.0+cpu and you require torch==2.13.0+cpu, we …",
        UsageError,
        "there is no torch==2.13.0+cpu",
        "find-links",
    ),
    (
        (
            "error: Couldn't parse requirement in `-`\n  cause: Expected one of `@`, `(`, found `a`\n"
            "         not a requirement\n             ^"
        ),
        UsageError,
        "not a requirement: not a requirement",
        "Expected one of",
    ),
    (
        "error: Failed to download `six==1.17.0`\n  cause: Hash mismatch for `six==1.17.0`\n\n  Expected:\n",
        IntegrityError,
        "six==1.17.0 is not the one",
        "index",
    ),
    (
        "error: In `--require-hashes` mode, all … must have a hash, but none were provided for: six==1.0",
        IntegrityError,
        "no hash for six==1.0",
        "Lock",
    ),
    (
        (
            "error: Request failed after 3 retries\n  cause: Failed to fetch: http://127.0.0.1:9/six/\n"
            "  cause: error sending request for url (http://127.0.0.1:9/six/)\n  cause: Connection refused"
        ),
        UnavailableError,
        "http://127.0.0.1:9/six/ cannot be reached",
        "HTTPS_PROXY",
    ),
    (
        (
            "error: Failed to fetch: `https://a.example/simple/six/`\n"
            "  cause: HTTP status client error (401 Unauthorized) for url (https://a.example/simple/six/)"
        ),
        UnavailableError,
        "refuses access",
        "credentials",
    ),
    (
        (
            "error: Failed to download `numpy==2.0.2`\n  cause: Failed to extract archive: numpy.whl\n"
            "  cause: failed to write to file `/c/x.so`: No space left on device (os error 28)"
        ),
        CapacityError,
        "disk is full",
        "space",
    ),
    ("error: something new\n  cause: with a {brace}", UsageError, "something new: with a {brace}", ""),
    ("", UsageError, "uv failed", ""),
]


@pytest.mark.parametrize(("said", "kind", "message", "hint"), SAID_BY_UV)
def test_what_uv_says_becomes_an_error_that_names_the_thing_and_what_to_do(said, kind, message, hint):
    error = explain(said, doing="locking the environment", python="3.11")
    assert type(error) is kind
    assert message in error.message
    assert hint in error.hint


def test_pip_settings_of_the_machine_reach_uv(tmp_path):
    found = local_settings(
        {
            "PIP_FIND_LINKS": f"{tmp_path} /no/such/folder https://a.example/wheels",
            "PIP_INDEX_URL": "https://a.example/simple",
            "PIP_EXTRA_INDEX_URL": "https://b.example/simple",
        }
    )
    assert found["UV_FIND_LINKS"] == f"{tmp_path},https://a.example/wheels"
    assert found["UV_DEFAULT_INDEX"] == "https://a.example/simple"
    assert found["UV_EXTRA_INDEX_URL"] == "https://b.example/simple"


def test_uv_settings_come_before_those_of_pip(tmp_path):
    found = local_settings({"UV_INDEX_URL": "https://uv.example", "PIP_INDEX_URL": "https://pip.example"})
    assert found["UV_INDEX_URL"] == "https://uv.example"
    assert "UV_DEFAULT_INDEX" not in found


def test_nothing_else_of_the_machine_is_passed_on():
    assert local_settings({"AWS_SECRET_ACCESS_KEY": "x", "HOME": "/root", "UV_PUBLISH_TOKEN": "x"}).keys() == {
        "UV_SYSTEM_CERTS"
    }


def test_uv_is_installed_with_the_package():
    assert binary().is_file()


def test_locking_needs_nothing_that_only_posix_has():
    absent = "import sys; sys.modules.update(dict.fromkeys(['fcntl', 'grp', 'pwd', 'resource', 'termios']))"
    code = f"{absent}; import kifabrik.environments.lock, kifabrik.environments.tree"
    subprocess.run([sys.executable, "-c", code], check=True)
