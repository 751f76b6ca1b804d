import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from kifabrik.environments.wheels import best, file_name, rank

PLATFORMS = ["manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64"]


def test_the_own_abi_comes_before_the_stable_one_before_pure_python():
    names = [
        "x-1-py3-none-any.whl",
        "x-1-cp37-abi3-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
        "x-1-cp311-cp311-manylinux2014_x86_64.whl",
        "x-1-cp312-cp312-manylinux2014_x86_64.whl",
    ]
    assert best(names, "3.11") == names[2]
    assert best(names[:2], "3.11") == names[1]
    assert best(names[:1], "3.11") == names[0]


def test_a_newer_platform_comes_first():
    names = [f"x-1-cp311-cp311-{platform}.whl" for platform in reversed(PLATFORMS)]
    assert best(names, "3.11") == names[-1]


def test_a_higher_build_number_comes_first():
    assert best(["x-1-2-py3-none-any.whl", "x-1-10-py3-none-any.whl"], "3.11") == "x-1-10-py3-none-any.whl"


@pytest.mark.parametrize(
    "name",
    [
        "x-1-cp311-cp311-macosx_11_0_arm64.whl",
        "x-1-cp311-cp311-win_amd64.whl",
        "x-1-cp311-cp311-manylinux_2_28_aarch64.whl",
        "x-1-cp311-cp311-musllinux_1_2_x86_64.whl",
        "x-1-cp311-cp311-manylinux_2_34_x86_64.whl",
        "x-1-cp312-abi3-manylinux_2_17_x86_64.whl",
        "x-1-py2-none-any.whl",
        "x-1.tar.gz",
    ],
)
def test_what_cannot_run_here_fits_not(name):
    assert best([name], "3.11") is None


@given(st.randoms())
def test_the_order_in_which_an_index_lists_wheels_does_not_matter(random):
    names = [f"x-1-{tag}-none-any.whl" for tag in ("py3", "py2.py3", "py311", "cp311", "py310")]
    names += [f"x-1-cp3{n}-abi3-{platform}.whl" for n in (9, 10, 11) for platform in PLATFORMS]
    shuffled = names[:]
    random.shuffle(shuffled)
    assert best(shuffled, "3.11") == best(names, "3.11") == "x-1-cp311-abi3-manylinux_2_28_x86_64.whl"


def test_the_ranking_agrees_with_the_packaging_library():
    platforms = []
    for minor in range(28, 4, -1):
        platforms.append(f"manylinux_2_{minor}_x86_64")
        alias = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}.get(minor)
        platforms += [f"{alias}_x86_64"] if alias else []
    platforms.append("linux_x86_64")
    theirs = [
        *cpython_tags((3, 11), ["cp311"], platforms),
        *compatible_tags((3, 11), "cp311", platforms),
    ]
    names = [f"x-1-{tag}.whl" for tag in theirs]
    assert sorted(names, key=lambda name: rank(name, "3.11")) == names
    assert all(parse_wheel_filename(name) for name in names)


def test_a_file_name_is_read_from_any_kind_of_address():
    assert file_name("https://x.example/a/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl#sha256=0") == (
        "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl"
    )
    assert file_name("C:\\wheels\\six-1-py3-none-any.whl") == "six-1-py3-none-any.whl"
