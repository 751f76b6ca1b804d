"""Charts are drawn where the system has no fonts, without a word."""

import os
import shutil
import subprocess

import pytest

from kifabrik.recipes.pharma.fonts import SETTING, without_system_fonts


@pytest.mark.skipif(shutil.which("fc-list") is None, reason="fc-list is not installed")
def test_no_font_of_the_system_is_found_and_nothing_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv(SETTING, "/nowhere/fonts.conf")
    before = subprocess.run(["fc-list", "--format=%{file}"], capture_output=True, check=False, env=os.environ)
    assert before.stderr
    without_system_fonts(tmp_path)
    after = subprocess.run(["fc-list", "--format=%{file}"], capture_output=True, check=True, env=os.environ)
    assert (after.stdout, after.stderr) == (b"", b"")
