"""Batch norm's passes, compiled and as torch's operations: one value; and what happens where nothing compiles."""

import shutil

import pytest
import torch
from torch._inductor import config as inductor

from bissl_ray.fused import Fused, compiled_passes
from bissl_ray.parallel.batch_norm_passes import combined, combined_twice, moved, sums_of_both
from tests.gpu import DEVICE, needs_gpu

pytestmark = pytest.mark.slow

VALUES = {moved: "11x", combined: "11x1x", sums_of_both: "xxx1111", combined_twice: "xxx111111"}
DEVICES = [
    pytest.param(torch.device("cpu"), marks=pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")),
    pytest.param(DEVICE, marks=needs_gpu),
]


def arguments(what, shape, dtype, layout=torch.contiguous_format, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    of_channels = torch.promote_types(dtype, torch.float32)
    for kind in what:
        values = torch.randn(shape if kind == "x" else shape[1], generator=generator, dtype=torch.float64)
        values = values.to(device, dtype if kind == "x" else of_channels)
        yield values.to(memory_format=layout) if values.dim() == 4 else values


@pytest.mark.parametrize(
    ("dtype", "shape", "layout", "within"),
    [
        (torch.float32, (6, 5, 4, 4), torch.contiguous_format, 1e-6),
        (torch.float32, (6, 5, 4, 4), torch.channels_last, 1e-6),
        (torch.float32, (6, 5), torch.contiguous_format, 1e-6),
        (torch.float64, (6, 5, 4, 3), torch.contiguous_format, 1e-14),
        (torch.bfloat16, (6, 5, 4, 4), torch.contiguous_format, 2**-7),
    ],
)
@pytest.mark.parametrize("device", DEVICES)
def test_compiled_passes_are_torchs_operations(device, dtype, shape, layout, within):
    said = []
    for passes, kinds in VALUES.items():
        given = list(arguments(kinds, shape, dtype, layout, device))
        with compiled_passes(said.append):
            found = passes(*given)
        torch.testing.assert_close(found, passes(*given), rtol=within, atol=10 * within)
    assert said == []


def broken(x):
    return torch.ops.bissl_ray.nothing_of_that_name(x)


def test_what_does_not_compile_goes_on_and_says_so_once():
    twice, said = Fused(lambda x: 2 * x, broken), []
    with compiled_passes(said.append):
        for _ in range(2):
            assert twice(torch.ones(())) == 2
    assert len(said) == 1
    assert said[0].startswith("compile auto: goes on with torch's own operations, since torch.compile failed (")
    assert "\n" not in said[0]


def test_errors_that_are_not_the_compilers_pass():
    def never(_):
        raise ZeroDivisionError

    with compiled_passes(print), pytest.raises(ZeroDivisionError):
        Fused(never, never)(torch.ones(()))


def test_without_a_compiler_the_values_are_torchs():
    again, said = Fused(lambda x: x.add(3).mul(7), lambda x: 7 * (x + 3)), []
    without = inductor.patch({"cpp.cxx": ("/no/such/compiler",), "force_disable_caches": True})
    with without, compiled_passes(said.append):
        assert again(torch.tensor([1.0, 2.0])).tolist() == [28.0, 35.0]
    assert len(said) == 1
