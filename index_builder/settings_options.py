"""Options of `segsort build` that replace settings of the embedder: pixel sorting, the vote and the search index."""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

if TYPE_CHECKING:
    from pydantic import BaseModel

    from index_builder.build import BuildOptions
    from model_store.card import RetrievalInfo, SortingInfo

_Info = TypeVar("_Info", bound="BaseModel")

Segments = Annotated[
    int | None, typer.Option(help="Number of segments in pixel sorting. Default: that of the embedder.")
]
MinPart = Annotated[
    int | None,
    typer.Option(
        help="Split segments where their pixels look like several classes, into parts of at least this many pixels "
        "at the network's stride, for example 8. 0: not at all. Default: that of the embedder."
    ),
]
Iterations = Annotated[int | None, typer.Option(help="Maximum EM iterations over all pixels.")]
CoarseIterations = Annotated[
    int | None, typer.Option(help="EM iterations over a quarter of the pixels first: faster, slightly coarser.")
]
LocationWeight = Annotated[float | None, typer.Option(help="Weight of location in pixel sorting.")]
Voters = Annotated[int | None, typer.Option(help="Number of nearest exemplars that vote.")]
IndexFactory = Annotated[
    str | None,
    typer.Option(
        "--index-factory",
        "--index",
        help="Kind of the search index: Flat, which is exact, or an approximate one for millions of exemplars, "
        "such as IVF4096,PQ16. See docs/large-indexes.md. Default: that of the embedder.",
    ),
]
Nprobe = Annotated[
    int | None,
    typer.Option(help="Inverted lists that a search visits. Default: as many as find 99 of 100 exemplars."),
]
Rerank = Annotated[
    int | None,
    typer.Option(help="Candidates compared exactly, for each exemplar that votes. Default: chosen as --nprobe is."),
]
IndexShards = Annotated[
    int | None, typer.Option(help="Parts of the index, in files of their own, that are searched in parallel.")
]
IndexOnDisk = Annotated[
    bool | None,
    typer.Option("--index-on-disk", help="Map index and exemplars from their files instead of reading them."),
]


class SettingsOptions(NamedTuple):
    """Options of a build. In `sorting` and `retrieval`, None is the value of the embedder.

    max_exemplars, max_images, balance, distinct: see `BuildOptions`; sorting: by name of the field of `SortingInfo`;
    retrieval: by name of the field of `RetrievalInfo`.
    """

    max_exemplars: int
    max_images: int | None
    balance: float
    distinct: float | None
    sorting: dict[str, Any]
    retrieval: dict[str, Any]

    def over(self, sorting: "SortingInfo", retrieval: "RetrievalInfo") -> "BuildOptions":
        """The options of a build with an embedder that has these settings.

        Raises:
            ValueError: if a value is not allowed.
        """
        from index_builder.build import BuildOptions

        return BuildOptions(
            max_exemplars=self.max_exemplars,
            max_images=self.max_images,
            balance=self.balance,
            distinct=self.distinct,
            sorting=changed(sorting, **self.sorting),
            retrieval=changed(retrieval, **self.retrieval),
        )


def changed(info: _Info, **values: Any) -> _Info:
    """Return a copy of `info` with the values that are not None, validated by its model."""
    return info.model_validate({**info.model_dump(), **{key: v for key, v in values.items() if v is not None}})
