"""Exemplars that an edit added, as JSON."""

from collections import defaultdict
from typing import Any

import numpy as np

from service.answering.served import ServedRelease
from service.editing.curation import Added
from service.editing.strength import wins_vote


def added_json(served: ServedRelease, added: Added) -> list[dict[str, Any]]:
    """The exemplars that a request asked for, each with whether its class wins the vote on its pixels now."""
    infos = [state.info for state in served.live.log.class_states()]
    return [
        {
            "exemplar_id": one.exemplar_id,
            "class_id": one.class_id,
            "class_name": infos[one.class_id].name,
            "area": one.area,
            "bbox": list(one.bbox),
            "strength": one.strength,
            "scope": one.scope,
            "wins": won,
            "added": one.exemplar_id not in added.already,
        }
        for one, won in zip(added.exemplars, _wins(served, added), strict=True)
    ]


def _wins(served: ServedRelease, added: Added) -> list[bool]:
    """Whether the class of each exemplar wins the vote on its own pixels, in its image."""
    state, k = served.live.state, served.release.card.retrieval.k
    by_image: dict[str, list[int]] = defaultdict(list)
    for n, one in enumerate(added.exemplars):
        by_image[one.image_id].append(n)
    found = [False] * len(added.exemplars)
    for image_id, numbers in by_image.items():
        prototypes = np.stack([added.exemplars[n].prototype for n in numbers])
        class_ids = np.array([added.exemplars[n].class_id for n in numbers])
        for n, won in zip(
            numbers, wins_vote(state.for_image(image_id), prototypes, class_ids, k).tolist(), strict=True
        ):
            found[n] = won
    return found
