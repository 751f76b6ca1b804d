"""What the operator states in `factory.toml`."""

import pytest

from kifabrik.errors import UsageError
from kifabrik.meters.footprint import Site
from kifabrik.wiring.factory_config import FILE, read_config
from kifabrik.wiring.node import FILE as NODE_FILE
from kifabrik.wiring.node import read_node


def test_a_site_is_read_in_the_units_people_use_and_kept_in_whole_millilitres(tmp_path):
    (tmp_path / FILE).write_text(
        "[site]\ncarbon_g_per_kwh = 363\nmarket_g_per_kwh = 0\npue_percent = 112\nreused_percent = 20\n"
        "water_withdrawn_l_per_kwh = 180\nwater_consumed_l_per_kwh = 0.02\n"
    )
    assert read_config(tmp_path).site.stated() == Site(363, 112, 0, 20, 180_000, 20)


def test_without_a_site_there_is_none_and_a_wrong_one_is_named(tmp_path):
    (tmp_path / FILE).write_text("")
    assert read_config(tmp_path).site is None
    (tmp_path / FILE).write_text("[site]\ncarbon_g_per_kwh = 363\npue_percent = 90\n")
    with pytest.raises(UsageError, match=r"site\.pue_percent"):
        read_config(tmp_path)


@pytest.mark.parametrize(("file", "read"), [(FILE, read_config), (NODE_FILE, read_node)])
@pytest.mark.parametrize("wrong", [b"port = ", b'host = "M\xfcnchen"'])
def test_a_file_that_is_no_toml_is_named(tmp_path, file, read, wrong):
    (tmp_path / file).write_bytes(wrong)
    with pytest.raises(UsageError, match=rf"{file} is not (TOML|UTF-8 text)"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("prot = 8470\n", "unknown setting 'prot'", "Did you mean 'port'?"),
        ("[slurm]\npartitoin = 'x'\n", "unknown setting 'slurm.partitoin'", "Did you mean 'partition'?"),
        ("host = 3\n", "host: 3 does not fit", "docs/operations.md"),
    ],
)
def test_a_wrong_setting_is_named_as_it_was_written_with_a_suggestion(tmp_path, text, says, hint):
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UsageError) as raised:
        read_config(tmp_path)
    assert says in raised.value.message
    assert hint in raised.value.hint
