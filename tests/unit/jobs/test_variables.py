"""Environment variables of a job: refused where the job is written, with their names."""

import pytest

from kifabrik.errors import UsageError
from kifabrik.jobs.jobfile import parse_job

JOB = "name: a\npurpose: b\nrun: python x.py\nenvironment: {{variables: {{{}}}}}\n"


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ("1A: x", "not a name for an environment variable: '1A'"),
        ("A B: x", "not a name"),
        ('A: "x\\0y"', "the variable A contains a character"),
        (f"A: {'x' * 131_072}", "the variable A makes the environment too large"),
        (", ".join(f"A{number}: {'x' * 100_000}" for number in range(9)), ""),
        (", ".join(f"A{number}: x" for number in range(1001)), "1001 environment variables"),
    ],
    ids=["number", "space", "nul", "long", "fits", "many"],
)
def test_variables_no_program_can_be_given_are_refused_where_the_job_is_written(variables, says):
    text = JOB.format(variables)
    if says:
        with pytest.raises(UsageError, match=says):
            parse_job(text)
    else:
        assert len(parse_job(text).environment.variables) == 9
