"""After everything the modules before have played: no plaintext at the factory, nothing left on the node."""

import base64
import os
import time
from pathlib import Path

import pytest
from two_parties import PATIENCE_S

from kifabrik.runs.states import is_end
from kifabrik.sandbox.leftovers import remove_leftovers
from living_trees import files_below

pytestmark = pytest.mark.xdist_group("acceptance")


def forms_of(text):
    """The text, and what it looks like in base64 at each alignment, in hex and in UTF-16."""
    data = text.encode()
    forms = {data, data.hex().encode(), text.encode("utf-16-le")}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + data)
        forms.add(encoded[4 if shift else 0 : -4])
    return forms


def found_in(folder, needles):
    places = []
    for path, data in files_below(folder, without="environments"):
        places += [f"{path.relative_to(folder)}: {needle!r}" for needle in needles if needle in data]
    return places


def test_the_search_would_find_the_mark_in_every_form(tmp_path):
    mark = "zirbel0123456789"
    for number, text in enumerate(forms_of(mark)):
        (tmp_path / str(number)).write_bytes(b"before " + text + b" after")
    assert len(found_in(tmp_path, forms_of(mark))) >= len(forms_of(mark))


def test_no_name_code_data_log_or_result_lies_in_the_factorys_folder(stage, trained):
    assert found_in(stage.customer.home, [stage.mark.encode()])
    assert stage.customer.kifabrik("logs", stage.name("slope")).out.count(stage.mark) == 1
    assert found_in(stage.factory.home, forms_of(stage.mark)) == []


def test_no_secret_key_of_the_customer_lies_in_the_factorys_folder(stage, trained):
    profile = stage.sdk.session.profile
    secrets = [profile.device_seed, profile.identity, profile.catalogue_identity]
    seeds = [bytes.fromhex(profile.device_seed)]
    needles = [form for secret in secrets for form in forms_of(secret)] + seeds
    assert found_in(stage.customer.home, [profile.identity.encode()])
    assert found_in(stage.factory.home, needles) == []


def test_no_token_lies_in_the_factorys_folder_in_clear(stage):
    assert found_in(stage.factory.home, [stage.sdk.session.profile.token.encode()]) == []


def test_no_process_mount_folder_or_control_group_of_an_ended_run_is_left(stage, trained, tmp_path):
    runs = stage.sdk.session.runs
    for view in runs.all(limit=500):
        if not is_end(view.state):
            runs.stop(view.run)
            stage.end(view.run)
    stage.order(tmp_path, "print('the next run clears away what killed launchers left')").result(120)
    home = str(stage.factory.home)
    until = time.monotonic() + PATIENCE_S
    folders = stage.factory.home / "factory" / "node" / "runs"
    while (left := [*processes_in(home), *folders.iterdir()]) and time.monotonic() < until:
        time.sleep(0.2)
    assert left == []
    assert home not in Path("/proc/self/mountinfo").read_text()
    assert remove_leftovers() == ()


def processes_in(home):
    """Processes with a mount of a run below a folder: launchers and what they have started."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if f"{home}/factory/node/runs" in (entry / "mountinfo").read_text():
                    found.append((entry / "cmdline").read_bytes())
            except OSError:  # it has just ended
                continue
    return found


def test_database_objects_and_ledger_agree_after_everything(stage, trained):
    said = stage.factory.kifabrik("admin", "check", "--deep", "--json").json()
    assert said["ok"]
    assert said["findings"] == []
    assert stage.customer.kifabrik("ledger", "show", "--last", 1, "--json").json()
    assert stage.customer.kifabrik("ledger", "verify", "--json").json()["ok"]


def test_factory_and_keyholder_say_nothing_that_is_not_meant_for_people(stage, trained):
    for file in (stage.factory.home / "up.log", stage.customer.home / "keyholder.log"):
        said = file.read_text()
        assert said
        assert "Warning" not in said
        assert "Traceback" not in said
