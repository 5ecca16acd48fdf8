"""The 527 tags of AudioSet, by the label file that its authors publish.

Gemmeke et al., "Audio Set: An ontology and human-labeled dataset for audio events", 2017.
"""

import csv
from pathlib import Path

from audiosearch.engine.analyzers.base import WeightFile

CLASSES = 527
LABELS = WeightFile(
    name="class_labels_indices.csv",
    url="http://storage.googleapis.com/us_audioset/youtube_corpus/v1/csv/class_labels_indices.csv",
    size=14_675,
    sha256="cdd1049833c4b86127c2773ac0d14a2754b6a6d0d1798002ed5c66e699708429",
    licence="CC BY 4.0",
    optional=True,
)


def read_tag_names(path: Path) -> tuple[str, ...]:
    """AudioSet's display names; none when the label file is not there or is not all of it."""
    if not path.exists():
        return ()
    with path.open(newline="", encoding="utf-8") as file:
        names = tuple(row.get("display_name", "") for row in csv.DictReader(file))
    return names if len(names) == CLASSES and all(names) else ()
