"""Two processes under paddle.distributed.launch do what one does alone."""

import os
import subprocess
import sys

import numpy as np
import pytest
from recovery_networks import images, pair, weights

from spconvify import recover
from spconvify.checkpoint import read_state

_SCRIPT = """
import sys
import zlib
import paddle.distributed as dist
from recovery_networks import images, pair
from spconvify import recover, save
student, teacher = pair()
student.bn._use_global_stats = True
steps = []
recover(
    student, teacher, images(), steps=4, batch_size=8, eval_data=(images(), [0] * 32),
    checkpoint=sys.argv[1] + "/run.safetensors", progress=steps.append,
)
save(student, f"{sys.argv[1]}/rank{dist.get_rank()}.pdparams")
assert len(steps) == (4 if dist.get_rank() == 0 else 0)
"""


@pytest.mark.slow
def test_two_processes_train_like_one(tmp_path):
    """Without batch statistics: those see half of the images each."""
    script = tmp_path / "script.py"
    script.write_text(_SCRIPT.replace("[0] * 32", "__import__('numpy').zeros(32, int)"))
    launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
    subprocess.run(
        [*launch, "--log_dir", str(tmp_path / "log"), str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )
    student, teacher = pair()
    student.bn._use_global_stats = True
    recover(student, teacher, images(), steps=4, batch_size=8, eval_data=(images(), np.zeros(32, int)))
    results = [read_state(tmp_path / f"rank{rank}.pdparams") for rank in (0, 1)]
    for key, expected in weights(student).items():
        np.testing.assert_array_equal(results[0][key], results[1][key], err_msg=key)
        np.testing.assert_allclose(results[0][key], expected, rtol=1e-3, atol=1e-5, err_msg=key)
    assert (tmp_path / "run.safetensors").exists()
