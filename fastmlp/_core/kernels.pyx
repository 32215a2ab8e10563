# The kernel tables: which instruction sets there are, which is in use, and the names of the lists.
import os
import time

import numpy as np

from cpython.buffer cimport PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer
from cython.parallel cimport prange
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from fastmlp._core.team cimport FASTMLP_OPENMP, fastmlp_max_threads

cdef extern from "names.h":
    enum:
        FASTMLP_N_KERNELS

    ctypedef struct fastmlp_signature:
        const char *returns
        const char *name
        const char *arguments
        const char *list
        size_t offset

    const fastmlp_signature fastmlp_signatures[]
    const char *const fastmlp_activation_names[]
    const char *const fastmlp_output_names[]
    const double fastmlp_output_lows[]
    const double fastmlp_output_highs[]
    const int fastmlp_output_positive[]
    const char *const fastmlp_loss_names[]
    const int fastmlp_loss_outputs[]
    const char *const fastmlp_loss_targets[]
    const char *const fastmlp_optimizer_names[]
    const char *const fastmlp_normalization_names[]
    const int fastmlp_normalization_trained[]
    const int fastmlp_normalization_running[]
    const char *const fastmlp_source_names[]
    const char *const fastmlp_embedding_names[]
    const char *const fastmlp_isa_names[]
    const int fastmlp_optimizer_slots[]
    const int fastmlp_optimizer_decays[]
    const char *const fastmlp_optimizer_settings[]
    const char *FASTMLP_COMPILER


ACTIVATIONS = tuple([fastmlp_activation_names[i].decode() for i in range(FASTMLP_N_ACTIVATIONS)])
LOSSES = tuple([fastmlp_loss_names[i].decode() for i in range(FASTMLP_N_LOSSES)])
OUTPUTS = tuple([fastmlp_output_names[i].decode() for i in range(FASTMLP_N_OUTPUTS)])
RANGES = {
    name: (fastmlp_output_lows[i], fastmlp_output_highs[i]) for i, name in enumerate(OUTPUTS)
}
POSITIVE = tuple(sorted(name for i, name in enumerate(OUTPUTS) if fastmlp_output_positive[i]))
OUT_ACTIVATIONS = {LOSSES[i]: OUTPUTS[fastmlp_loss_outputs[i]] for i in range(FASTMLP_N_LOSSES)}
TARGETS = {LOSSES[i]: fastmlp_loss_targets[i].decode() for i in range(FASTMLP_N_LOSSES)}
OPTIMIZERS = tuple([fastmlp_optimizer_names[i].decode() for i in range(FASTMLP_N_OPTIMIZERS)])
OPTIMIZER_SLOTS = {OPTIMIZERS[i]: fastmlp_optimizer_slots[i] for i in range(FASTMLP_N_OPTIMIZERS)}
DECAYING = tuple([name for i, name in enumerate(OPTIMIZERS) if fastmlp_optimizer_decays[i]])
OPTIMIZER_SETTINGS = {
    name: fastmlp_optimizer_settings[i].decode().split() for i, name in enumerate(OPTIMIZERS)
}
NORMALIZATIONS = tuple([
    None if i == NO_NORMALIZATION else fastmlp_normalization_names[i].decode()
    for i in range(FASTMLP_N_NORMALIZATIONS)
])
# How many lists of parameters a network has, by its normalization; and how many have gradients.
N_TRAINED = {name: 2 + fastmlp_normalization_trained[i] for i, name in enumerate(NORMALIZATIONS)}
N_LISTS = {
    name: N_TRAINED[name] + fastmlp_normalization_running[i]
    for i, name in enumerate(NORMALIZATIONS)
}
SOURCES = tuple([fastmlp_source_names[i].decode() for i in range(FASTMLP_N_SOURCES)])
EMBEDDINGS = tuple([fastmlp_embedding_names[i].decode() for i in range(FASTMLP_N_EMBEDDINGS)])
MAX_UNITS = FASTMLP_MAX_UNITS
_ISAS = tuple([fastmlp_isa_names[i].decode() for i in range(FASTMLP_N_ISAS)])
SOURCE_INDEX = {np.dtype(name): i for i, name in enumerate(SOURCES)}


def isas():
    """Names of the instruction sets that this build and this processor support, best first."""
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
cdef object DOUBLE = np.dtype(np.float64)


cdef const fastmlp_kernels *kernels_of_type(bint is_double) noexcept nogil:
    """The kernels of the instruction set in use."""
    return DOUBLE_KERNELS if is_double else FLOAT_KERNELS


cdef bint is_double(dtype) except -1:
    return dtype is DOUBLE or dtype == DOUBLE


def isa():
    """Name of the instruction set in use."""
    return _ISA


def openmp():
    """Version (a date) of the OpenMP that this was built with; 0 if built without."""
    return FASTMLP_OPENMP


def compiler():
    """Compiler that this was built with."""
    return FASTMLP_COMPILER.decode()


def max_threads():
    """Threads that OpenMP would use in the calling thread, by OMP_NUM_THREADS and threadpoolctl."""
    return fastmlp_max_threads()


def lanes(dtype):
    """Lanes of a vector of this type in the instruction set in use."""
    return kernels_of(_ISA, dtype).lanes


cdef const fastmlp_kernels *kernels_of(isa_name, dtype) except NULL:
    dtype = np.dtype(dtype)
    if dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"dtype must be float32 or float64, got {dtype}")
    if isa_name not in isas():
        raise ValueError(f"{isa_name!r} is not one of {isas()}")
    return fastmlp_kernel_table(_ISAS.index(isa_name), dtype == np.dtype(np.float64))


def kernel_table(isa_name, dtype):
    """The kernels as ctypes functions by name, and the sizes ``lanes``, ``mr``, ``nr``: for tests
    and benches. A kernel that exists once for each entry of a list is a dict of functions, without
    the entries that are NULL. All pointers are passed as addresses."""
    import ctypes

    cdef const fastmlp_kernels *k = kernels_of(isa_name, dtype)
    cdef const fastmlp_signature *signature
    cdef uintptr_t pointer
    cdef size_t at
    types = {
        "void": None, "int": ctypes.c_int, "size_t": ctypes.c_size_t, "double": ctypes.c_double,
        "ptrdiff_t": ctypes.c_ssize_t, "uint64_t": ctypes.c_uint64,
    }
    lists = {
        "": ("",), "SOURCES": SOURCES, "ACTIVATIONS": ACTIVATIONS, "OUTPUTS": OUTPUTS,
        "ELEMENTWISE_OUTPUTS": OUTPUTS, "LOSSES": LOSSES, "OPTIMIZERS": OPTIMIZERS,
        "EMBEDDINGS": EMBEDDINGS, "ROW_NORMALIZATIONS": NORMALIZATIONS[:N_ROW_NORMALIZATIONS],
    }
    table = {"lanes": k.lanes, "mr": k.mr, "nr": k.nr}
    for kernel in range(FASTMLP_N_KERNELS):
        signature = &fastmlp_signatures[kernel]
        arguments = signature.arguments.decode().strip("()").split(",")
        prototype = ctypes.CFUNCTYPE(
            types[signature.returns.decode()],
            *(ctypes.c_void_p if "*" in a else types[a.split()[0]] for a in arguments),
        )
        functions = {}
        for i, entry in enumerate(lists[signature.list.decode()]):
            at = signature.offset + i * sizeof(pointer)
            memcpy(&pointer, <const char *>k + at, sizeof(pointer))
            if pointer:
                functions[entry] = prototype(pointer)
        table[signature.name.decode()] = functions.get("", functions)
    return table


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
    """The address of an array. Takes an eighth of the time of ``array.ctypes.data``."""
    cdef Py_buffer view
    PyObject_GetBuffer(array, &view, PyBUF_STRIDES)
    PyBuffer_Release(&view)
    return <char *>view.buf
