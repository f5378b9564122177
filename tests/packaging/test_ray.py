"""The files in deploy/ray fit Ray's schema, and agree with settings and with the variables that Ray reads."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.ray_cluster import INSTALLED, node_variables
from service.settings import Settings

CONFIG = Path(__file__).parents[2] / "deploy" / "ray" / "serve.yaml"
# In a process of its own: Ray's modules warn of themselves when they are imported.
CHECK = """
import sys, yaml
from ray.serve.schema import ServeDeploySchema
ServeDeploySchema.model_validate(yaml.safe_load(sys.stdin))
"""


def application() -> dict[str, Any]:
    """The one application of the configuration."""
    (found,) = yaml.safe_load(CONFIG.read_text())["applications"]
    return dict(found)


def validated(text: str) -> subprocess.CompletedProcess[str]:
    if not INSTALLED:
        pytest.skip("Ray is not installed; pip install 'segsort[ray]'")
    return subprocess.run([sys.executable, "-c", CHECK], input=text, capture_output=True, text=True)


def test_the_configuration_fits_the_schema_of_ray_and_a_misspelt_value_does_not() -> None:
    done = validated(CONFIG.read_text())
    assert done.returncode == 0, done.stderr
    assert (
        validated(CONFIG.read_text().replace("max_ongoing_requests: 200", "max_ongoing_requests: many")).returncode != 0
    )


def test_every_setting_that_is_named_exists_and_takes_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    variables = application()["runtime_env"]["env_vars"]
    names = {name.removeprefix("SEGSORT_").lower(): value for name, value in variables.items()}
    assert names.keys() <= Settings.model_fields.keys()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Settings().database == variables["SEGSORT_DATABASE_URL"]


def test_an_update_starts_new_replicas_first_and_lets_old_ones_finish() -> None:
    (deployment,) = application()["deployments"]
    variables = application()["runtime_env"]["env_vars"]
    settings = Settings(**{name.removeprefix("SEGSORT_").lower(): value for name, value in variables.items()})
    assert deployment["max_surge_percent"] > 0
    assert deployment["graceful_shutdown_timeout_s"] > 30 + settings.deadline_s
    assert application()["import_path"] == "service.ray:app"


def test_ray_reads_every_variable_of_a_node() -> None:
    if not INSTALLED:
        pytest.skip("Ray is not installed; pip install 'segsort[ray]'")
    spec = find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    known = (folder / "serve" / "_private" / "constants.py").read_text()
    known += (folder / "_common" / "usage" / "usage_constants.py").read_text()
    assert not [name for name in node_variables() if f'"{name}"' not in known]
