"""Settings: read from a file, the environment (prefix SEGSORT_) and the command line; later sources take precedence."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from model_store.cores import available_cores
from model_store.precision_names import AskedPrecision


class Settings(BaseSettings):
    """All settings of the service. SEGSORT_SETTINGS_FILE names a settings file (TOML or .env)."""

    model_config = SettingsConfigDict(env_prefix="SEGSORT_", extra="ignore", frozen=True)

    data_dir: Path = Field(
        Path("segsort-data"),
        description="folder of the database, of your own releases, and of all other files that are written",
    )
    database_url: str | None = Field(None, description="SQLAlchemy URL; None: SQLite in data_dir")
    lock_timeout_s: float = Field(
        5, ge=0.1, le=600, description="longest wait for a lock of the database, or for a connection to it, seconds"
    )
    statement_timeout_s: float = Field(
        60, ge=1, le=3600, description="longest time of a statement, and of an idle transaction, on PostgreSQL, seconds"
    )
    database_connections: int = Field(20, ge=2, le=1000, description="largest number of connections to the database")
    release: str | None = Field(None, description="name or path of the release to serve; None: the active one")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    device: Literal["cpu", "cuda"] = "cpu"
    precision: AskedPrecision = Field(
        "auto",
        description="numbers of the network; auto: int8 where the release has it, its measured loss is small and the "
        "processor multiplies bytes, else float32; float16: only on a GPU",
    )
    threads: int | None = Field(
        None, ge=1, description="threads for a single image in the engine; None: one for each core of this process"
    )
    at_once: int | None = Field(
        None, ge=1, description="images in the engine at the same time; None: one for each core, or two batches"
    )
    batch: int | None = Field(
        None, ge=1, description="largest number of images in one run of the network; None: 16 on a GPU, else 1"
    )
    max_bytes: int = Field(20_000_000, ge=1, description="largest request body, bytes")
    max_archive_bytes: int = Field(
        1_000_000_000, ge=1, description="largest archive of labelled images to build a release from, bytes"
    )
    batch_images: int = Field(32, ge=1, le=1000, description="largest number of images in POST /segment/batch")
    job_images: int = Field(10_000, ge=1, le=1_000_000, description="largest number of images in a job")
    job_bytes: int = Field(2_000_000_000, ge=1, description="largest body of a job of images, bytes")
    job_pixels: int = Field(20_000_000_000, ge=1, description="largest number of pixels of all images of a job")
    jobs_at_once: int = Field(
        20, ge=1, description="largest number of jobs of images that wait or run; they are worked on in turn"
    )
    jobs_mb: int = Field(
        20_000, ge=1, description="largest size of the files of jobs of images, megabytes: the oldest results go"
    )
    jobs_days: float = Field(7, gt=0, description="results of jobs of images are deleted after so many days")
    max_pixels: int = Field(
        40_000_000, ge=1, description="largest image, pixels that are decoded: of a large JPEG, those of a fraction"
    )
    max_ratio: float = Field(
        2000, gt=0, description="largest compression ratio (decoded to encoded bytes) of images above a million pixels"
    )
    decode_s: float = Field(
        15, gt=0, description="computing time to decode an image of max_pixels, seconds; smaller ones in proportion"
    )
    decode_mb: float = Field(
        1500, gt=0, description="memory to decode an image of max_pixels, megabytes; smaller ones in proportion"
    )
    max_segments: int = Field(400, ge=1, description="largest `segments` of a request")
    max_k: int = Field(200, ge=1, description="largest `k` of a request")
    max_exemplars: int = Field(50, ge=1, description="largest `exemplars` of a request")
    queue_pixels: int = Field(40_000_000, ge=0, description="largest number of pixels that wait in the queue")
    engine_pixels: int = Field(
        64_000_000,
        ge=1,
        description="largest number of pixels in the engine, and of a JPEG of which a fraction is decoded",
    )
    deadline_s: float = Field(30, gt=0, description="longest wait in the queue, seconds")
    bodies_mb: int = Field(
        256, ge=1, description="megabytes of request bodies in memory at once; slow and further ones wait on disk"
    )
    uploads_mb: int = Field(
        2000, ge=0, description="megabytes of request bodies that are received on disk at once, in data_dir"
    )
    upload_timeout_s: float = Field(
        20, gt=0, description="seconds to receive a request body, and again for each megabyte of an archive"
    )
    drain_s: float = Field(20, ge=0, description="time to finish running requests after SIGTERM, seconds")
    drain_delay_s: float = Field(
        0, ge=0, description="time after SIGTERM in which requests are still accepted while /readyz is 503, seconds"
    )
    max_connections: int | None = Field(
        None, ge=1, description="largest number of open connections; None: by the limit of open files, at most 2000"
    )
    header_timeout_s: float = Field(10, gt=0, description="longest time to receive the head of a request, seconds")
    idle_timeout_s: float = Field(75, gt=0, description="longest time between two requests of a connection, seconds")
    stall_timeout_s: float = Field(
        20, gt=0, description="longest time in which a caller reads less than 64 kB of its answer, seconds"
    )
    refusals_per_minute: int = Field(
        300, ge=0, description="refusals (4xx) that an address gets in a minute without delay; 0: none is delayed"
    )
    metrics_port: int | None = Field(
        None, ge=1, le=65535, description="port of /metrics; None: the port of the service has it"
    )
    log_format: Literal["text", "json"] = Field("text", description="log lines as text, or as JSON objects")
    keep_images_mb: int = Field(
        1000,
        ge=0,
        description="megabytes of answered images to keep, the newest; 0: none. Images of exemplars are always kept",
    )
    images_url: str | None = Field(
        None,
        description="fsspec URL of an object store for image files, such as s3://bucket/images; None: the database",
    )
    images_timeout_s: float = Field(
        10, ge=0.5, le=120, description="longest time of a call to the object store with its retries, seconds"
    )
    images_cache_mb: int = Field(
        64, ge=0, description="megabytes of recently used files of the object store to keep in memory"
    )
    images_grace_s: float = Field(
        3600, ge=600, description="a file in the object store is deleted so long after its image, seconds"
    )
    retention_days: float | None = Field(
        None, gt=0, description="answers older than so many days are deleted, unless they are pinned; None: none is"
    )
    retention_answers: int | None = Field(
        None, ge=1, description="largest number of answers beside the pinned ones: the oldest are deleted; None: any"
    )
    retention_mb: int | None = Field(
        None,
        ge=1,
        description="largest content of answers beside the pinned ones, megabytes, without images; None: any",
    )
    quota_mb: int | None = Field(
        None, ge=1, description="largest database, megabytes; answers are refused at nine tenths of it; None: any"
    )
    reserve_mb: int = Field(
        200,
        ge=0,
        description="megabytes of the disk of an SQLite database that answers leave free; edits leave a tenth of it",
    )
    adapt_threads: int | None = Field(
        None, ge=1, description="threads of an adaptation in the background; None: half of those of the engine"
    )
    adapt_nice: int = Field(
        10, ge=0, le=19, description="by how much an adaptation lowers its priority; 19 is the lowest"
    )
    adapt_budget_s: float = Field(15, ge=1, le=3600, description="time to choose a head in an adaptation, seconds")
    api_keys: str = Field("", description="accepted API keys: name:role:sha256, separated by commas")
    api_keys_file: Path | None = Field(None, description="file with more API keys, one on each line")
    access_log_days: int = Field(
        30, ge=0, description="days that the access log is kept, where keys are set; 0: it is not written"
    )
    access_log_mb: int = Field(1000, ge=1, description="largest size of the access log, megabytes; the oldest goes")
    session_idle_s: int = Field(
        43_200, ge=60, description="a browser is signed out when it was not used for so long, seconds"
    )
    session_s: int = Field(604_800, ge=60, description="a browser is signed out after so long in all, seconds")
    reads_per_minute: int | None = Field(
        None, ge=0, description="requests that change nothing, of one key in a minute; None: no limit"
    )
    edits_per_minute: int | None = Field(
        None, ge=0, description="requests that change something, of one key in a minute; None: no limit"
    )
    images_per_minute: int | None = Field(
        None, ge=0, description="images that one key may segment or relabel in a minute; None: no limit"
    )
    images_per_day: int | None = Field(
        None, ge=0, description="images that one key may segment or relabel in a day (UTC); None: no limit"
    )
    pixels_per_day: int | None = Field(
        None, ge=0, description="pixels of the images that one key may send in a day (UTC); None: no limit"
    )
    webhook_targets: Literal["auto", "any", "public", "none"] = Field(
        "auto",
        description="addresses that webhooks are sent to: any, public ones alone, or none; auto: any, but none where "
        "`open` lets everyone edit",
    )
    webhook_timeout_s: float = Field(10, ge=0.1, le=60, description="longest time of one try to send an event, seconds")
    webhook_pause_s: float = Field(
        1, gt=0, description="time until an event is sent again after the first failure, seconds; doubled each time"
    )
    webhook_longest_pause_s: float = Field(3600, gt=0, description="longest time between two tries, seconds")
    webhook_days: float = Field(3, gt=0, description="a webhook is stopped when it has failed for so many days")
    webhook_backlog: int = Field(
        100_000, ge=1, description="a webhook that fails is stopped when more events than that wait"
    )
    root_path: str = Field("", description="path below which a proxy publishes the service, such as /segsort")
    allowed_hosts: str = Field(
        "",
        description="host names by which callers reach the service, separated by commas, such as a.example or "
        "*.example.com; *: any. Addresses and localhost are always allowed. Empty: any name if API keys are set, else "
        "names of this machine",
    )
    trusted_proxies: str = Field(
        "",
        description="addresses or networks of proxies whose X-Forwarded-Host, -Proto and -For count; by commas",
    )
    trusted_origins: str = Field(
        "", description="origins of pages that may edit, beside the service's own page, separated by commas"
    )
    cors_origins: str = Field(
        "", description="origins of pages that may read answers (CORS), separated by commas; *: any, without cookies"
    )
    open: bool = Field(False, description="without API keys, let callers from other machines read and edit")

    @property
    def cores(self) -> int:
        """Threads that the images in the engine share."""
        return self.threads if self.threads is not None else available_cores()

    @property
    def adapt_cores(self) -> int:
        """Threads of an adaptation in the background."""
        return self.adapt_threads if self.adapt_threads is not None else max(1, self.cores // 2)

    @property
    def lanes(self) -> int:
        """Images in the engine at the same time: some run through the network while others are decoded or recorded."""
        if self.at_once is not None:
            return self.at_once
        return max(2, self.cores) if self.largest_batch == 1 else 2 * self.largest_batch

    @property
    def largest_batch(self) -> int:
        """Largest number of images in one run of the network."""
        if self.batch is not None:
            return self.batch
        return min(16, self.at_once or 16) if self.device == "cuda" else 1

    @property
    def max_full_pixels(self) -> int:
        """Pixels of the largest JPEG, which is decoded at a fraction: its labels have the full size in the engine."""
        return max(self.max_pixels, self.engine_pixels)

    @model_validator(mode="after")
    def _metrics_have_a_port(self) -> "Settings":
        if self.metrics_port is not None and self.metrics_port == self.port:
            raise ValueError(
                f"metrics_port={self.metrics_port} is the port of the service; choose another SEGSORT_METRICS_PORT, or "
                "unset it to read /metrics at the port of the service"
            )
        return self

    @model_validator(mode="after")
    def _precision_fits_the_device(self) -> "Settings":
        if self.precision == "float16" and self.device != "cuda":
            raise ValueError(
                f"precision='float16' is for device='cuda'; the device is {self.device!r}, where 16 bits are slower: "
                "unset SEGSORT_PRECISION, or set SEGSORT_DEVICE=cuda"
            )
        if self.precision == "int8" and self.device != "cpu":
            raise ValueError(
                f"precision='int8' is for device='cpu'; the device is {self.device!r}: unset SEGSORT_PRECISION, or set "
                "it to float16"
            )
        return self

    @model_validator(mode="after")
    def _batches_fit(self) -> "Settings":
        if self.at_once is not None and self.batch is not None and self.at_once < self.batch:
            raise ValueError(
                f"at_once={self.at_once} is below batch={self.batch}, so no batch can be full; raise SEGSORT_AT_ONCE, "
                "best to twice the batch, so that other images are decoded meanwhile, or lower SEGSORT_BATCH"
            )
        return self

    @property
    def database(self) -> str:
        """URL of the database."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'segsort.sqlite').absolute()}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The sources, highest precedence first: flags, environment, file."""
        file = os.environ.get("SEGSORT_SETTINGS_FILE")
        if file is None:
            return init_settings, env_settings
        if not Path(file).is_file():
            raise ValueError(
                f"SEGSORT_SETTINGS_FILE names {file!r}, which is not a file; create it, or unset the variable"
            )
        if file.endswith(".toml"):
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(file))
        return init_settings, env_settings, DotEnvSettingsSource(settings_cls, Path(file), env_prefix="SEGSORT_")


def load_settings(**flags: Any) -> Settings:
    """Load the settings. A flag that is None was not given.

    Raises:
        ValueError: naming the setting, its value and what is allowed.
    """
    return Settings(**{name: value for name, value in flags.items() if value is not None})
