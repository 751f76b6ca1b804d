import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kifabrik.environments.lockfile import Lock, Option, Pin
from kifabrik.errors import UsageError
from kifabrik.values import sha256_hex

DIGEST = "85ece4451f492d0c13c5dd7c13a64681a86afae63a5f347908daf103ce6d2f67"
TEXT = f"""# kifabrik lock 1: python 3.11, x86_64-manylinux_2_28
--index-url https://example.org/simple
--find-links https://example.org/wheels.html
jinja2==3.1.6 --hash=sha256:{DIGEST}
torch==2.13.0+cpu --hash=sha256:{DIGEST}
"""

names = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
versions = st.from_regex(r"[0-9](?:\.[0-9]{1,3}){0,3}(?:rc[0-9])?(?:\+[a-z0-9.]{1,8})?", fullmatch=True)
digests = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
pins = st.lists(st.builds(Pin, names, versions, digests), unique_by=lambda pin: pin.name).map(
    lambda found: tuple(sorted(found))
)
addresses = st.lists(
    st.tuples(
        st.sampled_from(Option),
        st.from_regex(r"https://[a-z]{1,9}\.example(:[0-9]{2,4})?(/[a-z0-9.%+-]{1,9}){0,3}", fullmatch=True),
    ),
    max_size=3,
).map(tuple)
locks = st.builds(Lock, st.sampled_from(["3.11", "3.12", "3.9"]), pins, addresses)


def test_the_documented_text_reads_as_what_it_says():
    lock = Lock.from_text(TEXT)
    assert lock.python == "3.11"
    assert [pin.name for pin in lock.pins] == ["jinja2", "torch"]
    assert lock.addresses[0] == (Option.INDEX, "https://example.org/simple")


def test_the_digest_is_the_sha256_of_the_text():
    assert Lock.from_text(TEXT).digest == sha256_hex(TEXT.encode())


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(locks)
def test_every_lock_reads_back_as_itself(lock):
    assert Lock.from_text(lock.text) == lock


@settings(max_examples=50)
@given(locks, st.data())
def test_a_changed_text_is_another_lock_or_none(lock, data):
    position = data.draw(st.integers(0, len(lock.text) - 1))
    letter = data.draw(st.characters(codec="utf-8").filter(lambda c: c != lock.text[position]))
    changed = lock.text[:position] + letter + lock.text[position + 1 :]
    try:
        found = Lock.from_text(changed)
    except UsageError:
        return
    assert found != lock
    assert found.text == changed


@pytest.mark.parametrize(
    "line",
    [
        "jinja2==3.1.6",
        f"jinja2>=3.1.6 --hash=sha256:{DIGEST}",
        f"jinja2==3.1.6 --hash=md5:{DIGEST[:32]}",
        f"jinja2==3.1.6 --hash=sha256:{DIGEST} --hash=sha256:{DIGEST}",
        f"jinja2 @ file:///etc/passwd --hash=sha256:{DIGEST}",
        "-r /etc/passwd",
        "-e /srv/other",
        "--find-links /srv/other-tenant",
        "--find-links file:///srv/other-tenant",
        "--index-url http://169.254.169.254/latest",
        "--index-url https://name:word@example.org/simple",
        "--index-url https://example.org/${SECRET}",
        "--index-url https://example.org/?q=$SECRET",
        "--no-binary :all:",
        "# a comment",
        "",
    ],
)
def test_no_other_line_is_a_lock(line):
    header = TEXT.splitlines()[0]
    with pytest.raises(UsageError):
        Lock.from_text(f"{header}\n{line}\n")


@pytest.mark.parametrize(
    "text", ["", "\n", TEXT[:-1], TEXT + "\n", TEXT.replace("\n", "\r\n"), TEXT.replace("1:", "2:")]
)
def test_another_form_of_the_text_is_refused(text):
    with pytest.raises(UsageError):
        Lock.from_text(text)


def test_packages_out_of_order_or_twice_are_refused():
    pin = Pin("b", "1", DIGEST)
    with pytest.raises(UsageError, match="sorted"):
        Lock("3.11", (pin, Pin("a", "1", DIGEST)))
    with pytest.raises(UsageError, match="once"):
        Lock("3.11", (pin, pin))


def test_the_refusal_of_a_password_says_where_it_may_stand():
    with pytest.raises(UsageError) as caught:
        Lock("3.11", (), ((Option.INDEX, "https://me:secret@example.org/simple"),))
    assert "UV_DEFAULT_INDEX" in caught.value.hint
