"""How a batch is divided to fit caches and memory, and how many epochs one call runs."""

from typing import NamedTuple

# The workspace has as many rows as fit into WORKSPACE_BYTES. A wide network may use up to MAX_BYTES
# to reach MIN_ROWS. A larger batch is cut into micro-batches, so memory does not grow with it.
WORKSPACE_BYTES = 8 * 2**20
MIN_ROWS = 1024
MAX_BYTES = 56 * 2**20

# The batch of a small network is divided into ranges of about PARTIAL_ROWS rows, each with its own
# partial gradient, if these gradients fit into the cache: then a thread reads only activations that
# it wrote. The number of ranges must not depend on the number of threads, because
# the bits depend on the number of ranges.
PARTIAL_ROWS = 64
MAX_PARTIALS = 16
PARTIAL_BYTES = 2**20
PARTIAL_MICRO_BATCH = 2**16  # rows between two checks for signals
PARTIAL_BLOCK = 128  # rows carried through all layers at a time

# If epochs are short, one call of `train` runs several of them: CALL_WORK flops, which take some
# milliseconds, so that the overhead of the call is negligible. ROW_WORK and STEP_WORK are the
# minimum costs of a row and of a step.
CALL_WORK = 5e8
ROW_WORK = 2_000
STEP_WORK = 50_000


class Plan(NamedTuple):
    """How a batch is divided.

    Attributes
    ----------
    n_partials : int
        Ranges of rows that have partial gradients; 0: none.
    capacity : int
        Rows of the workspace; with partial gradients, of each thread's part of it.
    micro_batch_rows : int
        Rows of a micro-batch.
    """

    n_partials: int
    capacity: int
    micro_batch_rows: int


def plan_batch(architecture, lanes, n_bytes, batch_size, sparse):
    """The Plan of batches of `batch_size` rows.

    Parameters
    ----------
    architecture : Architecture
    lanes : int
        Lanes of a vector, to which all widths are padded.
    n_bytes : int
        Bytes of all parameters.
    batch_size : int
    sparse : bool
        Whether X is sparse. If so, the workspace holds no inputs.

    Returns
    -------
    Plan
    """
    n_partials = 1 << (batch_size // PARTIAL_ROWS).bit_length() >> 1
    n_partials = min(n_partials, MAX_PARTIALS)
    if architecture.normalization == "batch":  # its moments are those of a whole batch
        rows = -(-batch_size // lanes) * lanes
        return Plan(0, rows, rows)
    if (
        n_partials > 1
        and not architecture.columns
        and n_partials * n_bytes <= PARTIAL_BYTES
        and not sparse
    ):
        rows = min(batch_size, PARTIAL_MICRO_BATCH)
        return Plan(n_partials, min(-(-rows // n_partials) + lanes, PARTIAL_BLOCK), rows)
    padded = [-(-units // lanes) * lanes for units in architecture.units]
    if sparse:
        padded[0] = 0
    row_bytes = architecture.dtype.itemsize * (padded[0] + 2 * sum(padded[1:-1]) + padded[-1])
    rows = max(WORKSPACE_BYTES // row_bytes, min(MIN_ROWS, MAX_BYTES // row_bytes), 32)
    rows = -(-min(rows, batch_size) // lanes) * lanes
    return Plan(0, rows, rows)


def epochs_at_once(architecture, n_rows, batch_size):
    """How many epochs one call of `train` should run: as many as take some milliseconds."""
    products = sum(fan_in * fan_out for fan_in, fan_out in architecture.coef_shapes)
    work = n_rows * (6 * products + ROW_WORK) + -(-n_rows // batch_size) * STEP_WORK
    return max(1, int(CALL_WORK / work))
