# The typed loops over rows, panels and weights: the only file with OpenMP.
#
# A team of threads works through a pass, chunk by chunk of samples, in two phases:
#
#   rows      each thread takes its part of the chunk's rows, block by block: gathers them, carries
#             them forward through all layers, takes the loss, carries the delta back
#   meeting
#   weights   each thread takes its part of the blocks of weights: sums the gradient over the
#             chunk's rows and, in the batch's last chunk, takes the optimizer's step at once
#   meeting
#
# A thread that is through with its part takes what others have not begun of theirs.
#
# In small networks the gradient is summed in the first phase already, of each share of the rows by
# itself, while the activations lie in cache; the second adds the shares' gradients in their order.
#
# Rows own activations and deltas, weights own gradients: every element is computed by one thread in
# one fixed order, so its bits do not depend on how many threads there are.
import os
import time

import numpy as np

from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.pycapsule cimport PyCapsule_GetPointer
from cython.parallel cimport parallel, prange, threadid
from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int64_t, intptr_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

cdef extern from *:
    """
    #define FASTMLP_NAME(name, ...) #name,
    static const char *const fastmlp_activation_names[] = {FASTMLP_ACTIVATIONS(FASTMLP_NAME)};
    static const char *const fastmlp_output_names[] = {FASTMLP_OUTPUTS(FASTMLP_NAME)};
    static const char *const fastmlp_loss_names[] = {FASTMLP_LOSSES(FASTMLP_NAME)};
    #define FASTMLP_LOSS_OUTPUT(name, output, targets) FASTMLP_OUTPUT_##output,
    static const int fastmlp_loss_outputs[] = {FASTMLP_LOSSES(FASTMLP_LOSS_OUTPUT)};
    #define FASTMLP_LOSS_TARGETS(name, output, targets) #targets,
    static const char *const fastmlp_loss_targets[] = {FASTMLP_LOSSES(FASTMLP_LOSS_TARGETS)};
    static const char *const fastmlp_optimizer_names[] = {FASTMLP_OPTIMIZERS(FASTMLP_NAME)};
    static const char *const fastmlp_source_names[] = {FASTMLP_SOURCES(FASTMLP_NAME)};
    static const char *const fastmlp_isa_names[] = {FASTMLP_ISAS(FASTMLP_NAME)};
    #define FASTMLP_SLOTS(name, slots, decays) slots,
    static const int fastmlp_optimizer_slots[] = {FASTMLP_OPTIMIZERS(FASTMLP_SLOTS)};
    #define FASTMLP_DECAYS(name, slots, decays) decays,
    static const int fastmlp_optimizer_decays[] = {FASTMLP_OPTIMIZERS(FASTMLP_DECAYS)};

    #if defined(__clang__)
    #define FASTMLP_COMPILER "Clang " __clang_version__
    #elif defined(__GNUC__)
    #define FASTMLP_COMPILER "GCC " __VERSION__
    #endif

    #ifdef _OPENMP
    #include <omp.h>
    #define FASTMLP_OPENMP _OPENMP
    static inline int fastmlp_team_size(void) { return omp_get_num_threads(); }
    static inline int fastmlp_max_threads(void) { return omp_get_max_threads(); }
    #else
    #define FASTMLP_OPENMP 0
    static inline int fastmlp_team_size(void) { return 1; }
    static inline int fastmlp_max_threads(void) { return 1; }
    #endif

    #include <time.h>
    #ifdef _WIN32
    #include <windows.h>
    static inline void fastmlp_nap(void) { Sleep(0); }
    #else
    static inline void fastmlp_nap(void) {
        struct timespec nap = {0, 20000};
        nanosleep(&nap, NULL);
    }
    #endif
    #ifdef __x86_64__
    #define FASTMLP_PAUSE() __builtin_ia32_pause()
    #elif defined(__aarch64__)
    #define FASTMLP_PAUSE() __asm__ volatile("yield")
    #else
    #define FASTMLP_PAUSE() (void)0
    #endif

    /* Adds the seconds since the last lap to clock[phase]; NULL: nobody asks. */
    static inline void fastmlp_lap(double *clock, int phase) {
        if (!clock) return;
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        const double last = clock[0];
        clock[0] = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
        clock[phase] += phase ? clock[0] - last : 0;
    }

    static inline size_t fastmlp_claim(size_t *next) {
        return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
    }

    static inline void fastmlp_set(int *flag) { __atomic_store_n(flag, 1, __ATOMIC_RELAXED); }

    /* Waits until others have counted to n. Some 50 us of turning, then naps: a core left idle goes
     * to the thread we wait for, if another process has taken its own. */
    static inline void fastmlp_await(const unsigned *count, unsigned n) {
        int turns = 2000;
        while (__atomic_load_n(count, __ATOMIC_ACQUIRE) != n) {
            if (turns-- > 0) FASTMLP_PAUSE();
            else fastmlp_nap();
        }
    }

    static inline void fastmlp_count(unsigned *count, unsigned n) {
        __atomic_store_n(count, n, __ATOMIC_RELEASE);
    }

    /* Waits until all n threads of a team have come here. OpenMP's barrier turns for milliseconds
     * instead: that is far slower where another process has taken a core. */
    static inline void fastmlp_meet(int *arrived, unsigned *meetings, int n) {
        if (n == 1) return;
        unsigned meeting = __atomic_load_n(meetings, __ATOMIC_RELAXED);
        if (__atomic_add_fetch(arrived, 1, __ATOMIC_ACQ_REL) == n) {
            __atomic_store_n(arrived, 0, __ATOMIC_RELAXED);
            fastmlp_count(meetings, meeting + 1);
            return;
        }
        fastmlp_await(meetings, meeting + 1);
    }
    """
    const char *const fastmlp_activation_names[]
    const char *const fastmlp_output_names[]
    const char *const fastmlp_loss_names[]
    const int fastmlp_loss_outputs[]
    const char *const fastmlp_loss_targets[]
    const char *const fastmlp_optimizer_names[]
    const char *const fastmlp_source_names[]
    const char *const fastmlp_isa_names[]
    const int fastmlp_optimizer_slots[]
    const int fastmlp_optimizer_decays[]
    const char *FASTMLP_COMPILER
    int FASTMLP_OPENMP
    void fastmlp_lap(double *clock, int phase) noexcept nogil
    size_t fastmlp_claim(size_t *next) noexcept nogil
    void fastmlp_set(bint *flag) noexcept nogil
    void fastmlp_await(const unsigned *count, unsigned n) noexcept nogil
    void fastmlp_count(unsigned *count, unsigned n) noexcept nogil
    void fastmlp_meet(int *arrived, unsigned *meetings, int n) noexcept nogil
    int fastmlp_team_size() noexcept nogil
    int fastmlp_max_threads() noexcept nogil


# ------------------------------------------------------------------------------ names and ISAs

ACTIVATIONS = tuple([fastmlp_activation_names[i].decode() for i in range(FASTMLP_N_ACTIVATIONS)])
LOSSES = tuple([fastmlp_loss_names[i].decode() for i in range(FASTMLP_N_LOSSES)])
OUTPUTS = tuple([fastmlp_output_names[i].decode() for i in range(FASTMLP_N_OUTPUTS)])
OUT_ACTIVATIONS = {LOSSES[i]: OUTPUTS[fastmlp_loss_outputs[i]] for i in range(FASTMLP_N_LOSSES)}
TARGETS = {LOSSES[i]: fastmlp_loss_targets[i].decode() for i in range(FASTMLP_N_LOSSES)}
OPTIMIZERS = tuple([fastmlp_optimizer_names[i].decode() for i in range(FASTMLP_N_OPTIMIZERS)])
OPTIMIZER_SLOTS = {OPTIMIZERS[i]: fastmlp_optimizer_slots[i] for i in range(FASTMLP_N_OPTIMIZERS)}
DECAYING = tuple([name for i, name in enumerate(OPTIMIZERS) if fastmlp_optimizer_decays[i]])
SOURCES = tuple([fastmlp_source_names[i].decode() for i in range(FASTMLP_N_SOURCES)])
_ISAS = tuple([fastmlp_isa_names[i].decode() for i in range(FASTMLP_N_ISAS)])
_SOURCE_INDEX = {np.dtype(name): i for i, name in enumerate(SOURCES)}


def isas():
    """Names of the instruction sets this build has and this processor runs, best first."""
    return [name for i, name in enumerate(_ISAS) if fastmlp_kernel_table(i, 0) is not NULL]


def _choose_isa():
    name = os.environ.get("FASTMLP_ISA", "").strip().lower()
    if not name:
        return isas()[0]
    if name not in isas():
        raise ValueError(
            f"FASTMLP_ISA={name!r} is not available here; choose from {', '.join(isas())}, "
            "or unset it for the best."
        )
    return name


_ISA = _choose_isa()
cdef const fastmlp_kernels *FLOAT_KERNELS = fastmlp_kernel_table(_ISAS.index(_ISA), 0)
cdef const fastmlp_kernels *DOUBLE_KERNELS = fastmlp_kernel_table(_ISAS.index(_ISA), 1)
cdef object FLOAT = np.dtype(np.float32), DOUBLE = np.dtype(np.float64)


def isa():
    """Name of the instruction set in use."""
    return _ISA


def openmp():
    """Version date of the OpenMP this was built with, 0 without."""
    return FASTMLP_OPENMP


def compiler():
    """Compiler this was built with."""
    return FASTMLP_COMPILER.decode()


def max_threads():
    """What OpenMP would use in the calling thread: OMP_NUM_THREADS, threadpoolctl's limits."""
    return fastmlp_max_threads()


cdef const fastmlp_kernels *kernels_of(isa_name, dtype) except NULL:
    dtype = np.dtype(dtype)
    if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype must be float32 or float64, got {dtype}")
    if isa_name not in isas():
        raise ValueError(f"{isa_name!r} is not one of {isas()}")
    return fastmlp_kernel_table(_ISAS.index(isa_name), dtype == np.dtype(np.float64))


def kernel_table(isa_name, dtype):
    """Addresses of the kernels by name (a dict of them where there is a list), and the sizes
    ``lanes``, ``mr``, ``nr``: for tests and benches, which call them through ctypes."""
    cdef const fastmlp_kernels *k = kernels_of(isa_name, dtype)
    return {
        "lanes": k.lanes,
        "mr": k.mr,
        "nr": k.nr,
        "gather": {name: <uintptr_t>k.gather[i] for i, name in enumerate(SOURCES)},
        "all_finite": <uintptr_t>k.all_finite,
        "forward": <uintptr_t>k.forward,
        "forward_csr": <uintptr_t>k.forward_csr,
        "forward_narrow": <uintptr_t>k.forward_narrow,
        "delta": <uintptr_t>k.delta,
        "delta_narrow": <uintptr_t>k.delta_narrow,
        "gradient": <uintptr_t>k.gradient,
        "gradient_narrow": <uintptr_t>k.gradient_narrow,
        "gradient_csr": <uintptr_t>k.gradient_csr,
        "column_sums": <uintptr_t>k.column_sums,
        "column_sums_narrow": <uintptr_t>k.column_sums_narrow,
        "transpose": <uintptr_t>k.transpose,
        "to_columns": <uintptr_t>k.to_columns,
        "from_columns": <uintptr_t>k.from_columns,
        "activation": {name: <uintptr_t>k.activation[i] for i, name in enumerate(ACTIVATIONS)},
        "slope": {name: <uintptr_t>k.slope[i] for i, name in enumerate(ACTIVATIONS)},
        "output": {name: <uintptr_t>k.output[i] for i, name in enumerate(OUTPUTS)},
        "output_slope": {
            name: <uintptr_t>k.output_slope[i] for i, name in enumerate(OUTPUTS)
            if k.output_slope[i] is not NULL
        },
        "chain": <uintptr_t>k.chain,
        "loss": {name: <uintptr_t>k.loss[i] for i, name in enumerate(LOSSES)},
        "step": {name: <uintptr_t>k.step[i] for i, name in enumerate(OPTIMIZERS)},
        "dropout": <uintptr_t>k.dropout,
        "dropout_csr": <uintptr_t>k.dropout_csr,
        "moments": <uintptr_t>k.moments,
        "combine_moments": <uintptr_t>k.combine_moments,
        "running_average": <uintptr_t>k.running_average,
        "normalize": <uintptr_t>k.normalize,
        "normalization_sums": <uintptr_t>k.normalization_sums,
        "normalize_delta": <uintptr_t>k.normalize_delta,
        "normalize_rows": <uintptr_t>k.normalize_rows,
        "normalize_rows_delta": <uintptr_t>k.normalize_rows_delta,
        "add": <uintptr_t>k.add,
        "multiply": <uintptr_t>k.multiply,
        "gradient_squares": <uintptr_t>k.gradient_squares,
        "clip": <uintptr_t>k.clip,
        "bound": <uintptr_t>k.bound,
        "bound_narrow": <uintptr_t>k.bound_narrow,
        "sum_arrays": <uintptr_t>k.sum_arrays,
        "exponential": <uintptr_t>k.exponential,
        "logarithm": <uintptr_t>k.logarithm,
        "multiply_adds": <uintptr_t>k.multiply_adds,
    }


def fma_ceiling(isa_name, dtype, int n_threads=1, double seconds=0.05):
    """GFLOP/s of multiply-adds in registers on `n_threads` threads at once: the ceiling."""
    cdef const fastmlp_kernels *k = kernels_of(isa_name, dtype)
    memory = aligned_zeros(n_threads * 64, np.uint8)
    cdef char *sinks = address(memory)
    cdef size_t rounds = 100_000
    cdef double flops, elapsed
    cdef int t
    while True:
        flops = 0
        begin = time.perf_counter()
        for t in prange(n_threads, nogil=True, schedule="static", num_threads=n_threads):
            flops += k.multiply_adds(rounds, sinks + t * 64)
        elapsed = time.perf_counter() - begin
        if elapsed >= seconds:
            return flops / elapsed * 1e-9
        rounds *= 2


def aligned_zeros(size_t count, dtype):
    """A vector of `count` zeros that begins at a multiple of 64 bytes."""
    size = int(count) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, dtype=np.uint8)
    cdef size_t offset = (64 - <uintptr_t>address(memory) % 64) % 64
    return memory[offset:offset + size].view(dtype)


cdef char *address(array) except? NULL:
    # an eighth of the time of array.ctypes.data
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_STRIDES)
    PyBuffer_Release(&view)
    return <char *>view.buf


# ------------------------------------------------------------------------------ samples

cdef class Dataset:
    """Samples as they lie in memory: nothing is copied, whatever their type and strides.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features) of a type in ``SOURCES``, or CSR matrix
        with float32 or float64 data and int32 or int64 indices
    y : None or ndarray, C-contiguous
        What the loss takes, by ``TARGETS``: classes are int32 (n_samples,), labels uint8
        (n_samples, n_outputs), reals of the network's type (n_samples, n_outputs).
    sample_weight : None or float64 ndarray of shape (n_samples,), C-contiguous

    Raises
    ------
    ValueError
        If an array is not as described, or a sparse matrix names columns or entries it lacks.
    """

    cdef Samples samples
    cdef readonly object X, y, sample_weight, _kept
    cdef readonly Py_ssize_t n_samples, n_features, largest_class

    def __init__(self, X, y=None, sample_weight=None):
        if len(X.shape) != 2:
            raise ValueError(f"X must have two dimensions, got shape {X.shape}")
        self.X, self.y, self.sample_weight = X, y, sample_weight
        self.n_samples, self.n_features = X.shape
        memset(&self.samples, 0, sizeof(Samples))
        if isinstance(X, np.ndarray):
            if X.dtype not in _SOURCE_INDEX:
                raise ValueError(f"X must be of a type in {SOURCES}, got {X.dtype}")
            self.samples.source = _SOURCE_INDEX[X.dtype]
            self.samples.x = address(X)
            self.samples.row_stride, self.samples.column_stride = X.strides
        else:
            self._read_csr(X)
        if y is not None:
            if not isinstance(y, np.ndarray) or not y.flags.c_contiguous or len(y) != len(self):
                raise ValueError("y must be a C-contiguous array of n_samples rows")
            self.samples.y = address(y)
            if y.ndim == 1 and y.size:
                self.largest_class = y.max()
                if y.dtype != np.int32 or y.min() < 0:
                    raise ValueError("classes must be of type int32, from zero")
        if sample_weight is not None:
            if (sample_weight.dtype != np.float64 or sample_weight.shape != (self.n_samples,)
                    or not sample_weight.flags.c_contiguous):
                raise ValueError("sample_weight must be a C-contiguous float64 (n_samples,) array")
            self.samples.weights = <const double *>address(sample_weight)

    def _read_csr(self, X):
        if getattr(X, "format", None) != "csr":
            raise ValueError(f"X must be an ndarray or a CSR matrix, got {type(X)}")
        data, indices = (np.require(part, requirements="CA") for part in (X.data, X.indices))
        indptr = np.require(X.indptr, np.int64, "CA")
        if data.dtype not in (np.float32, np.float64) or indices.dtype not in (np.int32, np.int64):
            raise ValueError("a CSR matrix must have float32 or float64 data and int32 or int64 "
                             f"indices, got {data.dtype} and {indices.dtype}")
        if (indptr.shape != (self.n_samples + 1,) or indptr[0] < 0 or np.any(np.diff(indptr) < 0)
                or indptr[-1] > min(len(data), len(indices))
                or (len(indices) and (indices.min() < 0 or indices.max() >= self.n_features))):
            raise ValueError("X is not a valid CSR matrix: its indices are out of range")
        self._kept = (data, indices, indptr)
        self.samples.sparse = True
        self.samples.csr.data, self.samples.csr.indices = address(data), address(indices)
        self.samples.csr.indptr = <const int64_t *>address(indptr)
        self.samples.csr.wide_indices = indices.dtype == np.int64
        self.samples.csr.double_data = data.dtype == np.float64

    @property
    def sparse(self):
        return self.samples.sparse

    def __len__(self):
        return self.n_samples


# ------------------------------------------------------------------------------ batch order

cdef void shuffle_rows(bitgen_t *bits, intptr_t *rows, size_t n) noexcept nogil:
    # Fisher and Yates, with the draws of NumPy's RandomState: bits below a mask until they fit.
    # Nobody can predict whether they do: so no branch on it, and the swaps apart.
    cdef size_t partners[256]
    cdef size_t i = n - 1, last, drawn, mask, j
    cdef intptr_t row
    while i > 0:
        last, drawn = i, 0
        mask = i
        for j in range(6):
            mask |= mask >> (1 << j)
        while drawn < 256 and i > mask >> 1:
            if mask >> 16 >> 16:
                j = bits.next_uint64(bits.state) & mask
            else:
                j = bits.next_uint32(bits.state) & mask
            partners[drawn] = j
            drawn += j <= i
            i -= j <= i
        for j in range(drawn):
            row = rows[last - j]
            rows[last - j] = rows[partners[j]]
            rows[partners[j]] = row


def shuffle(random_state, order, orders):
    """What `random_state.shuffle` makes of `order`, and again of that, once for each of `orders`.

    Parameters
    ----------
    random_state : numpy.random.RandomState
    order : ndarray of shape (n_rows,), dtype intp
        May be one of `orders`.
    orders : ndarray of shape (n_epochs, n_rows), dtype intp, C-contiguous
        Written to.
    """
    bit_generator = random_state._bit_generator
    cdef bitgen_t *bits = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
    cdef intptr_t[:, ::1] checked = orders
    cdef size_t epoch, n_epochs = checked.shape[0], n_rows = checked.shape[1]
    if n_epochs == 0 or n_rows == 0:
        return
    cdef intptr_t *rows = &checked[0, 0]
    if address(order) != <char *>rows:
        orders[0] = order
    with bit_generator.lock, nogil:
        for epoch in range(n_epochs):
            if epoch:
                memcpy(rows, rows - n_rows, n_rows * sizeof(intptr_t))
            shuffle_rows(bits, rows, n_rows)
            rows += n_rows


# ------------------------------------------------------------------------------ the loops

cdef enum:
    ROW_BLOCK = 64      # rows carried through all layers at a time: their activations stay in cache
    ROWS_APART = 64     # of two threads in a panel: a prefetcher that runs on fetches nobody's
    WEIGHT_BLOCK = 16   # rows of a panel in a block of weights, a multiple of every V
    NO_NORMALIZATION = 0
    BATCH_NORMALIZATION = 1
    LAYER_NORMALIZATION = 2
    PIECES = 8          # of a slice, where threads take whole networks
    # what a thread's clock tells apart, after the time of the last lap
    GATHER = 1
    FORWARD = 2
    LOSS = 3
    DELTA = 4
    GRADIENT = 5
    STEP = 6
    WAIT = 7
    N_CLOCK = 8

NORMALIZATIONS = (None, "batch", "layer")
cdef double RUNNING_MOMENTUM = 0.1  # of batch normalization's averages, as PyTorch's
PHASES = ("gather", "forward", "loss", "delta", "gradient", "step", "wait")
cdef double WORK_PER_THREAD = 2e5   # flops of a step that are worth a thread
cdef double PREDICTION_PER_THREAD = 1e7  # of a prediction: its team may find a core taken
cdef double LONG_STEP = 5e7         # flops of a step with which a team begins
cdef double WORTH_A_TRIAL = 2e-3    # seconds of work, done and to do
cdef double SLOW_WAKING = 5e-3      # seconds
cdef double FLOPS_AT_ONCE = 2e8     # between two looks at signals, to begin with
cdef double WORK_OF_STEP = 5e4      # the least that a step costs, as flops
cdef double PREDICT_AT_ONCE = 1e9   # likewise, of each thread
cdef Py_ssize_t IN_PLACE_ROWS = 256  # of more, weights are packed: 1024 wide it saves a tenth

if os.environ.get("FASTMLP_TEAMS", "") == "early":  # for tests: not only for what is long
    LONG_STEP, PREDICTION_PER_THREAD = 0, WORK_PER_THREAD


cdef inline size_t least(size_t x, size_t y) noexcept nogil:
    return x if x < y else y


cdef inline size_t in_units(size_t n, size_t unit) noexcept nogil:
    # units that hold n things
    return (n + unit - 1) // unit


cdef inline size_t share(size_t n, size_t unit, size_t i, size_t n_shares) noexcept nogil:
    # where share i of n things begins, in whole units
    return least(n, in_units(n, unit) * i // n_shares * unit)


cdef void gather_rows(
    const Run *run,
    const intptr_t *rows,       # IN  (m) row numbers
    size_t at,                  # first row of the workspace, a multiple of mr
    size_t m,
    uint64_t number,            # of steps taken, for dropout
    double *clock,
) noexcept nogil:
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *first = &run.layers[0]
    cdef char *inputs = first.inputs + at * k.lanes * k.real_size
    cdef bint drop = first.deltas is not NULL and run.input_dropout.threshold > 0
    if run.samples.sparse:
        if drop:
            k.dropout_csr(
                m, &run.samples.csr, rows, &run.input_dropout, number, run.dropped)
    else:
        k.gather[run.samples.source](
            m, first.fan_in, run.samples.x, rows, run.samples.row_stride,
            run.samples.column_stride, inputs, run.stride)
        if drop:
            k.dropout(
                m, first.fan_in, rows, &run.input_dropout, number, inputs, NULL, run.stride)
    fastmlp_lap(clock, GATHER)


cdef void multiply_rows(
    const Run *run, size_t l, const intptr_t *rows, size_t at, size_t m,
) noexcept nogil:
    """The product of m rows and layer l's weights; and relu, if that is all that follows it."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[l]
    cdef size_t vector = k.lanes * k.real_size, n
    cdef fastmlp_csr csr
    if l == 0 and run.samples.sparse:
        csr = run.samples.csr
        if layer.deltas is not NULL and run.dropped is not NULL:
            csr.data = run.dropped
        k.forward_csr(
            m, layer.n_panels, &csr, rows, layer.weights, layer.fan_in * k.lanes, layer.bias,
            layer.outputs + at * vector, run.stride)
    elif layer.narrow:
        k.forward_narrow(
            at, in_units(m, k.mr) * k.mr, layer.fan_out, layer.fan_in, layer.inputs + at * vector,
            run.stride, layer.weights, layer.bias, layer.outputs)
    else:
        n = layer.n_panels - (layer.ragged is not NULL)
        k.forward(
            m, n, layer.fan_in, layer.inputs + at * vector, run.stride, layer.weights,
            layer.w_row, layer.w_panel, layer.bias, relu_in_product(run, l),
            layer.outputs + at * vector, run.stride)
        if layer.ragged is not NULL:
            k.forward(
                m, 1, layer.fan_in, layer.inputs + at * vector, run.stride, layer.ragged,
                k.lanes, 0, layer.bias + n * vector, relu_in_product(run, l),
                layer.outputs + (at * k.lanes + n * run.stride) * k.real_size, run.stride)


cdef inline bint relu_in_product(const Run *run, size_t l) noexcept nogil:
    return (run.layers[l].factor == FASTMLP_where_positive
            and run.layers[l].normalization == NO_NORMALIZATION
            and not (l == 0 and run.samples.sparse))


cdef inline char *scale_of(const Run *run, const Layer *layer) noexcept nogil:
    return layer.bias + layer.n_bias * run.kernels.real_size


cdef inline char *shift_of(const Run *run, const Layer *layer) noexcept nogil:
    return layer.bias + 2 * layer.n_bias * run.kernels.real_size


cdef void finish_rows(
    const Run *run, size_t l, const intptr_t *rows, size_t at, size_t m, uint64_t number,
    const char *moments,        # IN  (2, n_panels, V) the batch's, if it is normalized by them
) noexcept nogil:
    """What layer l does after its product: normalization, activation, dropout, skip. The derivative
    of activation and dropout is left where the deltas go, if the layer's factor is that."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[l]
    cdef size_t vector = k.lanes * k.real_size, panels = layer.n_panels * vector, p, first
    cdef char *outputs = layer.outputs + at * vector
    cdef char *normalized = NULL
    cdef char *slopes = NULL
    if layer.normalization != NO_NORMALIZATION:
        if layer.deltas is not NULL:
            normalized = layer.normalized + at * vector
        if layer.normalization == LAYER_NORMALIZATION:
            k.normalize_rows(
                m, layer.fan_out, scale_of(run, layer), shift_of(run, layer), normalized,
                NULL if normalized is NULL else layer.inverse + at * k.real_size, outputs,
                run.stride)
        elif moments is not NULL:
            k.normalize(
                m, layer.n_panels, moments, moments + panels, scale_of(run, layer),
                shift_of(run, layer), normalized, outputs, run.stride)
        else:
            k.normalize(
                m, layer.n_panels, layer.mean, layer.variance, scale_of(run, layer),
                shift_of(run, layer), NULL, outputs, run.stride)
    if layer.deltas is not NULL and layer.factor == FASTMLP_times_slope:
        slopes = layer.deltas + at * vector
    if slopes is not NULL or (
            layer.activation != FASTMLP_identity and not relu_in_product(run, l)):
        for p in range(layer.n_panels):
            first = p * run.stride * k.real_size
            if slopes is NULL:
                k.activation[layer.activation](m * k.lanes, outputs + first)
            else:
                k.slope[layer.activation](m * k.lanes, outputs + first, slopes + first)
    if layer.dropout.threshold > 0 and layer.deltas is not NULL:
        k.dropout(m, layer.fan_out, rows, &layer.dropout, number, outputs, slopes, run.stride)
    if layer.residual:
        for p in range(layer.n_panels):
            first = p * run.stride * k.real_size
            k.add(m * k.lanes, layer.inputs + at * vector + first, outputs + first)


cdef void forward_rows(
    const Run *run, const intptr_t *rows, size_t at, size_t m, uint64_t number, double *clock,
) noexcept nogil:
    """Gathers m rows and carries them to the last layer's pre-activations."""
    cdef size_t l
    gather_rows(run, rows, at, m, number, clock)
    for l in range(run.n_layers):
        multiply_rows(run, l, rows, at, m)
        if l + 1 < run.n_layers:
            finish_rows(run, l, rows, at, m, number, NULL)
    fastmlp_lap(clock, FORWARD)


cdef inline char *columns_of(const Run *run, size_t row, char *scratch, size_t *ldz) noexcept nogil:
    """The last layer's outputs of mr rows from `row`, in columns."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *last = &run.layers[run.n_layers - 1]
    if last.narrow:
        ldz[0] = k.lanes
        return last.outputs + (row // k.lanes * last.fan_out * k.lanes
                               + row % k.lanes) * k.real_size
    ldz[0] = k.mr
    k.to_columns(last.fan_out, last.outputs + row * k.lanes * k.real_size, run.stride, scratch)
    return scratch


cdef double take_loss(
    const Run *run, size_t m, char *z, size_t ldz, const intptr_t *rows, char *slopes,
) noexcept nogil:
    """The losses of m rows of pre-activations in columns, summed; z becomes their derivative.
    slopes (fan_out, mr) is used where the output activation is not the kernel's own."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef size_t fan_out = run.layers[run.n_layers - 1].fan_out
    if run.chained:
        k.output_slope[run.output](fan_out, z, ldz, slopes)
    cdef double loss = k.loss[run.loss](
        m, fan_out, z, ldz, run.samples.y, rows, run.samples.weights, &run.loss_settings)
    if run.chained:
        k.chain(fan_out, z, ldz, slopes)
    return loss


cdef inline size_t columns_bytes(const Run *run) noexcept nogil:
    # of mr rows of outputs in columns, in whole vectors
    cdef size_t fan_out = run.layers[run.n_layers - 1].fan_out
    return in_units(fan_out * run.kernels.mr * run.kernels.real_size, 64) * 64


cdef void differentiate_rows(
    const Run *run,
    const intptr_t *rows,       # IN  (m) row numbers
    size_t at,
    size_t m,
    double *losses,             # OUT (m / mr)
    char *scratch,
    double *clock,
) noexcept nogil:
    """The loss of m rows, and its derivative by the last layer's pre-activations."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *last = &run.layers[run.n_layers - 1]
    cdef size_t vector = k.lanes * k.real_size, unit, i, ldz
    cdef char *z
    for unit in range(in_units(m, k.mr)):
        i = unit * k.mr
        z = columns_of(run, at + i, scratch, &ldz)
        losses[unit] = take_loss(
            run, least(k.mr, m - i), z, ldz, rows + i, scratch + columns_bytes(run))
        if not last.narrow:
            k.from_columns(last.fan_out, z, last.outputs + (at + i) * vector, run.stride)
    fastmlp_lap(clock, LOSS)


cdef void delta_rows(const Run *run, size_t l, size_t at, size_t m) noexcept nogil:
    """Carries the deltas of m rows from layer l + 1 down to layer l, through its activation."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[l + 1]
    cdef Layer *below = &run.layers[l]
    cdef size_t vector = k.lanes * k.real_size, p, first
    cdef bint skip = layer.residual or below.residual
    cdef char *c = (below.upstream if skip else below.deltas) + at * vector
    cdef int factor = FASTMLP_no_factor if skip else below.factor
    if layer.narrow:
        k.delta_narrow(
            at, m, below.n_panels, layer.fan_out, layer.deltas, layer.transposed, factor,
            below.outputs + at * vector, c, run.stride)
    else:
        k.delta(
            m, below.n_panels, layer.fan_out, layer.deltas + at * vector, run.stride,
            layer.transposed, factor, below.outputs + at * vector, c, run.stride)
    if skip:
        for p in range(below.n_panels):
            first = p * run.stride * k.real_size + at * vector
            if layer.residual:
                k.add(m * k.lanes, layer.upstream + first, below.upstream + first)
            k.multiply(m * k.lanes, below.upstream + first, below.deltas + first)


cdef void normalize_deltas(
    const Run *run, size_t l, size_t at, size_t m, bint add, char *sums, size_t shift_at,
) noexcept nogil:
    """The gradients of a normalized layer's scale and shift over m rows, in `sums` and shift_at
    reals later; and, of layer normalization, the deltas carried through it."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[l]
    cdef size_t here = at * k.lanes * k.real_size
    k.normalization_sums(
        m, layer.n_panels, layer.deltas + here, layer.normalized + here, run.stride, add, sums,
        sums + shift_at * k.real_size)
    if layer.normalization == LAYER_NORMALIZATION:
        k.normalize_rows_delta(
            m, layer.fan_out, scale_of(run, layer), layer.normalized + here,
            layer.inverse + at * k.real_size, layer.deltas + here, run.stride)


cdef void backward_rows(
    const Run *run, size_t at, size_t m, size_t unit, bint add, char *share_gradient, double *clock,
) noexcept nogil:
    """Carries the deltas of m rows from the last layer down to the first that is trained. What
    normalization needs summed goes to a share's gradient, or else to the row unit's sums."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer
    cdef size_t l
    cdef char *sums
    for l in range(run.n_layers - 1, run.first_trained, -1):
        delta_rows(run, l - 1, at, m)
        layer = &run.layers[l - 1]
        if layer.normalization == LAYER_NORMALIZATION:
            if share_gradient is not NULL:
                sums = share_gradient + k.real_size * (
                    layer.gradient_at + layer.n_panels * layer.panel_rows * k.lanes + layer.n_bias)
            else:
                sums = layer.row_sums + unit * 2 * layer.n_bias * k.real_size
            normalize_deltas(run, l - 1, at, m, add, sums, layer.n_bias)
    fastmlp_lap(clock, DELTA)


cdef inline bint takes_moments(const Run *run, size_t l) noexcept nogil:
    # of the batch, to be normalized by them; a frozen layer is by its running averages
    return l + 1 < run.n_layers and not run.layers[l].frozen


cdef void batch_normalized_rows(
    Run *run,
    const intptr_t *order,      # IN  (n_rows) row numbers of the batch
    size_t n_rows,
    uint64_t number,
    double weight,              # of the batch
    int thread,
    int n_threads,
    char *scratch,
    double *clock,
) noexcept nogil:
    """A batch forward and back, layer by layer: each is normalized by moments of the whole batch,
    so the threads meet at each that is not frozen, forward and back. The rows are cut into units
    that do not depend on the number of threads, and the units' sums are added in order, by every
    thread for itself."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef size_t n_units = in_units(n_rows, ROW_BLOCK), real = k.real_size
    cdef size_t first = n_units * <size_t>thread // <size_t>n_threads
    cdef size_t stop = n_units * <size_t>(thread + 1) // <size_t>n_threads
    cdef size_t unit, l, row, m, size, here
    cdef char *own = NULL
    cdef Layer *layer
    for l in range(run.n_layers):
        layer = &run.layers[l]
        size = 2 * layer.n_bias * real
        for unit in range(first, stop):
            row = share(n_rows, k.mr, unit, n_units)
            m = share(n_rows, k.mr, unit + 1, n_units) - row
            if l == 0:
                gather_rows(run, order + row, row, m, number, clock)
            else:
                finish_rows(run, l - 1, order + row, row, m, number, own)
            multiply_rows(run, l, order + row, row, m)
            if takes_moments(run, l):
                here = row * k.lanes * real
                run.unit_weights[l * n_units + unit] = k.moments(
                    m, layer.n_panels, order + row, run.samples.weights, layer.outputs + here,
                    run.stride, layer.row_moments + unit * size)
            elif l + 1 == run.n_layers:
                fastmlp_lap(clock, FORWARD)
                differentiate_rows(run, order + row, row, m, run.row_losses + row // k.mr, scratch,
                                   clock)
        fastmlp_lap(clock, FORWARD)
        own = NULL
        if takes_moments(run, l):
            fastmlp_meet(&run.arrived, &run.meetings, n_threads)
            fastmlp_lap(clock, WAIT)
            own = layer.moments + <size_t>thread * size
            k.combine_moments(n_units, layer.n_panels, run.unit_weights + l * n_units,
                              layer.row_moments, own)
    for l in range(run.n_layers - 1, run.first_trained, -1):
        layer = &run.layers[l - 1]
        size = 2 * layer.n_bias * real
        for unit in range(first, stop):
            row = share(n_rows, k.mr, unit, n_units)
            m = share(n_rows, k.mr, unit + 1, n_units) - row
            here = row * k.lanes * real
            delta_rows(run, l - 1, row, m)
            if layer.frozen:  # nothing that moves with the batch: its sums stay zero
                k.normalize_delta(
                    m, layer.n_panels, order + row, NULL, 1, layer.normalized + here,
                    layer.variance, scale_of(run, layer), layer.sums, layer.deltas + here,
                    run.stride)
            else:
                normalize_deltas(
                    run, l - 1, row, m, False, layer.row_sums + unit * size, layer.n_bias)
        fastmlp_lap(clock, DELTA)
        if layer.frozen:
            continue
        fastmlp_meet(&run.arrived, &run.meetings, n_threads)
        fastmlp_lap(clock, WAIT)
        own = layer.sums + <size_t>thread * size
        k.sum_arrays(2 * layer.n_bias, n_units, layer.row_sums, 2 * layer.n_bias, own)
        for unit in range(first, stop):
            row = share(n_rows, k.mr, unit, n_units)
            m = share(n_rows, k.mr, unit + 1, n_units) - row
            here = row * k.lanes * real
            k.normalize_delta(
                m, layer.n_panels, order + row, run.samples.weights, weight,
                layer.normalized + here,
                layer.moments + <size_t>thread * size + layer.n_bias * real, scale_of(run, layer),
                own, layer.deltas + here, run.stride)
        fastmlp_lap(clock, DELTA)


cdef inline size_t n_vectors(const Layer *layer) noexcept nogil:
    # bias; and the scale and shift of normalization
    return 1 if layer.normalization == NO_NORMALIZATION else 3


cdef inline size_t section(const Layer *layer, const Block *block, size_t lanes) noexcept nogil:
    # reals from the gradient of a block's bias to that of its scale, and on to its shift
    return block.n_panels * lanes if layer.gradient is NULL else layer.n_bias


cdef inline bint has_bias(const Layer *layer, const Block *block) noexcept nogil:
    # of the blocks of a panel the first, of a narrow layer's blocks the first
    return block.row == 0 and not (layer.narrow and block.panel)


cdef void place_gradient(
    const Run *run, const Block *block, char *scratch, char **g, size_t *g_panel, char **g_bias,
) noexcept nogil:
    """Where the gradient of one block goes: into the layer's gradient, or else into scratch."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[block.layer]
    cdef size_t vector = k.lanes * k.real_size
    if layer.gradient is NULL:
        g[0], g_panel[0] = scratch, block.n_rows * k.lanes
        g_bias[0] = scratch + block.n_panels * block.n_rows * vector
    else:
        g[0] = layer.gradient + (block.panel * layer.panel_rows + block.row) * vector
        g_panel[0] = layer.panel_rows * k.lanes
        g_bias[0] = layer.gradient + layer.n_panels * layer.panel_rows * vector
        if not layer.narrow:
            g_bias[0] += block.panel * vector


cdef void sum_gradient(
    const Run *run, const Block *block, const intptr_t *rows, size_t m, bint first, size_t n_units,
    char *scratch, char **g, size_t *g_panel, char **g_bias,
) noexcept nogil:
    """The gradient of one block over a chunk's m rows: in the layer's gradient, which it may add
    to, or in scratch where the layer keeps none."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[block.layer]
    cdef size_t vector = k.lanes * k.real_size, j
    cdef bint add = not first
    place_gradient(run, block, scratch, g, g_panel, g_bias)
    if layer.narrow:
        k.gradient_narrow(
            block.n_rows, layer.fan_out, block.n_panels, m, layer.deltas,
            layer.inputs + block.panel * run.stride * k.real_size, run.stride, add, g[0],
            g_panel[0])
        if block.panel == 0:
            k.column_sums_narrow(layer.fan_out, m, layer.deltas, add, g_bias[0])
        return
    cdef const char *deltas = layer.deltas + block.panel * run.stride * k.real_size
    cdef fastmlp_csr csr
    if block.layer == 0 and run.samples.sparse:
        csr = run.samples.csr
        if run.dropped is not NULL:
            csr.data = run.dropped
        for j in range(block.n_panels):
            if first:
                memset(g[0] + j * g_panel[0] * k.real_size, 0, block.n_rows * vector)
            k.gradient_csr(m, &csr, rows, deltas + j * run.stride * k.real_size,
                           g[0] + j * g_panel[0] * k.real_size)
        if block.row == 0:
            k.column_sums(block.n_panels, m, deltas, run.stride, add, g_bias[0])
    else:
        k.gradient(
            block.n_rows, block.n_panels, m,
            layer.inputs + block.row // k.lanes * run.stride * k.real_size, run.stride, deltas,
            run.stride, add, g[0], g_panel[0], NULL if block.row else g_bias[0])
    if block.row == 0 and layer.normalization != NO_NORMALIZATION:
        # summed over the batch's chunks so far, in as many units as the first of them has
        for j in range(2):
            k.sum_arrays(
                block.n_panels * k.lanes, n_units,
                layer.row_sums + (j * layer.n_bias + block.panel * k.lanes) * k.real_size,
                2 * layer.n_bias,
                g_bias[0] + (j + 1) * section(layer, block, k.lanes) * k.real_size)


cdef void add_share(
    const Run *run, size_t share_index, const intptr_t *rows, size_t n_rows, size_t at, bint add,
    uint64_t number, double *losses, char *scratch, double *clock,
) noexcept nogil:
    """Carries a share's rows, a few at a time, through the network and back and sums the gradient
    of all layers while they lie in cache."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef size_t vector = k.lanes * k.real_size, row = 0, m, l
    cdef char *gradient = run.share_gradients + share_index * run.share_size * k.real_size
    cdef char *g
    cdef char *g_bias
    cdef Layer *layer
    if n_rows == 0 and not add:
        memset(gradient, 0, run.share_size * k.real_size)
    while row < n_rows:
        m = least(n_rows - row, run.share_rows)
        forward_rows(run, rows + row, at, m, number, clock)
        differentiate_rows(run, rows + row, at, m, losses + row // k.mr, scratch, clock)
        backward_rows(run, at, m, 0, add, gradient, clock)
        for l in range(run.n_layers):
            layer = &run.layers[l]
            if layer.frozen:
                continue
            g = gradient + layer.gradient_at * k.real_size
            g_bias = g + layer.n_panels * layer.panel_rows * vector
            if layer.narrow:
                k.gradient_narrow(
                    layer.fan_out, layer.fan_out, layer.n_panels, m,
                    layer.deltas + at * layer.fan_out * k.real_size, layer.inputs + at * vector,
                    run.stride, add, g, layer.panel_rows * k.lanes)
                k.column_sums_narrow(
                    layer.fan_out, m, layer.deltas + at * layer.fan_out * k.real_size, add, g_bias)
            else:
                k.gradient(
                    layer.fan_in, layer.n_panels, m, layer.inputs + at * vector, run.stride,
                    layer.deltas + at * vector, run.stride, add, g, layer.panel_rows * k.lanes,
                    g_bias)
        fastmlp_lap(clock, GRADIENT)
        add = True
        row += m


cdef void sum_shares(
    const Run *run, const Block *block, char *scratch, char **g, size_t *g_panel, char **g_bias,
) noexcept nogil:
    """The gradient of one block, of all shares, in the layer's gradient or else in scratch."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[block.layer]
    cdef size_t vector = k.lanes * k.real_size, j, at = layer.gradient_at * k.real_size
    cdef char *shares
    place_gradient(run, block, scratch, g, g_panel, g_bias)
    for j in range(block.n_panels):
        shares = run.share_gradients + at + (
            (block.panel + j) * layer.panel_rows + block.row) * vector
        k.sum_arrays(block.n_rows * k.lanes, run.n_shares, shares, run.share_size,
                     g[0] + j * g_panel[0] * k.real_size)
    if has_bias(layer, block):
        shares = run.share_gradients + at + layer.n_panels * layer.panel_rows * vector
        if not layer.narrow:
            shares += block.panel * vector
        for j in range(n_vectors(layer)):
            k.sum_arrays(layer.n_bias if layer.narrow else block.n_panels * k.lanes, run.n_shares,
                         shares + j * layer.n_bias * k.real_size, run.share_size,
                         g_bias[0] + j * section(layer, block, k.lanes) * k.real_size)


cdef inline size_t bias_at(
    const Run *run, const Layer *layer, const Block *block, size_t j,
) noexcept nogil:
    # where the block's part of the bias begins in it, in reals; or of scale (1) or shift (2)
    return j * layer.n_bias + (0 if layer.narrow else block.panel * run.kernels.lanes)


cdef inline size_t bias_count(
    const Run *run, const Layer *layer, const Block *block,
) noexcept nogil:
    return layer.n_bias if layer.narrow else block.n_panels * run.kernels.lanes


cdef void clear_unused(
    const Run *run, const Block *block, char *g, size_t g_panel, char *g_bias,
) noexcept nogil:
    """Sets the lanes of a narrow layer's gradient to zero that stand for no weight."""
    cdef size_t lanes = run.kernels.lanes, real_size = run.kernels.real_size, i, at
    cdef Layer *layer = &run.layers[block.layer]
    if layer.fan_in % lanes and block.panel + block.n_panels == layer.n_panels:
        # they saw what the activation makes of nothing (logistic: 1/2)
        for i in range(block.n_rows):
            at = (block.n_panels - 1) * g_panel + i * lanes + layer.fan_in % lanes
            memset(g + at * real_size, 0, (lanes - layer.fan_in % lanes) * real_size)
    if has_bias(layer, block):
        memset(g_bias + layer.fan_out * real_size, 0, (layer.n_bias - layer.fan_out) * real_size)


cdef double block_squares(
    const Run *run, const Block *block, const fastmlp_step *step, char *g, size_t g_panel,
    char *g_bias,
) noexcept nogil:
    """Sum of squares of the gradient of one block."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[block.layer]
    cdef size_t vector = k.lanes * k.real_size, j
    cdef double squares = 0
    if layer.narrow:
        clear_unused(run, block, g, g_panel, g_bias)
    for j in range(block.n_panels):
        squares += k.gradient_squares(
            block.n_rows * k.lanes, step.scale, step.l2, g + j * g_panel * k.real_size,
            layer.weights + ((block.panel + j) * layer.panel_rows + block.row) * vector)
    if has_bias(layer, block):
        for j in range(n_vectors(layer)):
            squares += k.gradient_squares(
                bias_count(run, layer, block), step.scale, 0,
                g_bias + j * section(layer, block, k.lanes) * k.real_size,
                layer.bias + bias_at(run, layer, block, j) * k.real_size)
    return squares


cdef void clip_block(
    const Run *run, const Block *block, const fastmlp_step *step, char *g, size_t g_panel,
    char *g_bias,
) noexcept nogil:
    """Makes of the gradient of one block the gradient proper, within clip_value."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[block.layer]
    cdef size_t vector = k.lanes * k.real_size, j
    for j in range(block.n_panels):
        k.clip(
            block.n_rows * k.lanes, step.scale, step.l2, run.clip_value,
            g + j * g_panel * k.real_size,
            layer.weights + ((block.panel + j) * layer.panel_rows + block.row) * vector)
    if has_bias(layer, block):
        for j in range(n_vectors(layer)):
            k.clip(bias_count(run, layer, block), step.scale, 0, run.clip_value,
                   g_bias + j * section(layer, block, k.lanes) * k.real_size,
                   layer.bias + bias_at(run, layer, block, j) * k.real_size)


cdef void step_block(
    const Run *run, const Block *block, const fastmlp_step *step, char *g, size_t g_panel,
    char *g_bias,
) noexcept nogil:
    """The optimizer's step on one block, and its transposed copy."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[block.layer]
    cdef size_t vector = k.lanes * k.real_size, j, i, at
    cdef double squares = 0
    cdef fastmlp_step clipped
    if layer.narrow:
        clear_unused(run, block, g, g_panel, g_bias)
    if run.clip_value < INFINITY:
        clip_block(run, block, step, g, g_panel, g_bias)
        clipped = step[0]
        clipped.scale, clipped.l2 = 1, 0
        step = &clipped
    for j in range(block.n_panels):
        at = ((block.panel + j) * layer.panel_rows + block.row) * vector
        squares += k.step[run.optimizer](
            block.n_rows * k.lanes, step, True, g + j * g_panel * k.real_size, layer.weights + at,
            layer.state[0] + at, NULL if layer.state[1] is NULL else layer.state[1] + at)
        if layer.transposed is not NULL and not layer.narrow:
            transpose_rows(run, layer, block.panel + j, block.row, block.n_rows)
    run.squares[block - run.blocks] = squares
    if has_bias(layer, block):
        for j in range(n_vectors(layer)):
            at = bias_at(run, layer, block, j) * k.real_size
            i = layer.n_panels * layer.panel_rows * vector + at
            k.step[run.optimizer](
                bias_count(run, layer, block), step, False,
                g_bias + j * section(layer, block, k.lanes) * k.real_size, layer.bias + at,
                layer.state[0] + i, NULL if layer.state[1] is NULL else layer.state[1] + i)


cdef void transpose_rows(
    const Run *run, const Layer *layer, size_t panel, size_t row, size_t n_rows,
) noexcept nogil:
    """Copies rows of a panel of weights to the transposed copy."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef size_t vector = k.lanes * k.real_size, v, i
    cdef size_t fan_out = least(k.lanes, layer.fan_out - panel * k.lanes)
    for v in range(in_units(n_rows, k.lanes)):
        i = row + v * k.lanes
        k.transpose(
            least(k.lanes, row + n_rows - i), fan_out,
            layer.weights + (panel * layer.panel_rows + i) * vector,
            layer.transposed + (i // k.lanes * layer.fan_out + panel * k.lanes) * vector)


cdef void bound_units(const Run *run, const Block *column) noexcept nogil:
    """Scales down the incoming weights of a column's units where their norm exceeds max_norm."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[column.layer]
    cdef size_t panel_size = layer.panel_rows * k.lanes * k.real_size, p
    if layer.narrow:
        k.bound_narrow(layer.n_panels, layer.fan_out, run.max_norm, layer.weights)
        return
    for p in range(column.panel, column.panel + column.n_panels):
        if (k.bound(layer.panel_rows, run.max_norm, layer.weights + p * panel_size)
                and layer.transposed is not NULL):
            transpose_rows(run, layer, p, 0, layer.panel_rows)


cdef void average_block(const Run *run, const Block *block) noexcept nogil:
    """Lets the moving average of one block follow its weights after a step."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer = &run.layers[block.layer]
    cdef size_t vector = k.lanes * k.real_size, p, at
    cdef double t = <double>run.n_steps + 1, share = 1 - min(0.999, (1 + t) / (10 + t))
    for p in range(block.panel, block.panel + block.n_panels):
        at = (p * layer.panel_rows + block.row) * vector
        k.running_average(block.n_rows * k.lanes, share, layer.weights + at, layer.averaged + at)
    if has_bias(layer, block):
        for p in range(n_vectors(layer)):
            at = bias_at(run, layer, block, p) * k.real_size
            k.running_average(
                bias_count(run, layer, block), share, layer.bias + at,
                layer.averaged + layer.n_panels * layer.panel_rows * vector + at)


cdef inline Block whole_column(const Run *run, const Block *block) noexcept nogil:
    # all rows of the first block's panels; of a narrow layer, all of it
    cdef Layer *layer = &run.layers[block.layer]
    cdef Block column = block[0]
    column.n_rows = layer.panel_rows
    if layer.narrow:
        column.n_panels = layer.n_panels
    return column


cdef void average_moments(const Run *run, double share) noexcept nogil:
    """Takes the moments of a batch, or of a share of one, into the running averages."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *layer
    cdef size_t l
    for l in range(run.n_layers - 1):
        layer = &run.layers[l]
        if takes_moments(run, l):
            k.running_average(layer.n_bias, share * RUNNING_MOMENTUM, layer.moments, layer.mean)
            k.running_average(layer.n_bias, share * RUNNING_MOMENTUM,
                              layer.moments + layer.n_bias * k.real_size, layer.variance)


cdef inline size_t cut_chunk(const Run *run, size_t chunk, const intptr_t **rows) noexcept nogil:
    """The rows of chunk number `chunk` of all epochs; returns how many."""
    cdef size_t batch = chunk // run.chunks_per_batch, epoch = batch // run.n_batches
    cdef size_t begin = batch % run.n_batches * run.batch_size
    cdef size_t end = least(run.n_rows, begin + run.batch_size)
    begin = least(end, begin + chunk % run.chunks_per_batch * run.chunk_rows)
    rows[0] = run.order + epoch * run.order_stride + begin
    return least(end - begin, run.chunk_rows)


cdef inline size_t row_units(const Run *run, size_t n_rows, int n_threads) noexcept nogil:
    # parts of a chunk's rows that threads take: shares, or else blocks that stay in cache
    if run.n_shares:
        return run.n_shares
    if run.fixed_units:
        return in_units(n_rows, ROW_BLOCK)
    return in_units(in_units(n_rows, ROW_BLOCK), n_threads) * <size_t>n_threads


cdef inline void deal(Part *part, size_t n, int thread, int n_threads) noexcept nogil:
    # units that a thread works on first
    part.next = n * <size_t>thread // <size_t>n_threads
    part.stop = n * <size_t>(thread + 1) // <size_t>n_threads


cdef inline bint claim(
    Part *parts, int thread, int n_threads, int *turn, size_t *unit,
) noexcept nogil:
    """The next unit of a thread's own part, and then of what others have not begun."""
    cdef Part *part
    while turn[0] < n_threads:
        part = &parts[(thread + turn[0]) % n_threads]
        unit[0] = fastmlp_claim(&part.next)
        if unit[0] < part.stop:
            return True
        turn[0] += 1
    return False


cdef void pass_chunks(Run *run, size_t begin, size_t end, int thread, int n_threads) noexcept nogil:
    """What one thread of a team does with chunks begin..end of a pass."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef char *scratch = run.scratch + <size_t>thread * run.scratch_bytes
    cdef uint64_t denormals = fastmlp_flush_denormals()
    cdef double low = run.cost / n_threads * thread, high = run.cost / n_threads * (thread + 1)
    cdef size_t chunk, batch, epoch, batch_begin, n_rows, n_units, row, m, i
    cdef size_t first_block = 0, stop_block = 0, first_units
    cdef bint first, last, steps
    cdef fastmlp_step step
    cdef const Block *block
    cdef Block column
    cdef Part *parts
    cdef Part *later_parts
    cdef char *g
    cdef char *g_bias
    cdef size_t g_panel
    cdef double squares, weight, batch_rows
    cdef uint64_t taken = run.n_steps   # as every thread counts them for itself
    cdef int turn
    cdef const intptr_t *order
    cdef const intptr_t *next_rows
    cdef double *clock = NULL
    if run.clocks is not NULL:
        clock = run.clocks + thread * N_CLOCK
    fastmlp_lap(clock, 0)
    for i in range(run.n_blocks):
        first_block += run.blocks[i].middle < low
        stop_block += run.blocks[i].middle < high
    n_rows = cut_chunk(run, begin, &order)
    deal(&run.row_parts[thread], row_units(run, n_rows, n_threads), thread, n_threads)
    fastmlp_meet(&run.arrived, &run.meetings, n_threads)
    for chunk in range(begin, end):
        batch = chunk // run.chunks_per_batch
        epoch = batch // run.n_batches
        first = chunk % run.chunks_per_batch == 0
        last = (chunk + 1) % run.chunks_per_batch == 0
        batch_begin = batch % run.n_batches * run.batch_size
        batch_rows = weight = <double>least(run.batch_size, run.n_rows - batch_begin)
        if run.batch_weights is not NULL:
            weight = run.batch_weights[batch]
        steps = last and run.take_steps and weight != 0

        # rows; nobody looks at the parts of the blocks
        n_rows = cut_chunk(run, chunk, &order)
        first_units = in_units(least(run.chunk_rows, <size_t>batch_rows), ROW_BLOCK)
        run.block_parts[thread].next, run.block_parts[thread].stop = first_block, stop_block
        n_units = row_units(run, n_rows, n_threads)
        turn = 0
        if run.normalization == BATCH_NORMALIZATION:
            batch_normalized_rows(run, order, n_rows, taken, weight, thread, n_threads, scratch,
                                  clock)
            turn = n_threads
        while claim(run.row_parts, thread, n_threads, &turn, &i):
            row = share(n_rows, k.mr, i, n_units)
            m = share(n_rows, k.mr, i + 1, n_units) - row
            if run.n_shares:
                add_share(run, i, order + row, m, <size_t>thread * run.thread_rows, not first,
                          taken, run.row_losses + row // k.mr, scratch, clock)
            elif m:
                forward_rows(run, order + row, row, m, taken, clock)
                differentiate_rows(run, order + row, row, m, run.row_losses + row // k.mr, scratch,
                                   clock)
                backward_rows(run, row, m, i, not first, NULL, clock)
        fastmlp_meet(&run.arrived, &run.meetings, n_threads)
        fastmlp_lap(clock, WAIT)

        # weights; nobody looks at the parts of the rows
        if chunk + 1 < end:
            m = cut_chunk(run, chunk + 1, &next_rows)
            deal(&run.row_parts[thread], row_units(run, m, n_threads), thread, n_threads)
        if steps:
            fastmlp_prepare_step(
                run.optimizer, &run.settings, taken + 1,
                run.rates[run.rate_stride * (taken - run.first_step)], weight, &step)
        parts, later_parts = run.block_parts, run.later_parts
        turn = 0
        while claim(parts, thread, n_threads, &turn, &i):
            block = &run.blocks[i]
            if run.n_shares == 0:
                sum_gradient(run, block, order, n_rows, first, first_units, scratch, &g,
                             &g_panel, &g_bias)
            elif last:
                sum_shares(run, block, scratch, &g, &g_panel, &g_bias)
            fastmlp_lap(clock, GRADIENT)
            if steps and run.clip_norm < INFINITY:
                run.gradient_squares[i] = block_squares(run, block, &step, g, g_panel, g_bias)
            elif steps:
                step_block(run, block, &step, g, g_panel, g_bias)
                if run.average and run.max_norm == INFINITY:
                    average_block(run, block)
            fastmlp_lap(clock, STEP)
        if thread == 0:
            if first:
                run.batch_loss = 0
            for i in range(in_units(n_rows, k.mr)):
                run.batch_loss += run.row_losses[i]

        if steps and run.clip_norm < INFINITY:
            later_parts[thread].next, later_parts[thread].stop = first_block, stop_block
            fastmlp_meet(&run.arrived, &run.meetings, n_threads)
            parts, later_parts = later_parts, parts
            squares = 0
            for i in range(run.n_blocks):
                squares += run.gradient_squares[i]
            step.scale *= min(1.0, run.clip_norm / (sqrt(squares) + 1e-6))  # PyTorch's formula
            turn = 0
            while claim(parts, thread, n_threads, &turn, &i):
                block = &run.blocks[i]
                place_gradient(run, block, scratch, &g, &g_panel, &g_bias)
                step_block(run, block, &step, g, g_panel, g_bias)
                if run.average and run.max_norm == INFINITY:
                    average_block(run, block)
            fastmlp_lap(clock, STEP)
        if steps and run.max_norm < INFINITY:
            later_parts[thread].next, later_parts[thread].stop = first_block, stop_block
            fastmlp_meet(&run.arrived, &run.meetings, n_threads)
            parts = later_parts
            turn = 0
            while claim(parts, thread, n_threads, &turn, &i):
                block = &run.blocks[i]
                if has_bias(&run.layers[block.layer], block):
                    column = whole_column(run, block)
                    bound_units(run, &column)
                    if run.average:
                        average_block(run, &column)
            fastmlp_lap(clock, STEP)
        fastmlp_meet(&run.arrived, &run.meetings, n_threads)
        fastmlp_lap(clock, WAIT)

        if thread == 0 and steps and run.normalization == BATCH_NORMALIZATION:
            average_moments(run, batch_rows / <double>run.batch_size)
        if thread == 0 and steps:
            squares = 0
            for i in range(run.n_blocks):
                squares += run.squares[i]
            run.losses[epoch] += (
                run.batch_loss + 0.5 * run.settings.alpha * squares) / weight * batch_rows
            run.n_steps += 1
        taken += steps
    fastmlp_restore_denormals(denormals)


cdef void predict_rows(Run *run, size_t begin, size_t end, int thread) noexcept nogil:
    """What one thread of a team predicts: outputs of the blocks of rows that it takes."""
    cdef const fastmlp_kernels *k = run.kernels
    cdef Layer *last = &run.layers[run.n_layers - 1]
    cdef char *scratch = run.scratch + <size_t>thread * run.scratch_bytes
    cdef uint64_t denormals = fastmlp_flush_denormals()
    cdef size_t at = <size_t>thread * run.row_block, vector = k.lanes * k.real_size
    cdef size_t row, m, unit, i, r, o, ldz
    cdef intptr_t numbers[ROW_BLOCK]
    cdef const intptr_t *rows = numbers
    cdef char *z
    cdef char *copy
    while True:
        row = begin + fastmlp_claim(&run.next_block) * run.row_block
        if row >= end:
            break
        m = least(end - row, run.row_block)
        if run.order is not NULL:
            rows = run.order + row
        else:
            for i in range(m):
                numbers[i] = <intptr_t>(row + i)
        forward_rows(run, rows, at, m, 0, NULL)
        if not run.samples.sparse and not k.all_finite(
                m, in_units(run.layers[0].fan_in, k.lanes), run.layers[0].inputs + at * vector,
                run.stride):
            fastmlp_set(&run.not_finite)
        for unit in range(in_units(m, k.mr)):
            i = unit * k.mr
            z = columns_of(run, at + i, scratch, &ldz)
            if run.row_losses is not NULL:
                copy = scratch + columns_bytes(run)
                for o in range(last.fan_out):
                    memcpy(copy + o * k.mr * k.real_size, z + o * ldz * k.real_size,
                           k.mr * k.real_size)
                run.row_losses[(row + i) // k.mr] = take_loss(
                    run, least(k.mr, m - i), copy, k.mr, rows + i, copy + columns_bytes(run))
            k.output[run.output](last.fan_out, z, ldz)
            for r in range(least(k.mr, m - i)):
                for o in range(last.fan_out):
                    if k.real_size == 8:
                        (<uint64_t *>run.predictions)[(row + i + r) * last.fan_out + o] = (
                            <uint64_t *>z)[o * ldz + r]
                    else:
                        (<uint32_t *>run.predictions)[(row + i + r) * last.fan_out + o] = (
                            <uint32_t *>z)[o * ldz + r]
    fastmlp_restore_denormals(denormals)


cdef void run_team(Run *run, bint predict, size_t begin, size_t end, int n_threads) noexcept nogil:
    """Chunks begin..end of a pass, or predictions of rows begin..end."""
    # One thread needs no team, and must not make one: OpenMP hangs in a forked child.
    if n_threads == 1:
        if predict:
            predict_rows(run, begin, end, 0)
        else:
            pass_chunks(run, begin, end, 0, 1)
        return
    with parallel(num_threads=n_threads):
        if predict:
            predict_rows(run, begin, end, threadid())
        else:
            pass_chunks(run, begin, end, threadid(), fastmlp_team_size())


cdef void pass_pieces(
    Run **runs, size_t n_networks, size_t begin, size_t end, size_t n_pieces, size_t *next_piece,
) noexcept nogil:
    """What one thread does with networks that it has to itself: the next piece of a pass of each
    in turn, so that they all get on alike, whichever thread is free."""
    cdef size_t i, piece, n_chunks = end - begin
    cdef Run *run
    while True:
        i = fastmlp_claim(next_piece)
        if i >= n_networks * n_pieces:
            break
        run, piece = runs[i % n_networks], i // n_networks
        fastmlp_await(&run.pieces, <unsigned>piece)  # another thread may still be at the last
        pass_chunks(run, begin + share(n_chunks, 1, piece, n_pieces),
                    begin + share(n_chunks, 1, piece + 1, n_pieces), 0, 1)
        fastmlp_count(&run.pieces, <unsigned>piece + 1)


cdef void run_networks(
    Run **runs,                 # (n_networks)
    size_t n_networks, size_t begin, size_t end, int n_threads, bint apart,
) noexcept nogil:
    """Chunks begin..end of each network's pass: one after the other with the team, or apart, each
    thread with a network of its own."""
    cdef size_t i, n_pieces = least(end - begin, PIECES), next_piece = 0
    if not apart or n_threads == 1:
        for i in range(n_networks):
            run_team(runs[i], False, begin, end, n_threads)
        return
    for i in range(n_networks):
        runs[i].pieces = 0
    with parallel(num_threads=n_threads):
        pass_pieces(runs, n_networks, begin, end, n_pieces, &next_piece)


cdef int team_size(
    double work, double work_per_thread, size_t n_rows, size_t mr, int n_threads,
) noexcept:
    # a thread for every so many flops: a smaller share costs more to hand out than to do
    cdef double most = min(work / work_per_thread, <double>in_units(n_rows, mr))
    return max(1, <int>min(<double>n_threads, most))


cdef double density(Dataset dataset):
    return dataset.X.nnz / max(1.0, <double>dataset.n_samples * <double>dataset.n_features)


cdef const intptr_t *row_numbers(Dataset dataset, order) except? NULL:
    if order.dtype != np.intp or order.ndim != 1 or not order.flags.c_contiguous:
        raise ValueError("order must be a C-contiguous vector of intp")
    cdef const intptr_t *rows = <const intptr_t *>address(order)
    cdef size_t largest = 0, n_rows = len(order), i
    for i in range(n_rows):
        largest = max(largest, <size_t>rows[i])  # a negative one is larger than all
    if n_rows and largest >= <size_t>dataset.n_samples:
        raise ValueError("order names rows that X lacks")
    return rows


# ------------------------------------------------------------------------------ predictions

cdef class Parameters:
    """Weights and biases as they lie in memory, for predictions.

    Parameters
    ----------
    architecture : Architecture
    lists : sequence of lists or tuples of ndarray
        One for each of ``architecture.parameter_names``, its arrays of the architecture's type and
        of the shapes in ``architecture.parameter_shapes``, with any strides.

    Raises
    ------
    ValueError
        If the arrays do not fit the architecture.
    """

    cdef Py_buffer *views       # one for each array, list by list
    cdef size_t n_views
    cdef readonly object architecture
    cdef int normalization
    cdef Layer *layers
    cdef char *packed
    cdef size_t n_layers

    def __cinit__(self, architecture, lists):
        cdef size_t i = 0, layer
        cdef tuple units = architecture.units
        cdef size_t n_layers = len(units) - 1
        self.architecture = architecture
        normalization = architecture.normalization
        if normalization is not None:
            self.normalization = NORMALIZATIONS.index(normalization)
        cdef size_t n_lists = 2 * (1 + self.normalization_pairs())
        cdef size_t n_views = 2 * n_layers + (n_lists - 2) * (n_layers - 1)
        self.views = <Py_buffer *>PyMem_Calloc(n_views, sizeof(Py_buffer))
        self.layers = <Layer *>PyMem_Calloc(n_layers, sizeof(Layer))
        if self.views is NULL or self.layers is NULL:
            raise MemoryError
        self.n_layers, self.n_views = n_layers, n_views
        dtype = architecture.dtype
        if <size_t>len(lists) != n_lists:
            raise ValueError(f"expected {n_lists} lists of arrays, got {len(lists)}")
        for number, arrays in enumerate(lists):
            if (not isinstance(arrays, (list, tuple))
                    or <size_t>len(arrays) != n_layers - (number > 1)):
                raise ValueError("parameters must be lists of one array a layer")
            for layer, array in enumerate(arrays):
                if not isinstance(array, np.ndarray) or array.dtype != dtype:
                    raise ValueError(f"parameters must be arrays of type {dtype}")
                PyObject_GetBuffer(array, &self.views[i], PyBUF_STRIDES)
                if not has_shape(
                        &self.views[i], units[layer] if number == 0 else -1, units[layer + 1]):
                    raise ValueError(f"an array has the wrong shape, {array.shape}")
                i += 1

    cdef int normalization_pairs(self) noexcept:
        # pairs of lists: scales and shifts; means and variances
        return (0 if self.normalization == NO_NORMALIZATION
                else 1 if self.normalization == LAYER_NORMALIZATION else 2)

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.n_views):
            PyBuffer_Release(&self.views[i])  # nothing where there is none
        PyMem_Free(self.views)
        PyMem_Free(self.layers)
        PyMem_Free(self.packed)

    cdef int lay_out(self, const fastmlp_kernels *k, bint in_place, bint sparse) except -1:
        """Fills the layers. Packs the weights; with in_place, only where they cannot be read as
        they lie."""
        cdef size_t size = self._pack(k, in_place, sparse, NULL)
        PyMem_Free(self.packed)
        self.packed = <char *>PyMem_Calloc(size + 64, 1)
        if self.packed is NULL:
            raise MemoryError
        self._pack(k, in_place, sparse, aligned(self.packed))

    cdef size_t _pack(
        self, const fastmlp_kernels *k, bint in_place, bint sparse, char *memory,
    ) noexcept:
        cdef size_t vector = k.lanes * k.real_size, used = 0, i, j, n_columns, done, n_vectors
        cdef Py_buffer *view
        cdef ptrdiff_t row_stride, column_stride
        cdef const char *coef
        cdef Layer *layer
        cdef char *packed
        cdef bint lies
        for i in range(self.n_layers):
            layer = &self.layers[i]
            coef = <const char *>self.views[i].buf
            layer.fan_in, layer.fan_out = self.views[i].shape[0], self.views[i].shape[1]
            row_stride, column_stride = self.views[i].strides[0], self.views[i].strides[1]
            layer.narrow = is_narrow(i, self.n_layers, layer.fan_out, k.lanes)
            layer.panel_rows, n_columns = layer.fan_in, layer.fan_out
            if layer.narrow:
                layer.panel_rows, n_columns = layer.fan_out, layer.fan_in
                row_stride, column_stride = column_stride, row_stride
            layer.n_panels, done = in_units(n_columns, k.lanes), 0
            lies = (in_place and not layer.narrow and not (sparse and i == 0) and row_stride > 0
                    and column_stride == <ptrdiff_t>k.real_size
                    and row_stride % column_stride == 0 and <uintptr_t>coef % k.real_size == 0)
            if lies:
                layer.weights, layer.w_row = <char *>coef, row_stride // k.real_size
                layer.w_panel, done = k.lanes, n_columns // k.lanes
            else:
                layer.w_row, layer.w_panel = k.lanes, layer.panel_rows * k.lanes
            layer.ragged = NULL
            if done < layer.n_panels:
                packed = reserve(memory, &used, (layer.n_panels - done) * layer.panel_rows * vector)
                if memory is not NULL:
                    pack(coef + done * vector, row_stride, column_stride, layer.panel_rows,
                         n_columns - done * k.lanes, k, packed)
                if lies:
                    layer.ragged = packed
                else:
                    layer.weights = packed
            layer.n_bias = in_units(layer.fan_out, k.lanes) * k.lanes
            n_vectors = 1
            if i + 1 < self.n_layers and self.normalization != NO_NORMALIZATION:
                n_vectors = 3 if self.normalization == LAYER_NORMALIZATION else 5
            layer.bias = reserve(memory, &used, n_vectors * layer.n_bias * k.real_size)
            if memory is NULL:
                continue
            layer.mean = layer.bias + 3 * layer.n_bias * k.real_size
            layer.variance = layer.bias + 4 * layer.n_bias * k.real_size
            for j in range(n_vectors):  # bias, scale, shift, mean, variance
                view = &self.views[self.n_layers + i + j * (self.n_layers - 1) + (j > 0)]
                pack(<const char *>view.buf, 0, view.strides[0], 1, layer.fan_out, k,
                     layer.bias + j * layer.n_bias * k.real_size)
        return used


cdef bint has_shape(const Py_buffer *view, Py_ssize_t n_rows, Py_ssize_t n_columns) noexcept:
    # a matrix, or a vector where n_rows is -1
    if n_rows == -1:
        return view.ndim == 1 and view.shape[0] == n_columns
    return view.ndim == 2 and view.shape[0] == n_rows and view.shape[1] == n_columns


cpdef bint is_narrow(size_t i, size_t n_layers, size_t fan_out, size_t lanes) noexcept:
    """Whether layer i is an output layer of so few outputs that its weights lie along fan_in."""
    return 0 < i and i == n_layers - 1 and (fan_out == 1 or fan_out <= lanes // 4)


cdef inline char *aligned(char *memory) noexcept:
    # of a block of 64 bytes more
    return memory + (64 - <uintptr_t>memory % 64) % 64


cdef inline char *reserve(char *memory, size_t *used, size_t size) noexcept:
    """The next `size` bytes of memory, aligned; NULL to find out how many will be used."""
    cdef size_t at = used[0]
    used[0] += in_units(size, 64) * 64
    return memory if memory is NULL else memory + at


cdef void pack(
    const char *matrix,         # IN  (n_rows, n_columns) by byte strides
    ptrdiff_t row_stride, ptrdiff_t column_stride, size_t n_rows, size_t n_columns,
    const fastmlp_kernels *k,
    char *panels,               # OUT (n_columns / V, n_rows, V), its last lanes left as they are
) noexcept:
    cdef size_t p, i, width, vector = k.lanes * k.real_size
    for p in range(in_units(n_columns, k.lanes)):
        width = least(k.lanes, n_columns - p * k.lanes)
        for i in range(n_rows):
            copy_reals(
                matrix + <ptrdiff_t>i * row_stride + <ptrdiff_t>(p * k.lanes) * column_stride,
                column_stride, panels, k.real_size, width, k.real_size)
            panels += vector


cdef inline void copy_reals(
    const char *source, ptrdiff_t source_stride, char *target, ptrdiff_t target_stride, size_t n,
    size_t real_size,
) noexcept:
    cdef size_t j
    if source_stride == target_stride == <ptrdiff_t>real_size:
        memcpy(target, source, n * real_size)
    elif real_size == 8:
        for j in range(n):
            memcpy(target + <ptrdiff_t>j * target_stride, source + <ptrdiff_t>j * source_stride, 8)
    else:
        for j in range(n):
            memcpy(target + <ptrdiff_t>j * target_stride, source + <ptrdiff_t>j * source_stride, 4)


cdef const fastmlp_kernels *kernels_of_panels(matrix, panels) except NULL:
    cdef const fastmlp_kernels *k = DOUBLE_KERNELS if panels.dtype == DOUBLE else FLOAT_KERNELS
    n_rows, n_columns = matrix.shape
    if (panels.shape != (in_units(n_columns, k.lanes), n_rows, k.lanes)
            or panels.itemsize != <Py_ssize_t>k.real_size or not panels.flags.c_contiguous):
        raise ValueError(f"a matrix {matrix.shape} does not fit panels {panels.shape}")
    return k


def to_panels(matrix, panels):
    """Copies matrix (k, n) into panels (ceil(n / V), k, V), whose last lanes stay as they are."""
    cdef const fastmlp_kernels *k = kernels_of_panels(matrix, panels)
    matrix = matrix.astype(panels.dtype, copy=False)
    pack(address(matrix), matrix.strides[0], matrix.strides[1], matrix.shape[0], matrix.shape[1],
         k, address(panels))


def from_panels(panels, matrix):
    """Copies panels (ceil(n / V), k, V) into matrix (k, n)."""
    cdef const fastmlp_kernels *k = kernels_of_panels(matrix, panels)
    if matrix.dtype != panels.dtype:
        copy = np.empty(matrix.shape, panels.dtype)
        from_panels(panels, copy)
        matrix[...] = copy
        return
    cdef size_t n_rows = matrix.shape[0], n_columns = matrix.shape[1], p, i
    cdef ptrdiff_t row_stride = matrix.strides[0], column_stride = matrix.strides[1]
    cdef char *to = address(matrix)
    cdef const char *panel = address(panels)
    for p in range(in_units(n_columns, k.lanes)):
        for i in range(n_rows):
            copy_reals(
                panel, k.real_size,
                to + <ptrdiff_t>i * row_stride + <ptrdiff_t>(p * k.lanes) * column_stride,
                column_stride, least(k.lanes, n_columns - p * k.lanes), k.real_size)
            panel += k.lanes * k.real_size


cdef size_t make_workspace(
    Run *run, const Run *network, int n_threads, bint sparse, char *memory,
) noexcept:
    """Gives the run the network's layers with activations of their own, and scratch, in memory.
    Returns its size, and with memory NULL does no more."""
    cdef const fastmlp_kernels *k = network.kernels
    cdef size_t used = 0, capacity = <size_t>n_threads * run.row_block, i, size
    cdef Layer layer = network.layers[network.n_layers - 1]
    run.scratch_bytes = columns_bytes(network) * (1 if run.row_losses is NULL else 3)
    run.stride = (capacity + 1) * k.lanes
    run.layers = <Layer *>reserve(memory, &used, network.n_layers * sizeof(Layer))
    run.scratch = reserve(memory, &used, <size_t>n_threads * run.scratch_bytes)
    size = 0 if sparse else in_units(network.layers[0].fan_in, k.lanes) * run.stride
    layer.outputs = reserve(memory, &used, size * k.real_size)
    for i in range(network.n_layers):
        inputs, layer = layer.outputs, network.layers[i]
        layer.inputs = inputs
        size = capacity * layer.fan_out if layer.narrow else layer.n_panels * run.stride
        layer.outputs = reserve(memory, &used, size * k.real_size)
        layer.deltas = NULL
        if memory is not NULL:
            run.layers[i] = layer
    return used


cdef predict_samples(const Run *network, Dataset dataset, order, int n_threads, losses=None):
    """Outputs (n_rows, fan_out of the last layer) of the rows `order`, or of all where it is None;
    and whether their inputs were finite. Into losses, unless None, go the sums of the weighted
    losses of every mr rows. Of `network` the kernels, layers and functions are used,
    so several threads may call this with one."""
    cdef const fastmlp_kernels *k = network.kernels
    cdef size_t n_rows = dataset.n_samples, row = 0, i, end, at_once
    cdef size_t fan_out = network.layers[network.n_layers - 1].fan_out
    cdef double work = 0
    cdef Run run = network[0]
    cdef char *memory
    if <size_t>dataset.n_features != network.layers[0].fan_in:
        raise ValueError(f"X has {dataset.n_features} features, but the network expects "
                         f"{network.layers[0].fan_in}")
    run.order = NULL
    run.row_losses = NULL if losses is None else <double *>address(losses)
    if order is not None:
        run.order, n_rows = row_numbers(dataset, order), len(order)
    out = np.empty((n_rows, fan_out), DOUBLE if k.real_size == 8 else FLOAT)
    if n_rows == 0:
        return out, True
    for i in range(network.n_layers):
        work += 2.0 * <double>network.layers[i].fan_in * <double>network.layers[i].fan_out
    if dataset.sparse:
        work = max(1.0, work * density(dataset))
    n_threads = team_size(
        work * <double>n_rows, PREDICTION_PER_THREAD, n_rows, k.mr, n_threads)
    at_once = <size_t>max(<double>n_threads, n_threads * PREDICT_AT_ONCE / work / ROW_BLOCK)
    at_once *= ROW_BLOCK  # as all blocks of rows begin at a multiple of mr
    run.samples, run.predictions, run.not_finite = dataset.samples, address(out), False
    run.row_block = least(ROW_BLOCK, in_units(in_units(n_rows, n_threads), k.lanes) * k.lanes)
    memory = <char *>PyMem_Calloc(make_workspace(&run, network, n_threads, dataset.sparse, NULL)
                                  + 64, 1)
    if memory is NULL:
        raise MemoryError
    try:
        make_workspace(&run, network, n_threads, dataset.sparse, aligned(memory))
        while row < n_rows:
            run.next_block, end = 0, least(n_rows, row + at_once)
            if work * <double>(end - row) < WORK_PER_THREAD:
                run_team(&run, True, row, end, n_threads)  # sooner done than others are let in
            else:
                with nogil:
                    run_team(&run, True, row, end, n_threads)
            PyErr_CheckSignals()
            row = end
    finally:
        PyMem_Free(memory)
    return out, not run.not_finite


cdef int set_form(Layer *layers, size_t n_layers, int normalization, architecture) except -1:
    """Gives each layer its activation, normalization, skip and factor of deltas. The last layer has
    none: its activation is the loss's."""
    cdef size_t i
    cdef bint residual = architecture.residual
    cdef tuple activations = architecture.activations
    cdef Layer *layer
    for i in range(n_layers - 1):
        layers[i].activation = ACTIVATIONS.index(activations[i])
        layers[i].normalization = normalization
        layers[i].residual = residual and i > 0 and layers[i].fan_in == layers[i].fan_out
    layer = &layers[n_layers - 1]
    layer.activation, layer.factor = FASTMLP_identity, FASTMLP_no_factor
    layer.normalization, layer.residual = NO_NORMALIZATION, False
    for i in range(n_layers - 1):
        layer = &layers[i]
        if layer.dropout.threshold or layer.residual or layers[i + 1].residual:
            layer.factor = FASTMLP_times_slope
        elif layer.activation == FASTMLP_identity:
            layer.factor = FASTMLP_no_factor
        elif layer.activation == FASTMLP_relu:
            layer.factor = FASTMLP_where_positive
        else:
            layer.factor = FASTMLP_times_slope


def predict(Dataset dataset, Parameters parameters, int n_threads):
    """Outputs of all samples.

    Returns
    -------
    outputs : ndarray of shape (n_samples, n_outputs)
        Of the architecture's type.
    finite : bool
        Whether all of a dense X was neither infinite nor NaN in that type.
    """
    cdef Run network
    architecture = parameters.architecture
    memset(&network, 0, sizeof(Run))
    network.kernels = DOUBLE_KERNELS if parameters.views[0].itemsize == 8 else FLOAT_KERNELS
    network.output = OUTPUTS.index(architecture.out_activation)
    parameters.lay_out(network.kernels, dataset.n_samples <= IN_PLACE_ROWS, dataset.sparse)
    set_form(parameters.layers, parameters.n_layers, parameters.normalization, architecture)
    network.layers, network.n_layers = parameters.layers, parameters.n_layers
    return predict_samples(&network, dataset, None, n_threads)


# ------------------------------------------------------------------------------ the engine

cdef int set_dropout(
    fastmlp_dropout *dropout, double rate, uint32_t layer, uint64_t seed,
) except -1:
    """A rate in units of 1 / 65536, which is what 16 random bits can do; not all of the units."""
    dropout.threshold = <uint32_t>min(65535.0, round(65536 * rate))
    dropout.scale = 65536 / (65536.0 - dropout.threshold)
    dropout.layer = layer
    dropout.key[0], dropout.key[1] = <uint32_t>seed, <uint32_t>(seed >> 32)


cdef class Engine:
    """The loops over one network's arrays in panels, which its owner (Network) has laid out.

    Parameters
    ----------
    layers : list of dict
        One a layer: fan_in, fan_out, narrow; arrays weights (n_panels, panel_rows, V) and bias
        (n_bias,), or of a normalized layer (3 n_bias,) with scale and shift; transposed, gradient,
        averaged, state: arrays or None (state: a list of them), the last three holding weights and
        bias one after the other; averages: None or mean and variance (2 n_bias,) of batch
        normalization; frozen.
    architecture : Architecture
    optimizer : str or None
    capacity : int
        Rows of the workspace; with shares, of each thread's part of it.
    n_shares : int
        Shares of a batch that have gradients of their own, or 0: the gradient of each block of
        weights is summed over the whole batch by one thread.
    chunk_rows : int
        The most rows of a batch between two meetings.
    n_threads : int
        The largest team that will be asked for.
    sparse : bool
        Whether the first layer reads CSR rows.
    seed : int
        Of dropout's random numbers, below 2 ** 64.
    """

    cdef Run run
    cdef Layer *layers
    cdef Layer *averaged                # the same with the averages for weights, or NULL
    cdef Block *blocks
    cdef double _rate
    cdef object _kept
    cdef readonly list workspace        # of each layer: its outputs, its deltas
    cdef readonly size_t n_parameters
    cdef readonly size_t steps_taken
    cdef readonly list loss_sums
    cdef readonly tuple rest
    cdef size_t _most_rows
    # Seconds a chunk, by the team and by one thread: the faster goes on, and now and then the other
    # is tried. The bits are the same. A team is slow where steps are tiny or cores are taken.
    cdef double team_pace, lone_pace, next_trial, worked
    cdef int trial
    cdef bint try_team
    cdef int n_threads
    cdef object _clocks, _dropped

    def __cinit__(self):
        memset(&self.run, 0, sizeof(Run))

    def __init__(self, layers, architecture, *, optimizer, capacity, n_shares, chunk_rows,
                 n_threads, sparse, seed=0):
        dtype, normalization = architecture.dtype, architecture.normalization
        cdef const fastmlp_kernels *k = DOUBLE_KERNELS if dtype == DOUBLE else FLOAT_KERNELS
        cdef Layer *layer
        cdef size_t i
        self.run.kernels = k
        self._choose_loss(architecture)
        self.run.optimizer = OPTIMIZERS.index(optimizer) if optimizer is not None else 0
        self.n_threads = n_threads
        self.run.n_layers = len(layers)
        self.layers = <Layer *>malloc(len(layers) * sizeof(Layer))
        if self.layers is NULL:
            raise MemoryError
        self.run.layers = self.layers
        memset(self.layers, 0, len(layers) * sizeof(Layer))
        self._kept.append(layers)
        self.workspace = []
        self.n_parameters = 0
        self.run.normalization = NORMALIZATIONS.index(normalization)
        self.run.fixed_units = normalization is not None
        for i, described in enumerate(layers):
            layer = &self.layers[i]
            layer.fan_in, layer.fan_out = described["fan_in"], described["fan_out"]
            layer.narrow = described["narrow"]
            layer.n_panels, layer.panel_rows = described["weights"].shape[:2]
            layer.weights, layer.bias = address(described["weights"]), address(described["bias"])
            layer.w_row, layer.w_panel = k.lanes, layer.panel_rows * k.lanes
            layer.n_bias = described["bias"].size
            if normalization is not None and i + 1 < self.run.n_layers:
                layer.n_bias //= 3
            if described["averages"] is not None:
                layer.mean = address(described["averages"])
                layer.variance = layer.mean + layer.n_bias * k.real_size
            if layer.narrow:
                layer.transposed = layer.weights
            elif described["transposed"] is not None:
                layer.transposed = address(described["transposed"])
            for slot, array in enumerate(described["state"]):
                layer.state[slot] = address(array)
            if described["gradient"] is not None:
                layer.gradient = address(described["gradient"])
            if described["averaged"] is not None:
                layer.averaged = address(described["averaged"])
            layer.frozen = described["frozen"]
            self.run.first_trained += layer.frozen and self.run.first_trained == i
            self.n_parameters += (layer.fan_in + 1) * layer.fan_out
        for i, rate in enumerate(architecture.dropout):
            set_dropout(&self.run.input_dropout if i == 0 else &self.layers[i - 1].dropout, rate, i,
                        seed)
        set_form(self.layers, self.run.n_layers, self.run.normalization, architecture)
        self._most_rows = chunk_rows
        self._make_workspace(capacity, n_shares, dtype, sparse)
        self._make_shares(n_shares, dtype)
        self._cut_blocks(sparse)
        self.run.squares = <double *>self._allocate(self.run.n_blocks, np.float64)
        self.run.gradient_squares = <double *>self._allocate(self.run.n_blocks, np.float64)
        self.run.row_parts = <Part *>self._allocate(n_threads * sizeof(Part), np.uint8)
        self.run.block_parts = <Part *>self._allocate(n_threads * sizeof(Part), np.uint8)
        self.run.later_parts = <Part *>self._allocate(n_threads * sizeof(Part), np.uint8)
        self._add_averaged()
        self.run.scratch_bytes = self._scratch(sparse) * k.real_size
        self.run.scratch_bytes = (self.run.scratch_bytes + 127) // 64 * 64
        self.run.scratch = self._allocate(n_threads * self.run.scratch_bytes, np.uint8)

    def __dealloc__(self):
        free(self.layers)
        free(self.averaged)
        free(self.blocks)

    def _choose_loss(self, architecture):
        loss, settings = architecture.loss, architecture.loss_settings
        self.run.output = OUTPUTS.index(architecture.out_activation)
        self.run.chained = not architecture.loss_has_output
        if self.run.chained and OUT_ACTIVATIONS[loss] != "identity":
            loss = f"{loss}_deviance"
        self.run.loss = LOSSES.index(loss)
        self.run.loss_settings.delta = settings.delta
        self.run.loss_settings.gamma = settings.gamma
        self.run.loss_settings.smoothing = settings.smoothing
        levels = np.full(architecture.units[-1], settings.quantile, dtype=np.float64)
        self.run.loss_settings.levels = <const double *>address(levels)
        self._kept = [levels]

    cdef char *_allocate(self, count, dtype) except? NULL:
        array = aligned_zeros(count, dtype)
        self._kept.append(array)
        return address(array)

    def _add_averaged(self):
        cdef size_t i, weights, size = self.run.n_layers * sizeof(Layer)
        cdef Layer *layer
        if self.layers[0].averaged is NULL:
            return
        self.averaged = <Layer *>malloc(size)
        if self.averaged is NULL:
            raise MemoryError
        memcpy(self.averaged, self.layers, size)
        for i in range(self.run.n_layers):
            layer = &self.averaged[i]
            weights = layer.n_panels * layer.panel_rows * layer.w_row * self.run.kernels.real_size
            layer.weights, layer.bias = layer.averaged, layer.averaged + weights

    def _make_shares(self, n_shares, dtype):
        cdef size_t i
        self.run.n_shares = n_shares
        for i in range(self.run.n_layers):
            self.layers[i].gradient_at = self.run.share_size
            self.run.share_size += (
                self.layers[i].n_panels * self.layers[i].panel_rows * self.run.kernels.lanes
                + n_vectors(&self.layers[i]) * self.layers[i].n_bias)
        if n_shares:
            self.run.share_gradients = self._allocate(n_shares * self.run.share_size, dtype)

    def _make_workspace(self, capacity, n_shares, dtype, sparse):
        cdef size_t i, lanes = self.run.kernels.lanes
        cdef size_t n_units = in_units(self._most_rows, ROW_BLOCK)
        cdef Layer *layer
        capacity = in_units(capacity, lanes) * lanes
        if n_shares:
            self.run.share_rows = capacity
            self.run.thread_rows = capacity + ROWS_APART
            capacity = self.n_threads * self.run.thread_rows
        self.run.stride = (capacity + 1) * lanes
        for i in range(self.run.n_layers):
            layer = &self.layers[i]
            if i:
                layer.inputs = self.layers[i - 1].outputs
            elif not sparse:
                layer.inputs = self._allocate(
                    in_units(layer.fan_in, lanes) * self.run.stride, dtype)
            if layer.narrow:
                count = capacity * layer.fan_out
            else:
                count = layer.n_panels * self.run.stride
            layer.outputs = self._allocate(count, dtype)
            outputs = self._kept[-1]
            layer.deltas = layer.outputs
            if i + 1 < self.run.n_layers:
                layer.deltas = self._allocate(count, dtype)
            self.workspace.append((outputs, self._kept[-1]))
            if layer.residual or (i + 1 < self.run.n_layers and self.layers[i + 1].residual):
                layer.upstream = self._allocate(count, dtype)
            if layer.normalization != NO_NORMALIZATION:
                layer.normalized = self._allocate(count, dtype)
                layer.inverse = self._allocate(capacity, dtype)
                layer.row_sums = self._allocate(n_units * 2 * layer.n_bias, dtype)
            if layer.normalization == BATCH_NORMALIZATION:
                layer.row_moments = self._allocate(n_units * 2 * layer.n_bias, dtype)
                layer.moments = self._allocate(self.n_threads * 2 * layer.n_bias, dtype)
                layer.sums = self._allocate(self.n_threads * 2 * layer.n_bias, dtype)
        self.run.row_losses = <double *>self._allocate(
            in_units(self._most_rows, self.run.kernels.mr), np.float64)
        self.run.unit_weights = <double *>self._allocate(n_units * self.run.n_layers, np.float64)

    def _cut_blocks(self, sparse):
        cdef const fastmlp_kernels *k = self.run.kernels
        cdef Layer *layer
        cdef size_t i
        blocks = []
        for i in range(self.run.n_layers):
            layer = &self.layers[i]
            if layer.frozen:
                continue
            # a tile's panels wide; but one panel, and longer, where no tile is taken
            no_tile = self.run.n_shares or (i == 0 and sparse)
            n_panels = 1 if no_tile else k.nr
            n_rows = 4 * WEIGHT_BLOCK if self.run.n_shares else WEIGHT_BLOCK
            if layer.narrow or (i == 0 and sparse):
                n_rows = layer.panel_rows
            for panel in range(0, layer.n_panels, n_panels):
                for row in range(0, layer.panel_rows, n_rows):
                    blocks.append((i, panel, min(n_panels, layer.n_panels - panel), row,
                                   min(n_rows, layer.panel_rows - row)))
        self.blocks = <Block *>malloc(len(blocks) * sizeof(Block))
        if self.blocks is NULL:
            raise MemoryError
        cost = 0
        for i, (layer_index, panel, n_panels, row, n_rows) in enumerate(blocks):
            self.blocks[i].layer = layer_index
            self.blocks[i].panel, self.blocks[i].n_panels = panel, n_panels
            self.blocks[i].row, self.blocks[i].n_rows = row, n_rows
            self.blocks[i].middle = cost + n_panels * n_rows / 2
            cost += n_panels * n_rows
        self.run.blocks, self.run.n_blocks, self.run.cost = self.blocks, len(blocks), cost

    def _scratch(self, sparse):
        """Reals that a thread needs: mr rows of outputs in columns, or a block's gradient."""
        cdef const fastmlp_kernels *k = self.run.kernels
        cdef size_t i
        most = (2 if self.run.chained else 1) * columns_bytes(&self.run) // k.real_size
        for i in range(self.run.n_blocks):
            rows = self.blocks[i].n_rows + 3  # of the block, its bias, scale and shift
            if self.layers[self.blocks[i].layer].gradient is NULL:
                most = max(most, self.blocks[i].n_panels * rows * k.lanes
                           + self.layers[self.blocks[i].layer].n_bias)
        return most

    def _check(self, Dataset dataset):
        if <size_t>dataset.n_features != self.layers[0].fan_in:
            raise ValueError(f"X has {dataset.n_features} features, but the network expects "
                             f"{self.layers[0].fan_in}")
        if dataset.sparse != (self.layers[0].inputs is NULL):
            raise ValueError("this network was laid out for the other kind of X, sparse or dense")
        self._check_targets(dataset)

    def _check_targets(self, Dataset dataset):
        cdef Layer *last = &self.layers[self.run.n_layers - 1]
        y, targets = dataset.y, TARGETS[LOSSES[self.run.loss]]
        if targets == "classes":
            fits = y is not None and y.ndim == 1 and <size_t>dataset.largest_class < last.fan_out
        else:
            dtype = np.float64 if self.run.kernels.real_size == 8 else np.float32
            fits = (y is not None and y.dtype == (np.uint8 if targets == "labels" else dtype)
                    and y.shape == (dataset.n_samples, last.fan_out))
        if not fits:
            raise ValueError("y is not what this network's loss and outputs take")

    cdef int _set_up(
        self, Dataset dataset, size_t n_epochs, size_t n_rows, size_t batch_size, double alpha,
        step,
    ) except -1:
        """What a pass asks for, but for its rows and their weights, and where its losses go."""
        cdef size_t lanes = self.run.kernels.lanes
        self.run.n_rows, self.run.batch_size = n_rows, batch_size
        self.run.n_batches = in_units(n_rows, batch_size)
        self.run.chunks_per_batch = in_units(batch_size, self._most_rows)
        self.run.chunk_rows = in_units(in_units(batch_size, self.run.chunks_per_batch), lanes)
        self.run.chunk_rows = least(self.run.chunk_rows * lanes, self._most_rows)
        if (not self.run.n_shares and self.layers[0].gradient is NULL
                and self.run.chunks_per_batch > 1):
            raise ValueError("batches beyond the workspace need gradient arrays")
        self.run.samples = dataset.samples
        self.run.dropped = NULL
        if dataset.sparse and self.run.input_dropout.threshold:
            values = dataset._kept[0]
            if self._dropped is None or self._dropped.nbytes != values.nbytes:
                self._dropped = np.empty_like(values)
            self.run.dropped = address(self._dropped)
        self._read_settings(alpha, n_epochs * self.run.n_batches, **step)

    def _read_settings(
        self, alpha, n_steps, *, learning_rate=0.0, t=0, momentum=0.0, nesterov=False, beta_1=0.0,
        beta_2=0.0, epsilon=0.0, weight_decay=0.0, l1_ratio=0.0, clip_norm=None, clip_value=None,
        max_norm=None, ema=False,
    ):
        cdef const double[::1] rates
        self.run.settings = {
            "alpha": alpha, "l1_ratio": l1_ratio, "weight_decay": weight_decay,
            "momentum": momentum, "nesterov": nesterov, "beta_1": beta_1, "beta_2": beta_2,
            "epsilon": epsilon, "scheduled": isinstance(learning_rate, np.ndarray),
        }
        self.run.n_steps = self.run.first_step = t
        if isinstance(learning_rate, np.ndarray):
            rates = learning_rate
            if len(rates) < n_steps:
                raise ValueError("every step needs a learning rate")
            self.run.rates, self.run.rate_stride = &rates[0], 1
        else:
            self._rate = learning_rate
            self.run.rates, self.run.rate_stride = &self._rate, 0
        self.run.clip_norm = INFINITY if clip_norm is None else clip_norm
        self.run.clip_value = INFINITY if clip_value is None else clip_value
        self.run.max_norm = INFINITY if max_norm is None else max_norm
        self.run.average = ema
        if ema and self.averaged is NULL:
            raise ValueError("averages need arrays")
        if clip_norm is not None and self.layers[0].gradient is NULL:
            raise ValueError("clip_norm needs gradient arrays")

    cdef bint _choose(self, size_t n_chunks, int n_threads):
        """Whether the next slice of a pass, of which n_chunks are left, is for the team."""
        cdef double now = time.perf_counter(), expected
        if n_threads > 1 and self.worked > 0 and not self.trial and now > self.next_trial:
            expected = self.worked + n_chunks * min(self.team_pace, self.lone_pace)
            if expected > WORTH_A_TRIAL:
                self.trial = 3  # slices: one to wake up, two to measure
                self.try_team = self.team_pace > self.lone_pace
        return n_threads > 1 and (
            self.try_team if self.trial else self.team_pace <= self.lone_pace)

    cdef size_t _learn(self, bint together, size_t n_chunks, double begin, size_t at_once):
        """Notes how long a slice of n_chunks took; returns how many the next should have."""
        cdef double elapsed = time.perf_counter() - begin
        cdef bint first = self.worked == 0
        self.worked += elapsed
        if (self.trial == 3 and self.try_team
                and elapsed > SLOW_WAKING + 2 * self.lone_pace * n_chunks):
            self.trial = 1  # cores are taken: that is measure enough
        if self.trial == 3:
            pass
        elif together:
            self.team_pace = pace(self.team_pace, elapsed / n_chunks)
        else:
            self.lone_pace = pace(self.lone_pace, elapsed / n_chunks)
        if self.trial:
            self.trial -= 1
            self.next_trial = begin + 60 * elapsed
        elif first and together:
            self.next_trial = begin + 60 * elapsed
        elif elapsed > 0.05:
            return (at_once + 1) // 2
        elif elapsed < 0.0125:
            return at_once * 2
        return at_once

    def train_pass(self, Dataset dataset, orders, size_t batch_size, *, double alpha, step,
                   bint take_steps=True, double deadline=INFINITY, beside=()):
        """A pass over the rows of each of `orders` (n_epochs, n_rows), in batches; steps after
        each, or of a single one the gradient only.

        The engines `beside`, of networks of the same shape, make the same pass at the same time.

        Afterwards `steps_taken` counts the steps, and `loss_sums` holds, of each whole pass, the
        sum over batches of loss times rows; `rest` is that sum of the pass left unfinished, and its
        rows. After the deadline (perf_counter's) no batch begins but the first. Without steps
        returns (sum of the weighted losses of all rows, sum of weights), and the layers' gradient
        arrays hold the weighted sum. Raises KeyboardInterrupt between chunks, the parameters those
        after the last whole step, of which all networks have taken as many.
        """
        cdef Engine engine
        engines = (self, *beside)
        for engine in engines:
            engine.steps_taken, engine.loss_sums, engine.rest = 0, [], (0.0, 0)
            engine._check(dataset)
            if (engine._most_rows != self._most_rows
                    or engine.n_parameters != self.n_parameters):
                raise ValueError("networks side by side must have the same shape")
        distinct = orders if orders.strides[0] else orders[:1]  # or a view of one for every pass
        cdef const intptr_t[:, ::1] checked = distinct  # what reshape need not copy
        cdef const intptr_t *rows = row_numbers(dataset, distinct.reshape(-1))
        cdef size_t n_epochs = len(orders), n_rows = checked.shape[1], chunk = 0, stop, i
        cdef size_t n_networks = len(engines), n_chunks, end
        if n_epochs == 0 or n_rows == 0 or batch_size == 0:
            raise ValueError("no rows, or empty batches")
        batch_size = least(batch_size, n_rows)
        cdef double[:, ::1] losses = np.zeros((n_networks, n_epochs))
        cdef double[:, ::1] batch_weights
        if dataset.sample_weight is not None:
            batch_weights = np.add.reduceat(
                dataset.sample_weight[orders], np.arange(0, n_rows, batch_size), axis=1)
        for i, engine in enumerate(engines):
            engine._set_up(dataset, n_epochs, n_rows, batch_size, alpha, step)
            engine.run.order, engine.run.order_stride = rows, n_rows * (len(distinct) > 1)
            engine.run.batch_weights = NULL
            if dataset.sample_weight is not None:
                engine.run.batch_weights = &batch_weights[0, 0]
            engine.run.take_steps = take_steps
            engine.run.losses = &losses[i, 0]
        n_chunks = self.run.n_batches * self.run.chunks_per_batch
        end = n_epochs * n_chunks
        cdef uint64_t before = self.run.n_steps
        cdef double work = 6.0 * <double>self.n_parameters * <double>self.run.chunk_rows
        if dataset.sparse:
            work = (6.0 * <double>self.n_parameters * <double>n_rows / <double>n_chunks
                    * density(dataset) + 20.0 * <double>self.n_parameters)
        cdef int n_threads = team_size(
            work, WORK_PER_THREAD, self.run.chunk_rows, self.run.kernels.mr, self.n_threads)
        if self.run.n_shares:
            n_threads = min(n_threads, <int>self.run.n_shares)
        # Each network is for a team, or, if they are as many as a team's threads, for one thread.
        cdef int n_apart = <int>min(n_networks, <size_t>self.n_threads)
        cdef bint apart = 1 < n_networks and n_threads <= n_apart
        if apart:
            n_threads = n_apart
        cdef size_t at_once = <size_t>max(
            1.0, FLOPS_AT_ONCE / max(work, WORK_OF_STEP) / n_networks)
        cdef bint together
        if self.worked == 0:  # one thread begins, unless a step is long: a team has to wake up
            self.team_pace = 0 if work > LONG_STEP else INFINITY
            self.lone_pace = INFINITY if work > LONG_STEP else 0
        cdef Run **runs = <Run **>malloc(n_networks * sizeof(Run *))
        if runs is NULL:
            raise MemoryError
        for i, engine in enumerate(engines):
            runs[i] = &engine.run
        try:
            while chunk < end:
                together = self._choose(end - chunk, n_threads)
                stop = chunk + (
                    in_units(at_once, 8) if self.trial or self.worked == 0 else at_once)
                stop = least(end, stop)
                begin = time.perf_counter()
                with nogil:
                    run_networks(
                        runs, n_networks, chunk, stop, n_threads if together else 1, apart)
                at_once = self._learn(together, stop - chunk, begin, at_once)
                chunk = stop
                PyErr_CheckSignals()
                if time.perf_counter() > deadline:  # the batch under way is finished
                    end = in_units(chunk, self.run.chunks_per_batch) * self.run.chunks_per_batch
        finally:
            free(runs)
            stop = least(chunk % n_chunks // self.run.chunks_per_batch * batch_size, n_rows)
            for i, engine in enumerate(engines):
                engine.steps_taken = engine.run.n_steps - before
                engine.loss_sums = list(losses[i, :chunk // n_chunks])
                if stop:
                    engine.rest = losses[i, chunk // n_chunks], stop
                memset(&engine.run.samples, 0, sizeof(Samples))
        if not take_steps:
            weight = n_rows if dataset.sample_weight is None else np.sum(batch_weights)
            return self.run.batch_loss, weight

    def start_clocks(self):
        """Makes `train_pass` measure, from now on, what each thread's time goes into.

        Returns
        -------
        ndarray of shape (n_threads, n_phases)
            Seconds by the names of ``PHASES``; grows while passes run.
        """
        self._clocks = np.zeros((self.n_threads, N_CLOCK))
        self.run.clocks = <double *>address(self._clocks)
        return self._clocks[:, 1:]

    def predict(self, Dataset dataset, order, bint averaged=False):
        """Outputs (n_rows, fan_out of the last layer) of the rows `order`, by the averages of the
        weights if so asked."""
        cdef Run run = self.run
        if averaged:
            run.layers = self.averaged
        outputs, _ = predict_samples(&run, dataset, order, self.n_threads)
        return outputs

    def evaluate(self, Dataset dataset, order, bint averaged=False):
        """Sum of the weighted losses of the rows `order`, and their outputs; see `predict`."""
        self._check_targets(dataset)
        cdef Run run = self.run
        if averaged:
            run.layers = self.averaged
        cdef double[::1] losses = np.zeros(in_units(len(order), self.run.kernels.mr))
        cdef double total = 0
        cdef size_t i
        outputs, _ = predict_samples(
            &run, dataset, order, self.n_threads, np.asarray(losses))
        for i in range(<size_t>len(losses)):
            total += losses[i]
        return total, outputs


cdef inline double pace(double before, double now):
    # a hiccup of the machine counts for a quarter
    return now if before == 0 or now < before else 0.75 * before + 0.25 * now
