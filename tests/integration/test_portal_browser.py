"""The pages over real HTTP, as a person gets there: `kifabrik open`, a real browser, the operator's own machine."""

import json
import re
import shutil
import stat
import subprocess
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from kifabrik.cli.admin_open import open_pages as admin_open
from kifabrik.cli.browser import write_page
from kifabrik.cli.open_pages import open_pages
from kifabrik.customer.profile import Profile
from kifabrik.errors import SignInError, UsageError
from kifabrik.seals.identities import Identity
from kifabrik.tenants.statements import Role
from parties import FactoryProcess, Person
from ports import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def owner(factory: FactoryProcess) -> Person:
    """Somebody with an enrolled device."""
    return factory.sign_up().enrol(Role.OWNER)


@pytest.fixture
def home(owner: Person, tmp_path: Path) -> Path:
    """The home folder of that person's machine."""
    party = owner.party
    Profile(
        factory=party.factory.url,
        ca_pem="",
        tenant_key=party.tenant_key.public.hex,
        member=owner.member,
        role=str(owner.role),
        policy="",
        keyholder=party.keyholder.to_json(),
        device_seed=owner.key.seed.hex(),
        identity=owner.identity.text,
        catalogue_identity=Identity.generate().text,
        token=owner.token,
    ).save(tmp_path)
    return tmp_path


def opened(home: Path, *words: str) -> dict[str, str]:
    done = CliRunner().invoke(open_pages, [*words, "--home", str(home), "--json"], catch_exceptions=False)
    said: dict[str, str] = json.loads(done.stdout)
    return said


def test_the_command_signs_a_browser_in_as_the_member_of_its_machine(home: Path, owner: Person) -> None:
    said = opened(home)
    german = {"accept-language": "de-DE"}
    with httpx.Client(base_url=owner.party.factory.url, headers=german, follow_redirects=True) as browser:
        answer = browser.post(said["url"], data={"code": said["code"].lower().replace("-", " ")})
        assert answer.status_code == 200
        assert "0; url=/overview" in answer.text
        page = browser.get("/overview").text
        assert owner.member in page
        assert "Gerade läuft nichts und wartet nichts." in page
        assert browser.post("/sign-out").url.path == "/"
        assert browser.get("/overview").url.path == "/sign-in"


def test_the_page_that_hands_the_code_over_is_for_this_person_only(tmp_path: Path) -> None:
    file = write_page(tmp_path, 'https://factory.example"><script>', "ABCD")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert 'action="https://factory.example&quot;&gt;&lt;script&gt;/sign-in"' in file.read_text()


def test_a_machine_that_is_not_enrolled_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SignInError, match="not enrolled"):
        opened(tmp_path)


def test_the_operator_needs_an_address_and_gets_in_with_the_factorys_folder(tmp_path: Path) -> None:
    factory = FactoryProcess(tmp_path / "factory")
    settings = factory.home / "factory.toml"
    try:
        words = ["--home", str(tmp_path), "--json"]
        with pytest.raises(UsageError, match="any free port"):
            CliRunner().invoke(admin_open, words, catch_exceptions=False)
        settings.write_text(re.sub("port = 0", f"port = {free_port()}", settings.read_text()))
        said = json.loads(CliRunner().invoke(admin_open, words, catch_exceptions=False).stdout)
        with httpx.Client(base_url=factory.url) as browser:
            assert "0; url=/operator" in browser.post("/sign-in", data={"code": said["code"]}).text
            assert browser.get("/operator").status_code == 200
            assert browser.get("/operator/tenants").status_code == 200
    finally:
        factory.close()


def test_a_browser_that_opens_the_service_gets_a_page_and_a_program_a_problem(factory: FactoryProcess) -> None:
    with httpx.Client(base_url=factory.url) as browser:
        assert browser.get("/").text.startswith("<!DOCTYPE html>")
        assert browser.get("/nothing", headers={"accept": "text/html"}).text.startswith("<!DOCTYPE html>")
        assert browser.get("/nothing").json()["code"] == "not-found"
        assert browser.get("/v1/nothing", headers={"accept": "text/html"}).json()["code"] == "not-found"
        style = re.search(r'href="(/style-\w+\.css)"', browser.get("/").text)
        assert style
        assert "immutable" in browser.get(style[1]).headers["cache-control"]


def test_health_says_what_does_not_work_and_nothing_of_anybody(factory: FactoryProcess, owner: Person) -> None:
    answer = httpx.get(f"{factory.url}/health?lang=en")  # this factory has no node, and nobody drives runs
    assert answer.status_code == 503
    assert "none takes runs at present" in answer.text
    assert owner.party.tenant not in answer.text


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")
def test_a_real_browser_gets_from_the_file_to_the_overview_with_a_cookie_for_this_site_only(
    home: Path, owner: Person, tmp_path: Path
) -> None:
    """A redirect would end at the sign-in page: the browser withholds a strict cookie from what a file began."""
    file = write_page(tmp_path, owner.party.factory.url, opened(home)["code"])
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}"]
    seen = subprocess.run(
        [str(CHROMIUM), *words, "--virtual-time-budget=8000", "--dump-dom", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert owner.member in seen.stdout
    assert re.search("<h1>(Overview|Überblick)</h1>", seen.stdout)
