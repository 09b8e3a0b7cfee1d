"""Bugs to plant into the kernels of recurrent rules, and what the checker must say."""

from planted_bugs import Bug

BARRIER = "        __syncthreads();                                     // "


def without(kernel, remark, kind, place):
    """Return the bug that the barrier with this remark is missing."""
    return Bug(kernel, f"{BARRIER}{remark}\n", "\n", kind, place)


RECURRENT_DELTA = {
    "no barrier between y and the next step": without(
        "forward", "all of h is there", "race", "read<V>(w, h)"
    ),
    "no barrier before the softmax": without(
        "forward", "all of a is there", "race", "softmax<K>(a + K);"
    ),
    "no barrier after the softmax": without(
        "forward", "q and k are there", "race", "e = a[2 * K + i]"
    ),
    "a shuffle taken for a barrier": Bug(
        "void softmax", "top = -1 / real(0)", "top = a[0]", "race", "softmax<K>(a);",
        "forward",
    ),
    "the step after the last is fetched": Bug(
        "forward", "if (t + 1 < T) x_r", "x_r", "out of bounds", "x_r = x[next"
    ),
    "no barrier before dy is used": without(
        "backward", "dy, q, k, e are there", "uninitialised", "write<K>(w, dy_s[i], q)"
    ),
    "no barrier before de is used": without(
        "backward", "de is there", "race", "write<V>(w, -k[j], da"
    ),
    "no barrier before dq and dk are used": without(
        "backward", "dq and dk are there", "race", "softmax_gradient<K>(k"
    ),
    "no barrier before da is used": without(
        "backward", "da is there", "race", "read<PART>(R_m"
    ),
    "a sum that not all lanes enter": Bug(
        "backward", "for (int far = PARTS", "if (r < ROWS) for (int far = PARTS",
        "divergent barrier", "sum += __shfl_xor",
    ),
    "the last rows of R are not there": Bug(
        "backward", "m < V && part + n < ROWS", "m < V", "out of bounds", "R_m[n] ="
    ),
    "no barrier before the next h are fetched": Bug(
        "backward_R", "h[s]);\n        __syncthreads();\n", "h[s]);\n", "race",
        "write<V>(w, dx",
    ),
    "one sum for the whole batch": Bug(
        "backward_R", "store<V>(w, dR + ((Int)blockIdx.x",
        "store<V>(w, dR + ((Int)(blockIdx.x % H)", "race of blocks", "store<V>(w, dR",
    ),
}  # fmt: skip

DELTA_RNN = {
    "no barrier between y and its softmax": without(
        "forward", "y and k are there", "race", "softmax<V>(y_s, s_s)"
    ),
    "no barrier between s and its use": without(
        "forward", "s is there, k is free", "race", "read<V>(r, s_s)"
    ),
    "no barrier before dy is used": without(
        "backward", "dy and e are there", "race", "read<V>(r, dy_s)"
    ),
    "no barrier before the sum over the warps": without(
        "backward", "s . ds, in parts, too", "race", "sum += of_warp[w]"
    ),
    "the step after the last is fetched": Bug(
        "forward", "i < V && t + 1 < T", "i < V", "out of bounds", "const In next"
    ),
}  # fmt: skip

BUGS = [
    *(("recurrent_delta", name) for name in RECURRENT_DELTA),
    *(("delta_rnn", name) for name in DELTA_RNN),
]
BY_RULE = {"recurrent_delta": RECURRENT_DELTA, "delta_rnn": DELTA_RNN}

ONLY_NUMBERS = {
    "W walked on, not back": ("recurrent_delta", "-beta * k[l], e", "beta * k[l], e"),
    "no slope of the tanh": ("recurrent_delta", "+= (1 - h * h) * sum", "+= sum"),
    "y of this step heard": ("recurrent_delta", "(t + s - 1) * H", "(t + s) * H"),
    "R walked on, not back": ("delta_rnn", "-x.beta * x.k, e_s", "x.beta * x.k, e_s"),
    "no slope of the softmax": ("delta_rnn", "x.s * (ds - sum)", "x.s * ds"),
}  # fmt: skip
