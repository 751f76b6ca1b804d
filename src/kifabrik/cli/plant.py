"""`kifabrik plant`."""

import click

from kifabrik.cli.main import LazyGroup


@click.group(
    cls=LazyGroup,
    lazy={
        "template": ("kifabrik.cli.plant_template:template", "Write a site file to start from."),
        "validate": ("kifabrik.cli.plant_validate:validate", "Check a site file and say what it comes to."),
        "run": ("kifabrik.cli.plant_run:run", "Simulate a year of a site minute by minute."),
        "compare": (
            "kifabrik.cli.plant_compare:compare",
            "Put years under changed values and policies side by side.",
        ),
        "report": ("kifabrik.cli.plant_report:report", "Report a year: HTML, PDF, and what the law asks for."),
        "serve": ("kifabrik.cli.plant_serve:serve", "Serve a live page of the plant."),
        "meters": ("kifabrik.cli.plant_meters:meters", "Read meters of a real site and find what is odd."),
        "schedule": ("kifabrik.cli.plant_schedule:schedule", "Schedule a trace of jobs and compare policies."),
        "governor": ("kifabrik.cli.plant_governor:governor", "Say how much power river and heat demand permit."),
        "placement": ("kifabrik.cli.plant_placement:placement", "Compare how policies place parts of GPUs."),
    },
)
def plant() -> None:
    """The digital twin of a site: power, cooling, river, heat, reports.

    \b
    First steps:
      kifabrik plant run munich
      kifabrik plant template munich --out munich.yaml
      kifabrik plant run munich.yaml --set river.year=2003 --out results
    """  # noqa: D301 - \b is click's mark for a block kept as it is
