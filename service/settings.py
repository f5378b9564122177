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


class Settings(BaseSettings):
    """All settings of the service. SEGSORT_SETTINGS_FILE names a settings file (TOML or .env)."""

    model_config = SettingsConfigDict(env_prefix="SEGSORT_", extra="ignore", frozen=True)

    data_dir: Path = Field(
        Path("segsort-data"),
        description="folder of the database, of your own releases, and of all other files that are written",
    )
    database_url: str | None = Field(None, description="SQLAlchemy URL; None: SQLite in data_dir")
    release: str | None = Field(None, description="name or path of the release to serve; None: the active one")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    device: Literal["cpu", "cuda"] = "cpu"
    half: bool = Field(False, description="run the network in 16 bits; only on a GPU")
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
    max_pixels: int = Field(
        40_000_000, ge=1, description="largest image, pixels that are decoded: of a large JPEG, those of a fraction"
    )
    max_ratio: float = Field(
        2000, gt=0, description="largest compression ratio (decoded to encoded bytes) of images above a million pixels"
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
    upload_timeout_s: float = Field(20, gt=0, description="longest time to receive a request body, seconds")
    drain_s: float = Field(20, ge=0, description="time to finish running requests after SIGTERM, seconds")
    log_format: Literal["text", "json"] = Field("text", description="log lines as text, or as JSON objects")
    keep_images_mb: int = Field(
        1000,
        ge=0,
        description="megabytes of answered images to keep, the newest; 0: none. Images of exemplars are always kept",
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
    root_path: str = Field("", description="path below which a proxy publishes the service, such as /segsort")
    trusted_proxies: str = Field(
        "", description="addresses or networks of proxies whose X-Forwarded-Host and -Proto count, separated by commas"
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
    def _half_is_for_gpus(self) -> "Settings":
        if self.half and self.device != "cuda":
            raise ValueError(
                f"half=True is for device='cuda'; the device is {self.device!r}, where 16 bits are slower: unset "
                "SEGSORT_HALF, or set SEGSORT_DEVICE=cuda"
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
