"""The table of studies: a new one is one row here, and one in `leukoscope.reporting.studies`."""

from leukoscope.errors import BadInputError
from leukoscope.studies import (
    batch_size,
    depth,
    gradient_flow,
    leakage,
    learning_rate,
    people,
    recipes,
    validation_gap,
)
from leukoscope.studies.study import Study

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        leakage.STUDY,
        people.STUDY,
        batch_size.STUDY,
        learning_rate.STUDY,
        validation_gap.STUDY,
        depth.STUDY,
        gradient_flow.STUDY,
        recipes.STUDY,
    )
}


def study(name: str) -> Study:
    """Return the study `name`.

    Raises:
        BadInputError: there is none; the message lists those that there are.
    """
    if name not in STUDIES:
        raise BadInputError(f"no study {name!r}; the studies are {', '.join(STUDIES)}")
    return STUDIES[name]
