import json

from click.testing import CliRunner

from kifabrik.cli.main import cli


def test_the_steps_name_an_input_folder_only_if_one_was_written(tmp_path):
    def steps(folder, *words):
        ran = CliRunner().invoke(cli, ["recipe", "new", "maintenance", str(folder), "--json", *words])
        return json.loads(ran.output)["next"]

    assert "YOUR-FOLDER" in steps(tmp_path / "a")[0]
    assert str(tmp_path / "b" / "input") in steps(tmp_path / "b", "--example")[0]
    assert (tmp_path / "b" / "input").is_dir()
