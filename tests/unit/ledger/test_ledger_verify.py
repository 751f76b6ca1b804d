"""Whole logs: what is right passes, and each single change is found and named."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_log import (
    COSIGNED_AT,
    LOG_KEY,
    ORIGIN,
    TENANT,
    SampleLog,
    an_entry,
    checkpoint_of,
    head_of,
    some_entries,
    the_policy,
)

from kifabrik.errors import ConflictError, IntegrityError, NotFoundError
from kifabrik.ledger.checkpoint import TreeHead, log_verifier, sign_tree_head
from kifabrik.ledger.entry import EntryKind
from kifabrik.ledger.merkle import leaf_hash
from kifabrik.ledger.mirror import Mirror
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.tiles import Tile, encode_bundle
from kifabrik.ledger.verify import Finding, Report, export, verify_folder, verify_log

ENTRIES = some_entries(700)
LOG = SampleLog.of(ENTRIES)
REQUEST = "a" * 64


def verified(files, checkpoint=LOG.checkpoint, policy=None):
    return verify_log(SampleLog(files=files).read, checkpoint, policy or the_policy())


def finding_of(files, checkpoint=LOG.checkpoint):
    report = verified(files, checkpoint)
    assert not report.ok
    with pytest.raises(IntegrityError, match="does not verify"):
        report.require()
    return report.finding


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 512, 700])
def test_a_log_that_is_right_verifies(size):
    log = SampleLog.of(ENTRIES[:size])
    report = verified(log.files, log.checkpoint)
    report.require()
    assert report.entries == size
    assert report.accepted.head == head_of(ENTRIES[:size])
    assert report.accepted.cosigned == {"w1": COSIGNED_AT}
    assert sum(report.kinds.values()) == size
    assert report.kinds.get("tenant.created", 0) == (size > 0)


def test_every_good_entry_is_shown_in_order():
    seen = []
    verify_log(LOG.read, LOG.checkpoint, the_policy(), on_entry=lambda index, entry: seen.append((index, entry.id)))
    assert seen == [(number, f"{number:032x}") for number in range(700)]


def test_a_log_with_three_levels_of_tiles_verifies_and_a_change_deep_inside_is_named():
    entries = some_entries(65_536 + 270)
    log = SampleLog.of(entries)
    assert verified(log.files, log.checkpoint).ok
    bundle = Tile(0, 200).path.replace("/0/", "/entries/")
    forged = encode_bundle([*entries[51_200:51_300], b"forged", *entries[51_301:51_456]])
    found = finding_of({**log.files, bundle: forged}, log.checkpoint)
    assert (found.first, found.last) == (51_300, 51_300)
    tile = bytearray(log.files["tile/1/000"])
    tile[32 * 200] ^= 1
    found = finding_of({**log.files, "tile/1/000": bytes(tile)}, log.checkpoint)
    assert (found.first, found.last) == (0, 65_535)
    assert "the entries themselves are as signed" in found.what


@given(data=st.data())
@settings(max_examples=150)
def test_every_changed_byte_of_a_bundle_names_its_entry(data):
    number = data.draw(st.integers(0, 2))
    path = sorted(path for path in LOG.files if path.startswith("tile/entries/"))[number]
    index = data.draw(st.integers(number * 256, min(number * 256 + 255, 699)))
    start = sum(2 + len(entry) for entry in ENTRIES[number * 256 : index])
    at = start + data.draw(st.integers(0, 1 + len(ENTRIES[index])))
    changed = bytearray(LOG.files[path])
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    found = finding_of({**LOG.files, path: bytes(changed)})
    assert (found.first, found.last) == (index, index)
    assert str(found).startswith(f"entry {index}: ")


@given(data=st.data())
@settings(max_examples=80)
def test_every_changed_byte_of_a_tile_is_found_and_said_to_be_the_tile(data):
    path = data.draw(st.sampled_from(sorted(path for path in LOG.files if "entries" not in path)))
    changed = bytearray(LOG.files[path])
    at = data.draw(st.integers(0, len(changed) - 1))
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    found = finding_of({**LOG.files, path: bytes(changed)})
    assert "the entries themselves are as signed" in found.what
    tile = Tile.from_path(path)
    concerned = (tile.index * 256 + at // 32) << 8 * tile.level
    assert found.first <= concerned <= found.last


@pytest.mark.parametrize("path", sorted(LOG.files))
def test_every_missing_longer_or_shorter_file_is_found(path):
    data = LOG.files[path]
    for files in [
        {name: kept for name, kept in LOG.files.items() if name != path},
        {**LOG.files, path: data + b"\0"},
        {**LOG.files, path: data[:-1]},
        {**LOG.files, path: b""},
    ]:
        assert finding_of(files).what


def test_an_entry_removed_inserted_or_moved_is_named():
    for index, bundle in [
        (5, [*ENTRIES[:5], *ENTRIES[6:256]]),
        (5, [*ENTRIES[:5], b"{}", *ENTRIES[5:256]]),
        (5, [*ENTRIES[:5], ENTRIES[6], ENTRIES[5], *ENTRIES[7:256]]),
        (255, [*ENTRIES[:255]]),
        (255, [*ENTRIES[:256], ENTRIES[256]]),
    ]:
        found = finding_of({**LOG.files, "tile/entries/000": encode_bundle(bundle)})
        assert (found.first, found.last) == (index, index)


def test_an_entry_and_its_leaf_changed_together_are_narrowed_to_their_tile():
    forged = [*ENTRIES[:300], an_entry(999).to_bytes(), *ENTRIES[301:]]
    other = SampleLog.of(forged)
    files = dict(LOG.files)
    for path in ("tile/entries/001", "tile/0/001"):
        files[path] = other.files[path]
    found = finding_of(files)
    assert (found.first, found.last) == (256, 511)
    assert "changed together" in found.what
    files["tile/0/001"] = SampleLog.of([*ENTRIES[:310], b"x", *ENTRIES[311:]]).files["tile/0/001"]
    found = finding_of(files)
    assert (found.first, found.last) == (300, 300)


def test_a_log_rewritten_as_a_whole_does_not_fit_the_signed_head():
    other = SampleLog.of([*ENTRIES[:300], an_entry(999).to_bytes(), *ENTRIES[301:]])
    found = finding_of(other.files)
    assert (found.first, found.last) == (0, 699)
    assert "changed together" in found.what


def test_the_first_of_several_bad_entries_is_named():
    files = dict(LOG.files)
    for index in (690, 300, 600):
        path = Tile(0, index // 256).path.replace("/0/", "/entries/")
        path = next(name for name in files if name.split(".")[0] == path)
        files[path] = files[path].replace(ENTRIES[index], b"x" * len(ENTRIES[index]))
    assert finding_of(files).first == 300


def test_a_head_nobody_trusted_signed_is_the_finding():
    log_only = sign_tree_head(LOG.head, ORIGIN, LOG_KEY)
    assert "cosignatures" in str(finding_of(LOG.files, log_only))
    assert verified(LOG.files, log_only, Policy.of(log_verifier(TENANT, LOG_KEY.public))).ok
    report = verified(LOG.files, LOG.checkpoint.replace("\n700\n", "\n699\n"))
    assert report == Report(None, finding=Finding("the signature of kifabrik.org/log/" + TENANT + " is wrong"))
    assert str(report.finding).startswith("tree head: ")
    assert not verified(LOG.files, "nonsense").ok


def test_a_signed_entry_that_does_not_parse_is_named():
    log = SampleLog.of([*ENTRIES[:300], b'{"kind":"run.ordered"}', *ENTRIES[300:320]])
    found = finding_of(log.files, log.checkpoint)
    assert (found.first, found.last) == (300, 300)
    assert "not a log entry" in found.what


def test_a_signed_entry_that_breaks_a_rule_is_named():
    story = [
        an_entry(1, EntryKind.LEASE_REQUESTED, request=REQUEST),
        an_entry(2, EntryKind.ERASURE_DECIDED, dataset="d-1"),
        an_entry(3, EntryKind.LEASE_RELEASED, request=REQUEST, datasets=("d-1",)),
    ]
    log = SampleLog.of([*some_entries(1), *(entry.to_bytes() for entry in story)])
    found = finding_of(log.files, log.checkpoint)
    assert str(found) == "entry 3: lease.released: dataset d-1 was erased by entry 2"


def test_unknown_kinds_are_counted():
    log = SampleLog.of([*some_entries(3), an_entry(7, "audit.planned").to_bytes()])
    report = verified(log.files, log.checkpoint)
    assert report.ok
    assert report.unknown == 1
    assert report.kinds["audit.planned"] == 1


def test_a_huge_signed_size_without_tiles_ends_at_the_first_missing_entry():
    head = TreeHead(ORIGIN, 2**62 + 12345, bytes(32))
    assert finding_of(LOG.files, checkpoint_of(head)).first == 512


def a_mirror(entries):
    mirror = Mirror(ORIGIN)
    mirror.extend(entries, head_of(entries))
    mirror.keep(checkpoint_of(head_of(entries)))
    return mirror


@pytest.mark.parametrize("size", [0, 1, 256, 700])
def test_an_exported_folder_verifies_and_has_the_tiles_of_the_log(tmp_path, size):
    export(a_mirror(ENTRIES[:size]), tmp_path / "log", the_policy())
    report = verify_folder(tmp_path / "log")
    report.require()
    assert report.entries == size
    for path, data in SampleLog.of(ENTRIES[:size]).files.items():
        assert (tmp_path / "log" / path).read_bytes() == data


def test_exporting_a_longer_log_updates_the_folder(tmp_path):
    export(a_mirror(ENTRIES[:300]), tmp_path, the_policy())
    export(a_mirror(ENTRIES[:300]), tmp_path, the_policy())
    export(a_mirror(ENTRIES), tmp_path, the_policy())
    assert verify_folder(tmp_path).entries == 700


def test_a_torn_export_is_no_log_and_can_be_finished(tmp_path):
    export(a_mirror(ENTRIES[:300]), tmp_path, the_policy())
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.new")
    with pytest.raises(NotFoundError, match="checkpoint is missing"):
        verify_folder(tmp_path)
    export(a_mirror(ENTRIES[:300]), tmp_path, the_policy())
    assert verify_folder(tmp_path).ok


def test_an_export_never_overwrites_something_else(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not touch")
    with pytest.raises(ConflictError, match="something else"):
        export(a_mirror(ENTRIES[:3]), tmp_path, the_policy())
    other = tmp_path / "other"
    export(a_mirror(ENTRIES[:3]), other, the_policy())
    mirror = Mirror("another.origin")
    mirror.extend(ENTRIES[:3], head_of(ENTRIES[:3], "another.origin"))
    with pytest.raises(IntegrityError):
        export(mirror, other, the_policy())


def test_a_mirror_without_a_cosigned_checkpoint_is_not_exported(tmp_path):
    mirror = Mirror(ORIGIN)
    mirror.extend(ENTRIES[:3], head_of(ENTRIES[:3]))
    with pytest.raises(IntegrityError):
        export(mirror, tmp_path / "log", the_policy())
    mirror.keep(sign_tree_head(head_of(ENTRIES[:3]), ORIGIN, LOG_KEY))
    with pytest.raises(IntegrityError, match="cosignatures"):
        export(mirror, tmp_path / "log", the_policy())
    assert not (tmp_path / "log").exists()


def test_a_folder_is_verified_under_the_callers_policy(tmp_path):
    export(a_mirror(ENTRIES[:3]), tmp_path, the_policy())
    (tmp_path / "policy").unlink()
    assert verify_folder(tmp_path, the_policy()).ok
    with pytest.raises(NotFoundError, match="policy"):
        verify_folder(tmp_path)
    strangers = Policy.of(log_verifier(TENANT, type(LOG_KEY)(bytes(32)).public))
    assert not verify_folder(tmp_path, strangers).ok


def test_a_mirror_names_the_exact_entry_of_a_log_that_was_rewritten():
    forged = [*ENTRIES[:300], an_entry(999).to_bytes(), *ENTRIES[301:]]
    with pytest.raises(IntegrityError, match="entry 300"):
        a_mirror(ENTRIES).extend(forged, head_of(forged))
    assert leaf_hash(forged[300]) != leaf_hash(ENTRIES[300])
