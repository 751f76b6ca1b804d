import pytest

from kifabrik.errors import ConflictError, NotFoundError, UsageError
from kifabrik.jobs.jobfile import read_job
from kifabrik.recipes.kits import KITS, find_kit, requirements, write_kit


@pytest.mark.parametrize("name", KITS)
def test_the_job_files_of_every_kit_are_valid_and_find_their_files(name, tmp_path):
    write_kit(find_kit(name), tmp_path / "kit", {})
    jobs = sorted((tmp_path / "kit").glob("*.yaml"))
    assert jobs
    for path in jobs:
        job = read_job(path)
        assert (path.parent / job.workdir / "kifabrik" / "errors.py").is_file()
        assert (path.parent / job.environment.requirements).read_text()


@pytest.mark.parametrize("name", KITS)
def test_a_kit_is_never_written_over_something(name, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ConflictError, match="not empty"):
        write_kit(find_kit(name), tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", KITS)
def test_requirements_name_one_version_of_each_package(name):
    lines = requirements(find_kit(name)).split()
    assert lines == sorted(set(lines))
    assert all("==" in line for line in lines)
    assert any(line.startswith("pydantic==") for line in lines)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"scenarois": "3"}, "no setting 'scenarois'"),
        ({"scenarios": "many"}, "scenarios must be a whole number from 2"),
        ({"runs": "0"}, "runs must be a whole number from 1 to 48"),
        ({"name": "A B"}, "'A B' is not a name for a job"),
        ({"dataset": "x; rm -rf /"}, "is not a name for a dataset"),
        ({"what-if": "'; curl evil"}, "what-if must not hold"),
        ({"language": "fr"}, "language must be de, en, not"),
        ({"memory": "much"}, "memory must be a size"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(chosen, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        write_kit(find_kit("supply-chain"), tmp_path / "kit", chosen)
    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize(
    ("recipe", "chosen", "said"),
    [
        ("maintenance", {"title": "Press 3\nrun: evil"}, "title must not hold a line break"),
        ("maintenance", {"given": "Load\\"}, "given must not hold a backslash"),
        ("pharma-train", {"endpoints": "IC50,$HOME"}, "endpoints must not hold [$]"),
        ("supply-chain", {"what-if": "it's"}, "what-if must not hold a quotation mark"),
    ],
)
def test_what_would_end_a_word_of_the_jobs_command_line_is_named(recipe, chosen, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        write_kit(find_kit(recipe), tmp_path / "kit", chosen)


def test_a_recipe_that_is_not_there_is_named_with_those_there_are():
    with pytest.raises(NotFoundError, match="no recipe 'chatbot'") as told:
        find_kit("chatbot")
    assert "supply-chain" in told.value.hint
