"""Mirrors on a real disk: kills, torn tails, two writers, readers, a full disk."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
import tracemalloc
from pathlib import Path

import pytest

from kifabrik.errors import (
    CapacityError,
    ConflictError,
    IntegrityError,
    KifabrikError,
    NotFoundError,
    UnavailableError,
    UsageError,
)
from kifabrik.ledger import mirror_files
from kifabrik.ledger.checkpoint import TreeHead, log_origin, sign_tree_head
from kifabrik.ledger.merkle import CompactTree, leaf_hash
from kifabrik.ledger.mirror import Mirror, MirrorFiles
from kifabrik.signatures.keys import SigningKey

ORIGIN = log_origin("t-test")


def entry(number):
    return b"entry %d " % number * (number % 50)


def head(size):
    tree = CompactTree()
    tree.extend(leaf_hash(entry(number)) for number in range(size))
    return TreeHead(ORIGIN, size, tree.root())


def grow(mirror, size):
    mirror.extend([entry(number) for number in range(mirror.size, size)], head(size))


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from kifabrik.ledger.checkpoint import TreeHead
    from kifabrik.ledger.merkle import CompactTree, leaf_hash
    from kifabrik.ledger.mirror import Mirror, MirrorFiles

    folder, origin = Path(sys.argv[1]), sys.argv[2]
    with MirrorFiles(folder) as files:
        mirror, tree, step = Mirror(origin, files), CompactTree(), 0
        tree.extend(leaf_hash(entry) for entry in mirror.entries(0, mirror.size))
        while True:
            step = step % 37 + 1
            new = [b"entry %d " % n * (n % 50) for n in range(mirror.size, mirror.size + step)]
            tree.extend(map(leaf_hash, new))
            mirror.extend(new, TreeHead(origin, tree.size, tree.root()))
            print(mirror.size, flush=True)
    """
)


def start_writer(folder):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), ORIGIN],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def acknowledged(process, at_least):
    """Read sizes the writer has acknowledged until there are enough; return the last."""
    last = 0
    while last < at_least:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        last = int(line)
    return last


def test_a_killed_writer_leaves_a_prefix_with_everything_it_acknowledged(tmp_path):
    last = 0
    for kill in range(6):
        writer = start_writer(tmp_path)
        acknowledged(writer, last + 40 * kill + 1)
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.communicate()[0].split()
        with MirrorFiles(tmp_path) as files:
            mirror = Mirror(ORIGIN, files)
            assert mirror.size >= max([last, *map(int, rest)])
            assert mirror.head == head(mirror.size)
            assert mirror.entries(0, mirror.size) == [entry(n) for n in range(mirror.size)]
            last = mirror.size


def test_two_writers_are_refused_and_the_first_goes_on(tmp_path):
    writer = start_writer(tmp_path)
    size = acknowledged(writer, 1)
    with pytest.raises(ConflictError, match="in use by another process"):
        MirrorFiles(tmp_path)
    acknowledged(writer, size + 50)
    writer.kill()
    writer.communicate()
    with MirrorFiles(tmp_path) as files:
        with pytest.raises(ConflictError):
            MirrorFiles(tmp_path)
        assert Mirror(ORIGIN, files).size >= size


def test_a_reader_beside_a_writer_sees_whole_states_only(tmp_path):
    writer = start_writer(tmp_path)
    acknowledged(writer, 1)
    sizes = []
    while not sizes or sizes[-1] < 300:
        with MirrorFiles(tmp_path, read_only=True) as files:
            mirror = Mirror(ORIGIN, files)
            assert mirror.entries(0, mirror.size) == [entry(n) for n in range(mirror.size)]
            sizes.append(mirror.size)
        with pytest.raises(UsageError, match="not open for writing"):
            grow(mirror, mirror.size + 1)
        acknowledged(writer, sizes[-1] + 1)
    writer.kill()
    writer.communicate()
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("tail", [b"\0", b"\x00\x05abc", b"\x00\x03abc", os.urandom(5000)])
def test_what_was_never_acknowledged_is_cut_off_on_opening(tmp_path, tail):
    with MirrorFiles(tmp_path) as files:
        grow(Mirror(ORIGIN, files), 30)
    whole = (tmp_path / "entries").read_bytes()
    (tmp_path / "entries").write_bytes(whole + tail)
    (tmp_path / "state.new").write_bytes(b"half a sta")
    with MirrorFiles(tmp_path) as files:
        mirror = Mirror(ORIGIN, files)
        assert mirror.size == 30
        assert (tmp_path / "entries").read_bytes() == whole
        grow(mirror, 60)
    with MirrorFiles(tmp_path) as files:
        assert Mirror(ORIGIN, files).head == head(60)
    assert not (tmp_path / "state.new").exists()


def test_a_mirror_and_its_checkpoint_come_back(tmp_path):
    checkpoint = sign_tree_head(head(300), ORIGIN, SigningKey.generate())
    with MirrorFiles(tmp_path / "deep" / "folder") as files:
        mirror = Mirror(ORIGIN, files)
        grow(mirror, 10)
        grow(mirror, 300)
        mirror.keep(checkpoint)
        assert mirror.entries(5, 15) == [entry(n) for n in range(5, 15)]
    with MirrorFiles(tmp_path / "deep" / "folder") as files:
        mirror = Mirror(ORIGIN, files)
        assert mirror.checkpoint == checkpoint
        assert mirror.index_of(leaf_hash(entry(123))) == 123


def test_every_damaged_byte_is_noticed_on_opening(tmp_path):
    with MirrorFiles(tmp_path) as files:
        grow(Mirror(ORIGIN, files), 12)
    for name in ("entries", "state"):
        good = (tmp_path / name).read_bytes()
        for at in range(len(good)):
            (tmp_path / name).write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
            with pytest.raises(IntegrityError), MirrorFiles(tmp_path, read_only=True) as files:
                Mirror(ORIGIN, files)
        (tmp_path / name).write_bytes(good)


@pytest.mark.parametrize("cut", [1, 2, 100])
def test_a_shortened_mirror_is_refused(tmp_path, cut):
    with MirrorFiles(tmp_path) as files:
        grow(Mirror(ORIGIN, files), 30)
    with (tmp_path / "entries").open("r+b") as file:
        file.truncate((tmp_path / "entries").stat().st_size - cut)
    with pytest.raises(IntegrityError, match="damaged"):
        MirrorFiles(tmp_path)
    # The refusal has freed the lock.
    (tmp_path / "state").unlink()
    with MirrorFiles(tmp_path) as files:
        assert Mirror(ORIGIN, files).size == 0


@pytest.mark.parametrize("size", [10**17, 2**62, 13, 6])
def test_a_state_that_counts_other_entries_than_there_are_is_refused(tmp_path, size):
    with MirrorFiles(tmp_path) as files:
        grow(Mirror(ORIGIN, files), 12)
    state = (tmp_path / "state").read_text()
    (tmp_path / "state").write_text(state.replace('"size":12', f'"size":{size}'))
    with pytest.raises(IntegrityError), MirrorFiles(tmp_path) as files:
        Mirror(ORIGIN, files)


def test_a_mirror_of_another_log_is_refused(tmp_path):
    with MirrorFiles(tmp_path) as files:
        grow(Mirror(ORIGIN, files), 3)
    with MirrorFiles(tmp_path) as files, pytest.raises(IntegrityError, match="damaged"):
        Mirror(log_origin("t-other"), files)


def test_a_closed_mirror_is_not_written(tmp_path):
    with MirrorFiles(tmp_path) as files:
        mirror = Mirror(ORIGIN, files)
    with pytest.raises(UsageError):
        grow(mirror, 3)
    assert mirror.size == 0


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="cannot open the mirror"):
        MirrorFiles(tmp_path / "file" / "mirror")
    with pytest.raises(NotFoundError, match="there is no mirror"):
        MirrorFiles(tmp_path / "nothing" / "here", read_only=True)


def test_a_mirror_whose_file_vanishes_is_a_clear_error(tmp_path):
    with MirrorFiles(tmp_path) as files:
        mirror = Mirror(ORIGIN, files)
        grow(mirror, 3)
        (tmp_path / "entries").unlink()
        with pytest.raises(UnavailableError, match="cannot read the mirror"):
            mirror.entries(0, 3)


def test_a_disk_that_is_full_changes_nothing_and_later_it_goes_on(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with MirrorFiles(tmp_path) as files:
        mirror = Mirror(ORIGIN, files)
        grow(mirror, 100)
        limit = (tmp_path / "entries").stat().st_size + 3000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises((CapacityError, UnavailableError), match="cannot write"):
                grow(mirror, 200)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert mirror.size == 100
        with MirrorFiles(tmp_path, read_only=True) as reader:
            assert Mirror(ORIGIN, reader).head == head(100)
        grow(mirror, 150)
    with MirrorFiles(tmp_path) as files:
        assert Mirror(ORIGIN, files).head == head(150)


def test_the_mirror_imports_where_there_is_no_fcntl():
    code = "import sys; sys.modules['fcntl'] = None; import kifabrik.ledger.verify; print('imported')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "imported\n"


def test_every_failure_is_one_of_ours(tmp_path):
    (tmp_path / "state").write_bytes(b"[]")
    (tmp_path / "entries").write_bytes(b"")
    for content in [b"[]", b"{}", b"null", b"", b"\xff", b'{"bytes":"x"}', Path("/dev/null").read_bytes()]:
        (tmp_path / "state").write_bytes(content)
        with pytest.raises(KifabrikError):
            MirrorFiles(tmp_path)


def test_a_mirror_on_its_owners_disk_goes_on_without_reading_every_entry(tmp_path, monkeypatch):
    with MirrorFiles(tmp_path) as files:
        grow(Mirror(ORIGIN, files), 300)
    with MirrorFiles(tmp_path) as files:
        monkeypatch.setattr(files, "all_entries", lambda: pytest.fail("every entry was read"))
        mirror = Mirror(ORIGIN, files, own_disk=True)
        assert mirror.head == head(300)
        grow(mirror, 301)
        with pytest.raises(IntegrityError, match="fork"):
            mirror.extend([], TreeHead(ORIGIN, 301, bytes(32)))
        with pytest.raises(IntegrityError, match="rolled back"):
            mirror.extend([], head(300))
    with MirrorFiles(tmp_path) as files:
        mirror = Mirror(ORIGIN, files, own_disk=True)
        assert mirror.index_of(leaf_hash(entry(299))) == 299
        grow(mirror, 302)
        assert mirror.index_of(leaf_hash(entry(301))) == 301
        assert Mirror(ORIGIN, files).head == head(302)


def test_a_tree_that_is_not_the_heads_is_noticed_on_the_owners_disk_too(tmp_path):
    with MirrorFiles(tmp_path) as files:
        grow(Mirror(ORIGIN, files), 5)
    tree = CompactTree()
    tree.extend(leaf_hash(entry(number)) for number in range(5))
    state = (tmp_path / "state").read_text()
    other = CompactTree(5, [bytes(32), tree.peaks[1]])
    (tmp_path / "state").write_text(state.replace(tree.to_bytes().hex(), other.to_bytes().hex()))
    with MirrorFiles(tmp_path) as files, pytest.raises(IntegrityError, match="damaged"):
        Mirror(ORIGIN, files, own_disk=True)


@pytest.mark.parametrize("damage", ["missing", "short", "of other entries", "torn in the middle"])
def test_where_entries_end_is_found_again_if_the_note_of_it_is_lost(tmp_path, damage):
    with MirrorFiles(tmp_path) as files:
        grow(Mirror(ORIGIN, files), 40)
    ends = tmp_path / "ends"
    good = ends.read_bytes()
    if damage == "missing":
        ends.unlink()
    else:
        damaged = {
            "short": good[:-5],
            "of other entries": good[:-8] + bytes(8),
            "torn in the middle": good[:80] + bytes(80) + good[160:],
        }
        ends.write_bytes(damaged[damage])
    with MirrorFiles(tmp_path) as files:
        mirror = Mirror(ORIGIN, files)
        grow(mirror, 45)
        assert mirror.entries(38, 42) == [entry(number) for number in range(38, 42)]
    assert ends.read_bytes()[: len(good)] == good
    with MirrorFiles(tmp_path, read_only=True) as files:
        assert Mirror(ORIGIN, files).size == 45


def test_entries_are_found_by_the_bytes_they_hold_and_never_across_two(tmp_path):
    given = [b"", b"abc", b"xxabcabc", b"ab", b"c", b"abc" * 9000, b"cab"]
    tree = CompactTree()
    tree.extend(map(leaf_hash, given))
    head_of_all = TreeHead(ORIGIN, tree.size, tree.root())
    in_memory = Mirror(ORIGIN)
    in_memory.extend(given, head_of_all)
    with MirrorFiles(tmp_path) as files:
        assert Mirror(ORIGIN, files).holding(b"abc") == []
        mirror = Mirror(ORIGIN, files)
        mirror.extend(given, head_of_all)
        for text in (b"abc", b"b", b"ca", b"x", b"ab\x00", b"\x00\x03", b"nothing"):
            wanted = [one for one in given if text in one]
            assert mirror.holding(text) == in_memory.holding(text) == wanted, text


def large(number):
    return b"%d %s " % (number, b"odd" if number % 1999 == 1 else b"even") + b"." * 700


def filled(folder, start, end):
    with MirrorFiles(folder) as files:
        mirror = Mirror(ORIGIN, files)
        tree = CompactTree()
        tree.extend(leaf_hash(large(number)) for number in range(end))
        mirror.extend([large(number) for number in range(start, end)], TreeHead(ORIGIN, end, tree.root()))
        return mirror.holding(b"odd")


def test_a_search_holds_a_window_of_the_entries_in_memory_and_not_all_of_them(tmp_path):
    filled(tmp_path, 0, 30_000)
    for note in tmp_path.glob("found-*"):
        note.unlink()
    with MirrorFiles(tmp_path) as files:
        tracemalloc.start()
        try:
            found = files.holding(b"odd")
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert found == [large(number) for number in range(1, 30_000, 1999)]
    assert (tmp_path / "entries").stat().st_size > 20 * 2**20
    assert most < 6 * 2**20


@pytest.mark.parametrize("window", [1, 7, 100, 1000])
def test_a_search_finds_the_same_however_its_windows_fall(tmp_path, monkeypatch, window):
    monkeypatch.setattr(mirror_files, "_WINDOW_BYTES", window)
    with MirrorFiles(tmp_path) as files:
        mirror = Mirror(ORIGIN, files)
        grow(mirror, 120)
        for text in (b"entry 7 ", b"7 entry", b"ntry 119 ", b"nothing"):
            assert mirror.holding(text) == [entry(number) for number in range(120) if text in entry(number)]


def test_a_search_goes_on_where_the_one_before_has_ended(tmp_path):
    assert filled(tmp_path, 0, 2001) == [large(1), large(2000)]
    (note,) = tmp_path.glob("found-*")
    assert filled(tmp_path, 2001, 4001) == [large(1), large(2000), large(3999)]
    assert b'"found":[1,2000,3999]' in note.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data.replace(b"[1,2000]", b"[1,2]"),
        lambda data: data.replace(b"[1,2000]", b"[2000,1]"),
        lambda data: data.replace(b"2001", b"1001"),
        lambda data: data.replace(b"2001", b"9999"),
    ],
)
def test_a_note_of_a_search_that_does_not_fit_is_not_believed(tmp_path, damage):
    filled(tmp_path, 0, 2001)
    (note,) = tmp_path.glob("found-*")
    note.write_bytes(damage(note.read_bytes()))
    with MirrorFiles(tmp_path) as files:
        assert Mirror(ORIGIN, files).holding(b"odd") == [large(1), large(2000)]


def test_a_note_about_another_log_in_the_same_folder_is_not_believed(tmp_path):
    filled(tmp_path, 0, 2001)
    for name in ("entries", "ends", "state"):
        (tmp_path / name).unlink()
    with MirrorFiles(tmp_path) as files:
        mirror = Mirror(ORIGIN, files)
        grow(mirror, 2100)
        assert mirror.holding(b"entry 2099") == [entry(2099)]
        assert mirror.holding(b"odd") == []


def test_searching_a_mirror_opened_to_read_leaves_nothing(tmp_path):
    filled(tmp_path, 0, 2001)
    (note,) = tmp_path.glob("found-*")
    note.unlink()
    assert Mirror(ORIGIN, MirrorFiles(tmp_path, read_only=True)).holding(b"odd") == [large(1), large(2000)]
    assert not list(tmp_path.glob("found-*"))
