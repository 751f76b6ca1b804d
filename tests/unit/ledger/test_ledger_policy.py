"""Policies: the examples and rules of c2sp.org/tlog-policy."""

import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_log import LOG_KEY, ORIGIN, TENANT, head_of, some_entries

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.checkpoint import cosign, log_verifier, sign_tree_head, witness_verifier
from kifabrik.ledger.notes import Note, NoteVerifier, SignatureType
from kifabrik.ledger.policy import Group, Policy
from kifabrik.signatures.keys import SigningKey

NAMES = ["X1", "X2", "X3", "Y1", "Y2", "Y3"]
KEYS = {name: SigningKey(bytes([number]) * 32) for number, name in enumerate(NAMES, 100)}
VKEYS = {
    name: NoteVerifier(f"witness.example/{name}", key.public, SignatureType.COSIGNATURE_V1).vkey
    for name, key in KEYS.items()
}
LOG_VKEY = log_verifier(TENANT, LOG_KEY.public).vkey
WITNESS_LINES = "".join(f"witness {name} {vkey}\n" for name, vkey in VKEYS.items())
# The example of the specification.
EXAMPLE = f"""# two organisations
log {LOG_VKEY}

{WITNESS_LINES}
group X-witnesses 2 X1 X2 X3
\tgroup Y-witnesses any  Y1 Y2\tY3
  # both
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""
HEAD = head_of(some_entries(3))
VECTOR = json.loads((Path(__file__).parents[2] / "vectors/ledger/cosigned_checkpoint.json").read_text())


def cosigned_by(*names):
    text = sign_tree_head(HEAD, ORIGIN, LOG_KEY)
    for name in names:
        text = cosign(text, f"witness.example/{name}", KEYS[name], 1000 + NAMES.index(name))
    return text


def test_the_example_accepts_exactly_two_of_x_with_one_of_y():
    policy = Policy.parse(EXAMPLE)
    for names in itertools.chain.from_iterable(itertools.combinations(NAMES, n) for n in range(7)):
        wanted = sum(name[0] == "X" for name in names) >= 2 and any(name[0] == "Y" for name in names)
        if wanted:
            accepted = policy.accept(cosigned_by(*names))
            assert accepted.head == HEAD
            assert accepted.cosigned == {name: 1000 + NAMES.index(name) for name in names}
        else:
            with pytest.raises(IntegrityError, match="cosignatures"):
                policy.accept(cosigned_by(*names))


def test_a_policy_is_written_and_read_again():
    text = EXAMPLE.replace(LOG_VKEY, f"{LOG_VKEY} https://log.example/")
    policy = Policy.parse(text.replace(VKEYS["Y3"], f"{VKEYS['Y3']} https://y3.example/"))
    assert Policy.parse(policy.to_text()) == policy
    assert policy.urls == {ORIGIN: "https://log.example/", "Y3": "https://y3.example/"}
    assert "group X-witnesses 2 X1 X2 X3\n" in policy.to_text()


def test_the_real_checkpoint_satisfies_a_quorum_of_its_witnesses():
    lines = [f"log {VECTOR['log']}"]
    lines += [f"witness w{n} {vkey}" for n, vkey in enumerate(VECTOR["witnesses"])]
    lines += ["group g 3 w0 w1 w2 w3", "quorum g"]
    accepted = Policy.parse("\n".join(lines)).accept(VECTOR["checkpoint"])
    assert accepted.head.size == 1432088532
    assert set(accepted.cosigned.values()) == {VECTOR["timestamp"]}


def test_no_quorum_asks_for_the_log_alone():
    policy = Policy.parse(f"log {LOG_VKEY}\nquorum none\n")
    assert policy.accept(cosigned_by()).cosigned == {}
    with pytest.raises(IntegrityError):
        Policy.parse(f"{WITNESS_LINES}quorum none\n").accept(cosigned_by("X1"))


def test_a_checkpoint_of_a_log_that_is_not_listed_is_refused():
    other = log_verifier("t-other", LOG_KEY.public)
    with pytest.raises(IntegrityError):
        Policy.of(other).accept(cosigned_by())
    forged = Note(HEAD.to_note_text()).signed(ORIGIN, SigningKey.generate()).to_text()
    with pytest.raises(IntegrityError):
        Policy.parse(EXAMPLE).accept(forged)


def test_a_listed_log_cannot_sign_for_another_origin():
    policy = Policy.of(log_verifier(TENANT, LOG_KEY.public))
    foreign = Note(head_of(some_entries(3), "another.origin").to_note_text()).signed(ORIGIN, LOG_KEY).to_text()
    with pytest.raises(IntegrityError, match=r"another\.origin"):
        policy.accept(foreign)


def test_witnesses_alone_make_no_checkpoint_however_many_have_cosigned():
    note = Note(HEAD.to_note_text())
    for name in NAMES:
        note = note.signed(f"witness.example/{name}", KEYS[name], 1000)
    with pytest.raises(IntegrityError, match="not signed by a log"):
        Policy.parse(EXAMPLE).accept(note.to_text())
    assert Policy.parse(EXAMPLE).accept(note.signed(ORIGIN, LOG_KEY).to_text()).head == HEAD


def test_one_listed_log_cannot_sign_for_another():
    other = SigningKey.generate()
    policy = Policy.parse(f"log {LOG_VKEY}\nlog {log_verifier('t-other', other.public).vkey}\nquorum none\n")
    forged = Note(HEAD.to_note_text()).signed(log_verifier("t-other", other.public).name, other)
    with pytest.raises(IntegrityError, match="not signed by a log"):
        policy.accept(forged.to_text())
    assert policy.accept(forged.signed(ORIGIN, LOG_KEY).to_text()).log == log_verifier(TENANT, LOG_KEY.public)


def test_one_wrong_cosignature_spoils_the_checkpoint():
    good = cosigned_by("X1", "X2", "Y1")
    line = Note.parse(good).signatures[-1]
    broken = good.replace(line.to_line(), type(line)(line.name, line.key_id, bytes(72)).to_line())
    with pytest.raises(IntegrityError, match=r"witness\.example/Y1"):
        Policy.parse(EXAMPLE).accept(broken)


def test_policies_of_one_two_and_no_witness():
    log = log_verifier(TENANT, LOG_KEY.public)
    first = witness_verifier(TENANT, KEYS["X1"].public)
    second = witness_verifier("t-other", KEYS["X2"].public)
    assert Policy.of(log).to_text() == f"log {LOG_VKEY}\nquorum none\n"
    assert Policy.of(log, first).to_text() == f"log {LOG_VKEY}\nwitness w1 {first.vkey}\nquorum w1\n"
    both = Policy.of(log, first, second)
    assert both.to_text().endswith("group all 2 w1 w2\nquorum all\n")
    text = cosign(cosigned_by(), first.name, KEYS["X1"], 5)
    with pytest.raises(IntegrityError):
        both.accept(text)
    assert both.accept(cosign(text, second.name, KEYS["X2"], 6)).cosigned == {"w1": 5, "w2": 6}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "no quorum"),
        (f"log {LOG_VKEY}\n", "no quorum"),
        ("quorum none\nquorum none\n", "line 2"),
        ("quorum X1\n", "line 1"),
        (f"quorum X1\n{WITNESS_LINES}", "line 1"),
        (f"log {VKEYS['X1']}\nquorum none\n", "type 0x01"),
        (f"witness w {LOG_VKEY}\nquorum none\n", "type 0x04"),
        (f"log {LOG_VKEY}\nlog {LOG_VKEY}\nquorum none\n", "same key"),
        (f"witness a {VKEYS['X1']}\nwitness b {VKEYS['X1']}\nquorum none\n", "same key"),
        (f"witness none {VKEYS['X1']}\nquorum none\n", "line 1"),
        (f"{WITNESS_LINES}witness X1 {VKEYS['X1']}\nquorum none\n", "line 7"),
        (f"{WITNESS_LINES}group X1 any X2\nquorum none\n", "line 7"),
        (f"{WITNESS_LINES}group none any X2\nquorum none\n", "line 7"),
        (f"{WITNESS_LINES}group g any X1\ngroup g any X2\nquorum g\n", "line 8"),
        (f"{WITNESS_LINES}group g any\nquorum g\n", "line 7"),
        (f"{WITNESS_LINES}group g 0 X1\nquorum g\n", "line 7"),
        (f"{WITNESS_LINES}group g 02 X1 X2\nquorum g\n", "line 7"),
        (f"{WITNESS_LINES}group g 3 X1 X2\nquorum g\n", "3 of 2"),
        (f"{WITNESS_LINES}group g some X1 X2\nquorum g\n", "line 7"),
        (f"{WITNESS_LINES}group g 2 X1 X1\nquorum g\n", "2 of 1"),
        (f"{WITNESS_LINES}group g any X1 none\nquorum g\n", "line 7"),
        (f"{WITNESS_LINES}group g any g\nquorum g\n", "line 7"),
        (f"{WITNESS_LINES}group g any X1\ngroup h any X1\nquorum h\n", "already in a group"),
        ("log nonsense\nquorum none\n", "line 1"),
        (f"log {LOG_VKEY} https://a https://b\nquorum none\n", "line 1"),
        ("sentence\nquorum none\n", "line 1"),
        ("quorum none\r\n", "control"),
        ("quorum none\x00\n", "control"),
        ("#" * 70_000, "too long"),
    ],
)
def test_what_breaks_a_rule_is_refused_and_named(text, wrong):
    with pytest.raises(UsageError, match=wrong):
        Policy.parse(text)


def test_names_are_opaque():
    kelvin = "\u212a"
    text = f"log {LOG_VKEY}\nwitness {kelvin} {VKEYS['X1']}\nwitness K {VKEYS['X2']}\nquorum {kelvin}\n"
    policy = Policy.parse(text)
    assert policy.accept(cosigned_by("X1")).cosigned == {kelvin: 1000}
    with pytest.raises(IntegrityError):
        policy.accept(cosigned_by("X2"))


def test_32_logs_witnesses_and_groups_are_supported_and_deep_nesting_ends():
    keys = [SigningKey(bytes([n, 1]) * 16) for n in range(32)]
    lines = [f"log {log_verifier(TENANT, LOG_KEY.public).vkey}"]
    lines += [f"log {NoteVerifier(f'l{n}', key.public).vkey}" for n, key in enumerate(keys[1:])]
    verifiers = [NoteVerifier(f"w{n}", key.public, SignatureType.COSIGNATURE_V1) for n, key in enumerate(keys)]
    lines += [f"witness w{n} {verifier.vkey}" for n, verifier in enumerate(verifiers)]
    lines += ["group g0 all w0", *(f"group g{n} all g{n - 1} w{n}" for n in range(1, 32))]
    deep = [f"group h{n} any {f'h{n - 1}' if n else 'g31'}" for n in range(2000)]
    policy = Policy.parse("\n".join([*lines, *deep, "quorum h1999"]))
    text = cosigned_by()
    for n, key in enumerate(keys):
        with pytest.raises(IntegrityError):
            policy.accept(text)
        text = cosign(text, f"w{n}", key, n)
    assert len(policy.accept(text).cosigned) == 32


@given(st.text(alphabet=st.sampled_from("logwitness groupquorumnone12 \t\n#+abX\u00e9"), max_size=200))
@settings(max_examples=200)
def test_any_text_is_a_policy_or_a_usage_error(text):
    try:
        policy = Policy.parse(text)
    except UsageError:
        return
    assert Policy.parse(policy.to_text()) == policy


WITNESSES = {name: NoteVerifier.from_vkey(vkey) for name, vkey in VKEYS.items()}
LOGS = (NoteVerifier.from_vkey(LOG_VKEY),)


@pytest.mark.parametrize(
    "wrong",
    [
        {"witnesses": {"none": WITNESSES["X1"]}},
        {"witnesses": {"X1": WITNESSES["X1"], "again": WITNESSES["X1"]}},
        {"witnesses": {"X1": LOGS[0]}},
        {"logs": (WITNESSES["X1"],)},
        {"logs": LOGS * 2},
        {"groups": {"X1": Group(1, ("X2",))}},
        {"groups": {"none": Group(1, ("X2",))}},
        {"groups": {"g": Group(0, ("X1",))}},
        {"groups": {"g": Group(2, ("X1",))}},
        {"groups": {"g": Group(1, ("X1", "X1"))}},
        {"groups": {"g": Group(1, ("unknown",))}},
        {"groups": {"g": Group(1, ("none",))}},
        {"groups": {"g": Group(1, ("g",))}},
        {"groups": {"g": Group(1, ("h",)), "h": Group(1, ("X1",))}},
        {"groups": {"g": Group(1, ("X1",)), "h": Group(1, ("X1", "X2"))}},
        {"quorum": "unknown"},
    ],
)
def test_a_policy_that_is_not_read_but_made_keeps_the_same_rules(wrong):
    right = {"logs": LOGS, "witnesses": WITNESSES, "groups": {}, "quorum": "X1"}
    Policy(**right)
    with pytest.raises(UsageError):
        Policy(**right | wrong)
