"""Tables of answers and of the images that were asked about."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, false
from sqlalchemy.orm import Mapped, mapped_column

from service.records.tables.base import Base

NO_SIMILARITY = -1.0  # image_similarity of answers that no exemplar voted on


class SegmentationRow(Base):
    """One answered image with all its segments.

    Columns:
        k: number of exemplars that were asked to vote. Fewer voted if fewer were alive.
        image_similarity: mean cosine to the nearest exemplars; `NO_SIMILARITY` if no exemplar was alive.
        segments, prototypes, exemplar_ids, neighbours, similarities: content of answers that versions before the schema
            revision 0008 recorded, see `service.records.answered`; empty in later ones.
        image_id: SHA-256 of the image file; None in answers of versions that did not keep images.
        author: name of the key that asked; None without keys.
        conversion: what was done to the values of the image when it was decoded, in words; None: nothing, or an answer
            of a version that did not record it.
        page: number of the page of the file that was sent, from 0. The image is a file with this page alone.
        pages: how many pages that file had; None in answers of versions that did not record it.
        release_digest: identifies the release that answered, see `model_store.release.read_digest`; None in answers of
            versions that did not record it.
        sequence: position among all answers, in the order in which they were recorded. Times do not order answers,
            because a clock can be set back.
        segment_count: number of segments.
        pinned: whether someone asked to keep the answer; retention leaves it out.
        size: bytes of its content: of its parts, without those that it shares with an older answer.
        shapes_part: masks and prototypes, as `service.records.packing.shapes` packs them; answers that relabelled
            another one may share its part. None: the content is in the columns of earlier versions.
        votes_part: labels and neighbours, as `service.records.packing.votes` packs them; None: as for `shapes_part`.
        lineage: id of the first answer of those that updates made of one another; None: this is the first one, or an
            earlier version recorded it.
        checksum: over the other columns, see `service.records.checksums`; None in rows of earlier versions.
    """

    __tablename__ = "segmentations"
    __table_args__ = (
        Index("segmentations_by_sequence", "sequence", "pinned", "size", "created"),  # all that retention reads
        Index("segmentations_by_image", "image_id", "sequence", "pinned"),
        Index("segmentations_by_author", "author", "sequence"),
        Index("segmentations_by_shapes", "shapes_part"),
    )

    segmentation_id: Mapped[str] = mapped_column(primary_key=True)
    created: Mapped[datetime]
    width: Mapped[int]
    height: Mapped[int]
    release: Mapped[str]
    release_path: Mapped[str]
    index_revision: Mapped[int]
    k: Mapped[int]
    kappa: Mapped[float]
    image_similarity: Mapped[float]
    segments: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    prototypes: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    exemplar_ids: Mapped[str] = mapped_column(deferred=True, deferred_raiseload=True)
    neighbours: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    similarities: Mapped[bytes] = mapped_column(LargeBinary, deferred=True, deferred_raiseload=True)
    image_id: Mapped[str | None]
    author: Mapped[str | None]
    conversion: Mapped[str | None]
    page: Mapped[int | None]
    pages: Mapped[int | None]
    release_digest: Mapped[str | None]
    sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    segment_count: Mapped[int] = mapped_column(server_default="0")
    pinned: Mapped[bool] = mapped_column(server_default=false())
    size: Mapped[int] = mapped_column(server_default="0")
    shapes_part: Mapped[int | None] = mapped_column(BigInteger)
    votes_part: Mapped[int | None] = mapped_column(BigInteger)
    lineage: Mapped[str | None]
    checksum: Mapped[int | None] = mapped_column(BigInteger)


class AnswerPartRow(Base):
    """A part of the content of an answer; it never changes. Its id is not used again after it was deleted.

    Columns:
        checksum: over the id and the content, see `service.records.checksums`.
    """

    __tablename__ = "answer_parts"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  # read by SQLAlchemy

    part_id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    checksum: Mapped[int | None] = mapped_column(BigInteger)


class ImageRow(Base):
    """An image file as it was received; width and height are of the upright image, size is in bytes.

    The content is empty where the file is in an object store, see `ImageObjectRow`.
    sequence is its position among all images, in the order in which they were sent last. The content comes after the
    columns that are read alone, so that SQLite reads these without it. The checksum is over the other columns.
    """

    __tablename__ = "images"
    __table_args__ = (Index("images_by_sequence", "sequence", "size", "image_id"),)

    image_id: Mapped[str] = mapped_column(primary_key=True)
    media_type: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    size: Mapped[int]
    created: Mapped[datetime]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    checksum: Mapped[int | None] = mapped_column(BigInteger)


class ImageObjectRow(Base):
    """A file in an object store, which a row names from before it is written until it is deleted.

    Columns:
        object_key: of the file; it names the SHA-256 of the content, and is never used again.
        image_id: the image that it is the content of; None: it is being written, or the image was deleted.
        size: bytes.
        unused_since: since when it is not the content of an image; None: it is.
        deleting: whether it is being deleted; it does not become the content of an image any more.
    """

    __tablename__ = "image_objects"
    __table_args__ = (
        Index("image_objects_by_image", "image_id", unique=True),
        Index("image_objects_by_time", "unused_since"),
    )

    object_key: Mapped[str] = mapped_column(primary_key=True)
    image_id: Mapped[str | None]
    size: Mapped[int] = mapped_column(BigInteger)
    unused_since: Mapped[datetime | None]
    deleting: Mapped[bool]
