"""A trial whose batch norm is compiled comes to what the eager one does; without a compiler it is the eager one."""

import shutil

import pytest
import torch
from torch._inductor import config as inductor

from tests.training.small_trial import Heard, assert_bit_equal, one_for_each, run, saved_models

pytestmark = pytest.mark.slow


def both(tmp_path):
    eager, compiled = one_for_each(tmp_path, "compile", "off", "auto", precision="float32")
    heard = Heard()
    run(eager)
    run(compiled, reports=heard)
    return saved_models(compiled), saved_models(eager), heard.notes


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_a_compiled_trial_comes_to_the_same_models(tmp_path):
    found, expected, notes = both(tmp_path)
    assert not any("compile" in note for note in notes)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_a_trial_without_a_compiler_is_the_eager_one_and_says_so_once(tmp_path):
    torch.compiler.reset()
    without = {"cpp.cxx": ("/no/such/compiler",), "force_disable_caches": True}
    with inductor.patch(without):
        found, expected, notes = both(tmp_path)
    assert [note for note in notes if "compile auto: goes on with torch's own operations" in note] == notes[-1:]
    assert_bit_equal(found, expected)
