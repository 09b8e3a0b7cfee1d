import pytest
from block_films import kernel

from srwm_lite.checks import puzzles

SOLUTIONS = {
    "map": "    if (i < V) u[i] = beta[0] * (v[i] - v_old[i]);",
    "row": "    if (i < V) for (int j = 0; j < K; j++) W[i * K + j] += u[i] * k[j];",
    "block_sum": """
    for (int far = 16; far > 0; far /= 2) sum += __shfl_xor_sync(~0u, sum, far);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < N / 32; w++) sum += of_warp[w];
        y[0] = sum;
    }""",
    "product": """
        float sum = 0;
        for (int j = lane; j < K; j += 32) sum += W[i * K + j] * k[j];
        for (int far = 16; far > 0; far /= 2) sum += __shfl_xor_sync(~0u, sum, far);
        if (lane == 0) y[i] = sum;""",
}


@pytest.fixture(autouse=True)
def _compiler():
    kernel('extern "C" __global__ void none(int* x)\n{\n}\n', "none")


def solution(name):
    text = puzzles.blank(name)
    if name in SOLUTIONS:
        blank = next(line for line in text.split("\n") if "//" in line)
        return text.replace(blank, SOLUTIONS[name])
    if name == "transpose":
        return text.replace("tile[32][32]", "tile[32][33]")
    text = text.replace(
        "{\n        const", "{\n        __syncthreads();\n        const"
    )
    return text.replace("        s[i] +=", "        __syncthreads();\n        s[i] +=")


def said(name, source, capsys):
    puzzles.check(name, source)
    return capsys.readouterr().out.removeprefix(f"{name}: ").strip()


@pytest.mark.parametrize("name", puzzles.names())
def test_solutions_are_right_and_blanks_are_not(name, capsys):
    assert said(name, solution(name), capsys).startswith("right. Requests: ")
    assert puzzles.solved(name, solution(name))
    assert not puzzles.solved(name, puzzles.blank(name))
    assert puzzles.blank(name) in puzzles.show(name)


MUTANTS = {
    "no guard": ("map", "if (i < V) ", "", "it steps out of an array: thread (20,0,0)"),
    "sign": ("map", "v[i] - v_old[i]", "v_old[i] - v[i]", "has the wrong sign"),
    "beta": ("map", "beta[0] * ", "", "beta is missing"),
    "half": ("map", "i < V", "i < V / 2", "Nobody writes u[10] (with V = 20)"),
    "lost": ("row", "+=", "=", "The old row is lost"),
    "empty": ("row", "j < K", "j < 0", "Nothing is written"),
    "swapped": ("row", "u[i] * k[j]", "k[i] * u[j]", "u and k have changed places"),
    "stride": ("row", "i * K", "i * V", "it steps out of an array"),
    "column": ("row", "u[i] *", "2 * u[i] *", "W[0, 0] must be"),
    "typing": ("row", "+=", "+= nonsense *", "does not compile: 'nonsense'"),
    "no barrier": ("block_sum", "__syncthreads();", "", "of_warp[1]"),
    "one warp": ("block_sum", "w < N / 32", "w < 1", "Only the first warp is summed"),
    "no shuffle": ("block_sum", "far = 16", "far = 0", "Nothing is summed"),
    "late": ("block_sum", "w = 1", "w = 2", "y[0] must be"),
    "one barrier": ("scan", "__syncthreads();\n        s", "s", "two threads race"),
    "parted": (
        "scan",
        "__syncthreads();\n        s[i] += left",
        "if (i >= far) { __syncthreads(); s[i] += left; }",
        "divergent barrier",
    ),
    "slow": ("transpose", "33", "34", "right, but line 7 is slow"),
    "unturned": ("transpose", "tile[j][i]", "tile[i][j]", "Nothing is turned"),
    "no wait": ("transpose", "__syncthreads();", "", "transpose.cu"),
    "part": ("product", "j < K; j", "j < 32; j", "Only the first 32 columns count"),
    "own": ("product", "far = 16", "far = 0", "Lane 0 writes its own part"),
    "all": ("product", "if (lane == 0) ", "", "two threads race"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mistakes_are_named(mutant, capsys):
    name, right, wrong, words = MUTANTS[mutant]
    text = solution(name)
    assert right in text
    answer = said(name, text.replace(right, wrong), capsys).replace("‘", "'")
    assert words in answer.replace("’", "'")
    assert not answer.startswith("right. ")


def test_a_thread_a_row_is_right_but_slow(capsys):
    text = """
extern "C" __global__ void product(const float* W, const float* k, float* y)
{
    const int i = threadIdx.x;
    float sum = 0;
    if (i < V) {
        for (int j = 0; j < K; j++) sum += W[i * K + j] * k[j];
        y[i] = sum;
    }
}
"""
    answer = said("product", text, capsys)
    assert answer.startswith("right, but line 7 is slow: its reads of global memory")
    assert "sectors a request" in answer


def test_what_is_no_kernel_of_this_name(capsys):
    answer = said("map", 'extern "C" __global__ void mop(int* x)\n{\n}\n', capsys)
    assert answer == "not yet. no kernel 'map' in map.cu: it has mop"


def test_wrong_arguments_are_told(capsys):
    text = puzzles.blank("map").replace("const float* v,", "const int v,")
    assert "map" in said("map", text, capsys)


def test_there_is_no_such_puzzle():
    with pytest.raises(ValueError, match="no puzzle 'none': there are map, row"):
        puzzles.show("none")
