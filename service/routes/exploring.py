"""Routes that explore recent images: which of them to label next, and what their unknown segments have in common."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from service.exploring.clusters import UNSURE, Which, clusters_of
from service.exploring.suggestions import suggestions_of
from service.http import wire
from service.http.budgeted import Budgeted
from service.routes.dependencies import Reader, Service, json

router = APIRouter(route_class=Budgeted, tags=["segmentations"])

MOST_IMAGES = 200
Images = Annotated[
    int, Query(ge=1, le=MOST_IMAGES, description="Largest number of images to look at: the newest, each once.")
]


@router.get(
    "/suggestions", operation_id="list_suggestions", summary="Choose images to label next",
    response_model=wire.SuggestionList,
)  # fmt: skip
def list_suggestions(
    caller: Reader,
    engine: Service,
    limit: Annotated[int, Query(ge=1, le=50, description="Largest number of suggestions.")] = 12,
    images: Images = 100,
    skip: Annotated[
        str | None,
        Query(description="Id of an answer whose image is not suggested, for example the one on the screen."),
    ] = None,
) -> Response:
    """Choose images to label next: uncertain ones that resemble neither exemplars nor each other.

    A reader gets images of its own key, a curator those of all keys. Answers of other releases do not count, and labels
    are those of now.
    """
    return json(suggestions_of(engine, engine.served, images, limit, caller.owner, skip))


@router.get(
    "/clusters", operation_id="list_clusters", summary="Cluster unknown segments", response_model=wire.ClusterList
)
def list_clusters(
    caller: Reader,
    engine: Service,
    limit: Annotated[int, Query(ge=1, le=64, description="Largest number of clusters that are listed.")] = 24,
    members: Annotated[int, Query(ge=1, le=200, description="Largest number of segments listed of a cluster.")] = 60,
    images: Images = 100,
    which: Annotated[
        Which,
        Query(description=f"unknown: unknown segments; unsure: also those with a confidence below {UNSURE:g}."),
    ] = "unknown",
) -> Response:
    """Cluster the unknown segments of recent images by spherical k-means, so that a whole cluster can be named at once.

    A reader gets segments of its own images, a curator those of all keys. Answers of other releases do not count, and
    labels are those of now. POST /segments/labels names the segments of a cluster.
    """
    return json(clusters_of(engine, engine.served, which, images, limit, members, caller.owner))
