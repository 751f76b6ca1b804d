"""Where the machine swaps to, and which user ids exist."""

import errno

import pytest

from kifabrik.errors import CapacityError, RefusedError
from kifabrik.sandbox.memory import PrivateMounts, SwapState, swap_state
from kifabrik.sandbox.uids import UidRange, claim_uid, maps

HEADER = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


@pytest.mark.parametrize(
    ("areas", "backing", "state"),
    [
        ([], None, SwapState.OFF),
        (["/dev/zram0"], "none", SwapState.MEMORY_ONLY),
        (["/dev/zram0"], None, SwapState.MEMORY_ONLY),
        (["/dev/zram0"], "/dev/sda3", SwapState.ON),
        (["/dev/zram0", "/dev/sda2"], "none", SwapState.ON),
        (["/swapfile"], None, SwapState.ON),
    ],
)
def test_swap_counts_unless_it_stays_in_memory(tmp_path, areas, backing, state):
    swaps = tmp_path / "swaps"
    swaps.write_text(HEADER + "".join(f"{area} partition 1 0 -2\n" for area in areas))
    if backing is not None:
        (tmp_path / "zram0").mkdir()
        (tmp_path / "zram0" / "backing_dev").write_text(f"{backing}\n")
    assert swap_state(swaps, tmp_path) == (state, tuple(areas))


@pytest.mark.parametrize("state", list(SwapState))
def test_memory_is_mounted_without_an_exemption_from_swap_only_where_no_disk_takes_it(tmp_path, monkeypatch, state):
    """As on a kernel older than 6.4, which does not know the exemption."""
    mounted = []

    def mount(_source, _target, _kind, _flags, options):
        if "noswap" in options:
            raise OSError(errno.EINVAL, "Invalid argument")
        mounted.append(options)

    monkeypatch.setattr("kifabrik.sandbox.kernel.mount", mount)
    monkeypatch.setattr("kifabrik.sandbox.memory.swap_state", lambda: (state, ()))
    mounts = PrivateMounts(as_root=True)
    if state is SwapState.ON:
        with pytest.raises(RefusedError, match="swaps to a disk and plaintext in memory could reach it"):
            mounts.mount_memory(tmp_path, 1 << 20)
        assert mounted == []
    else:
        mounts.mount_memory(tmp_path, 1 << 20)
        assert len(mounted) == 1


def test_a_kernel_without_swap_has_none(tmp_path):
    assert swap_state(tmp_path / "missing") == (SwapState.OFF, ())


@pytest.mark.parametrize(
    ("lines", "covered"),
    [
        ("0 0 4294967295\n", True),
        ("0 100000 65536\n", False),
        ("0 1000 1\n700000 800000 10000\n", True),
        ("0 0 705000\n", False),
    ],
)
def test_a_range_counts_only_if_every_id_exists(tmp_path, lines, covered):
    for name in ("uid_map", "gid_map"):
        (tmp_path / name).write_text(lines)
    assert maps(UidRange(), tmp_path) is covered


def test_no_two_runs_share_a_user_id(tmp_path):
    uids = UidRange(first=700_000, count=2, locks=tmp_path)
    first, second = claim_uid(uids), claim_uid(uids)
    if not first.of_its_own:
        pytest.skip("an ordinary user has one id only")
    assert (first.uid, second.uid) == (700_000, 700_001)
    with pytest.raises(CapacityError):
        claim_uid(uids)
    first.release()
    assert claim_uid(uids).uid == 700_000
