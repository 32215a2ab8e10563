"""How the estimators of tables embed what the encoder reads."""

import numpy as np

from .._network.columns import Column

NUMERIC_EMBEDDINGS = ("pbld", "plr", "periodic", "ple")
# Sizes of the embeddings: units and frequencies. PBLD's are those of Holzmueller et al. (2024).
PBLD_UNITS, PBLD_TERMS = 4, 16
PLR_UNITS, PLR_TERMS = 8, 16
PERIODIC_TERMS = 8
PLE_BINS = 16
CATEGORY_UNITS = 8
FREQUENCY_DEVIATION = 0.1


def numeric_edges(values, weights, n_bins):
    """The edges of bins with equal numbers of the values, or equal sums of their weights."""
    if weights is not None:
        values, weights = values[weights > 0], weights[weights > 0]
    quantiles = np.quantile(
        values, np.linspace(0, 1, n_bins + 1), weights=weights, method="inverted_cdf"
    )
    # distinct in float32, to which a user may convert the network
    return tuple(np.unique(quantiles.astype(np.float32)).tolist())


def numeric_column(embedding, source, values, weights):
    """The Column of a number.

    Parameters
    ----------
    embedding : str or None
        One of NUMERIC_EMBEDDINGS.
    source : int
        Its column of the table's numbers.
    values : ndarray of shape (n_samples,)
        The numbers to train on, which set the bins of "ple".
    weights : ndarray of shape (n_samples,) or None
        Their weights.
    """
    if embedding == "pbld":
        return Column("pbld", source, PBLD_UNITS, PBLD_TERMS)
    if embedding == "plr":
        return Column("plr", source, PLR_UNITS, PLR_TERMS)
    if embedding == "periodic":
        return Column("periodic", source, 2 * PERIODIC_TERMS, PERIODIC_TERMS)
    if embedding == "ple":
        edges = numeric_edges(values, weights, PLE_BINS)
        if len(edges) > 2:  # else a single bin, which is a number
            return Column("ple", source, len(edges) - 1, constants=edges)
    return Column("number", source)


def table_columns(encoder, samples, weights, embedding):
    """The Columns of a table.

    Parameters
    ----------
    encoder : TableEncoder
    samples : Samples
        Those to train on.
    weights : ndarray of shape (n_samples,) or None
        Their weights.
    embedding : str or None
        Of numbers, as `numeric_embedding`.
    """
    columns = []
    for i, item in enumerate(encoder.inputs_):
        if item.kind == "numeric":
            values = samples.values[:, item.source]
            columns.append(numeric_column(embedding, item.source, values, weights))
        elif item.kind == "plain":
            columns.append(Column("number", item.source))
        else:
            table, n_units = encoder.tables_.get(i), CATEGORY_UNITS
            constants = ()
            if table is not None:
                n_units, constants = table.shape[1], tuple(table.ravel().tolist())
            columns.append(
                Column(
                    "category",
                    item.source,
                    n_units,
                    n_levels=item.n_levels,
                    constants=constants,
                )
            )
    return tuple(columns)
