"""The first answer of a service takes no longer than the next ones: its loops are compiled before."""

import os
import subprocess
import sys
from pathlib import Path

ANSWER = """
import sys
from numba.core.dispatcher import Dispatcher
from benchmarks.latency import photo
from segsort.loops import compiling
from service.answering.engine import Engine
from service.answering.limits import SegmentRequest
from service.settings import load_settings

def compiled():
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("segsort.loops.")]
    loops = [(name, loop) for module in modules for name, loop in vars(module).items() if isinstance(loop, Dispatcher)]
    return {f"{name} {signature}" for name, loop in loops for signature in loop.signatures}

compiling.STEPS = tuple(step for step in compiling.STEPS if "cpu" in step.first)  # nothing goes on behind the answer
engine = Engine(load_settings())
before = compiled()
assert before
for masks in ("rle", "polygon"):
    assert engine.segment(photo(None), SegmentRequest(masks=masks)).body["segments"]
engine.close()
print(*sorted(compiled() - before), sep="\\n")
"""


def test_the_first_answer_compiles_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ANSWER], env={**os.environ, "SEGSORT_DATA_DIR": str(tmp_path)}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == ""
