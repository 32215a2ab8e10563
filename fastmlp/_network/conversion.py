"""Weights in the forms that users give them, as arrays that the engine reads."""

import itertools

import numpy as np

from .architecture import PARAMETERS
from .columns import embedding_shapes, n_units_of

TABLE_PARAMETERS = ("coefs_", "biases_", "embeddings_")  # of a network that reads tables


def is_uniform(lists):
    """Whether nothing is to be converted: lists or tuples of ndarrays of one type, float32 or
    float64, with matrices of two axes (in an ensemble three) and a vector for each."""
    coefs = lists[0]
    first = coefs[0] if isinstance(coefs, (list, tuple)) and coefs else None
    if type(first) is not np.ndarray or first.dtype not in (np.float32, np.float64):
        return False
    return all(
        isinstance(own, (list, tuple))
        and all(type(a) is np.ndarray and a.dtype == first.dtype for a in own)
        and all(
            coef.ndim in (2, 3) and (own is coefs or a.shape == _vector_shape(coef))
            for a, coef in zip(own, coefs, strict=False)
        )
        for own in lists
    )


def _vector_shape(coef):
    return (*coef.shape[:-2], coef.shape[-1])


def converted(lists, names=PARAMETERS):
    """The arrays in one floating point type, with vectors of the shapes that a Network takes.

    Parameters
    ----------
    lists : sequence of sequences of array-like
        One for each of `names`, with numbers of any real type. A vector may also be a row or,
        as NumPy broadcasts it, a single number. The last matrix may be a vector if
        there is one output.

    Returns
    -------
    tuple of lists of ndarray
        All float32, if all were float32 or smaller; otherwise float64. Arrays that fit are not
        copied.

    Raises
    ------
    ValueError
        If an array does not contain real numbers.
    """
    arrays = [_arrays(own, name) for name, own in zip(names, lists, strict=False)]
    coefs, *vectors = arrays
    if coefs and coefs[-1].ndim == 1:
        coefs[-1] = coefs[-1][:, np.newaxis]
    for own in vectors:
        own[:] = [
            *(_vector(a, coef) for a, coef in zip(own, coefs, strict=False)),
            *own[len(coefs) :],
        ]
    return _in_one_type(arrays)


def converted_table(lists, columns):
    """The same for a network that reads tables.

    Parameters
    ----------
    lists : sequence of sequences of array-like
        One for each of TABLE_PARAMETERS.
    columns : tuple of Column

    Raises
    ------
    ValueError
        If an array does not contain real numbers, or does not belong to the columns.
    """
    layers = lists[:2] if is_uniform(lists[:2]) else converted(lists[:2], TABLE_PARAMETERS)
    embeddings = _arrays(lists[2], TABLE_PARAMETERS[2])
    width, n_units = layer_widths(layers, TABLE_PARAMETERS)[0], n_units_of(columns)
    first = layers[0][0]
    if width != n_units:
        raise ValueError(
            f"coefs_[0] must have {n_units} rows, because the columns become {n_units} units, got"
            f" the shape {first.shape}."
        )
    shapes = embedding_shapes(columns)
    if len(embeddings) != len(shapes):
        raise ValueError(
            f"embeddings_ must have {len(shapes)} arrays, those of the columns; it has"
            f" {len(embeddings)}."
        )
    for i, (array, shape) in enumerate(zip(embeddings, shapes, strict=True)):
        if array.shape != (expected := (*first.shape[:-2], *shape)):
            raise ValueError(f"embeddings_[{i}] must have the shape {expected}, got {array.shape}.")
    return _in_one_type((*layers, embeddings))


def _arrays(own, name):
    """The arrays of one list."""
    try:
        own = [own[i] for i in range(len(own))]
    except (TypeError, LookupError):
        raise ValueError(f"{name} must be a list of arrays, got {own!r:.100}.") from None
    return [_array(a, f"{name}[{i}]") for i, a in enumerate(own)]


def _in_one_type(lists):
    """Arrays of float32 if all were float32 or smaller, else of float64."""
    narrow = all(a.dtype in (np.float16, np.float32) for own in lists for a in own)
    dtype = np.float32 if narrow else np.float64
    return tuple([a.astype(dtype, copy=False) for a in own] for own in lists)


def _vector(array, coef):
    """The array in the shape of the vector that belongs to a matrix; as it is if it does not
    fit."""
    if coef.ndim < 2:
        return array
    shape = _vector_shape(coef)
    if array.size == 1:
        return np.full(shape, array.item(), array.dtype)
    row = (*shape[:-1], 1, shape[-1])
    return array.reshape(shape) if array.shape == row else array


def _array(values, name):
    try:
        array = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
        if array.dtype.kind == "O" and None not in array.ravel().tolist():
            array = array.astype(np.float64)
        elif array.dtype.kind == "V":  # bfloat16 and other types of ml_dtypes
            array = array.astype(np.float32)
    except (TypeError, ValueError):
        array = np.empty(0, dtype="O")
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be an array of real numbers, got {values!r:.100}.")
    return array


def _advice(coefs):
    """What to do about matrices that would fit if they were transposed; empty if they would not."""
    pairs = [*itertools.pairwise(coefs)]
    if pairs and all(a.shape[:1] == b.shape[1:] for a, b in pairs):
        return " If they are PyTorch's weights, of shape (fan_out, fan_in), transpose each of them."
    return ""


def layer_widths(lists, names=PARAMETERS):
    """Widths of all layers: (n_features, *hidden, n_outputs).

    Parameters
    ----------
    lists : sequence of lists of ndarray
        As `converted` returns them; in an ensemble with a first axis more.
    names : sequence of str
        What they are called in messages.

    Raises
    ------
    ValueError
        If the arrays do not make a network: says which one does not fit, and why.
    """
    coefs = lists[0]
    if not coefs:
        raise ValueError("coefs_ must have an array for each layer; it is empty.")
    counts = [len(coefs), *[len(coefs) - 1] * (len(lists) - 2)]
    for name, own, count in zip(names[1:], lists[1:], counts, strict=False):
        if len(own) != count:
            raise ValueError(
                f"coefs_ has {len(coefs)} arrays, so {name} must have {count}; it has {len(own)}."
            )
    leading = coefs[0].shape[:-2]
    for i, coef in enumerate(coefs):
        fan_in = coefs[i - 1].shape[-1] if i else coef.shape[-2] if coef.ndim > 1 else "n_features"
        if coef.ndim not in (2, 3) or coef.shape[:-1] != (*leading, fan_in) or 0 in coef.shape:
            raise ValueError(
                f"coefs_[{i}] must have the shape {(*leading, fan_in, 'fan_out')}, got"
                f" {coef.shape}." + _advice(coefs)
            )
    for name, own in zip(names[1:], lists[1:], strict=False):
        for i, vector in enumerate(own):
            if vector.shape != (expected := (*leading, coefs[i].shape[-1])):
                raise ValueError(f"{name}[{i}] must have the shape {expected}, got {vector.shape}.")
    return (coefs[0].shape[-2], *[coef.shape[-1] for coef in coefs])
