"""Docstrings of the estimators of tables: what they share with the other estimators is taken from
`docs`, the defaults are those of the signatures."""

import inspect
import re

from . import docs


def _entries(text):
    """The entries of a list of parameters or attributes, by name."""
    parts = re.split(r"\n\n(?=    \w+(?:, \w+)* : )", "    " + text)
    return {part.split(" : ")[0].strip(): part.strip() for part in parts}


_TABLE = """\
categorical_features : 'from_dtype', array-like or None, default=
        Which columns are categories. 'from_dtype': those of a categorical type,
        of booleans or of strings; columns of an array of numbers are not.
        Otherwise their names, their numbers or a boolean mask; None for none.

    numeric_embedding : {'pbld', 'plr', 'periodic', 'ple'} or None, default=
        What the network gets of each number x:

        - 'pbld': x, and 3 trained linear functions of 16 cosines of x with
          trained frequencies and phases (Holzmüller et al., 2024);
        - 'plr': 8 trained linear functions of the cosines and sines of x at 16
          trained frequencies, followed by relu (Gorishniy et al., 2022);
        - 'periodic': the cosines and sines of x at 8 trained frequencies;
        - 'ple': piecewise linear functions of x, one for each of up to 16 bins
          with equal numbers of samples (Gorishniy et al., 2022);
        - None: x itself.

    numeric_scaling : {'robust', 'quantile'}, default=
        How numbers are scaled before. 'robust': ``z = (x - median) / (q75 -
        q25)``, then ``z / sqrt(1 + (z / 3) ** 2)``, which lies between -3 and
        3. 'quantile': to a normal distribution, by
        :class:`sklearn.preprocessing.QuantileTransformer`. Scales, and levels
        of categories, are those of the first call where training goes on
        (`warm_start`, ``partial_fit``).

    min_category_count : int, default=
        A category that occurs in fewer rows is rare. All rare and unknown
        categories of a column share one level.

    scale_targets : bool, default=
        Whether targets are standardized for training: not if predictions must
        be positive, or if `out_activation` is not 'identity'. `loss_` and the
        validation loss are those of the standardized targets.

    clip_predictions : bool, default=
        Whether predictions are clipped to the range of the targets trained on.

    dropout : float or array-like of float, default=
        Probability with which each output of a hidden layer is set to zero, of
        all layers or one for each. It falls to 0 in the second half of the
        training, along half a cosine. Not applied with fewer than 40 samples.

    max_time : float or None, default=
        Time limit of the training in seconds. The schedules advance by epochs
        or by time, whichever is further, so that they end in time. Refitting
        takes as long again. A training that ends earlier is not changed.

    learning_rate_init : float, default=
        Learning rate that `learning_rate` multiplies. The rate of the weights
        of a layer is this divided by ``sqrt(fan_in)``; that of biases and
        embeddings is a tenth of it; that of the scales of the inputs is 6 times
        it (Holzmüller et al., 2024).

    weight_decay : float, default=
        Share of the weights that each step subtracts, times the learning rate
        (Loshchilov and Hutter, 2019). It falls to 0 in the second half of the
        training, along half a cosine. The scales of the inputs decay 36 times
        as fast; biases and embeddings do not decay.

    label_smoothing : float, default=
        With ``loss='log_loss'``, share of each target that is spread evenly over
        all classes. No effect with another loss.

    batch_size : int or 'auto', default=
        Number of samples in a mini-batch. 'auto' means 64 up to 1,024 samples,
        128 up to 8,192, 256 up to 30,000, 512 up to 100,000, and 1,024 beyond.

    max_iter : int or None, default=
        Number of epochs, at whose end the schedules end. None means 64, and 128
        for regression with up to 1,500 samples.

    bagging : bool, default=
        Whether each of the `n_estimators` networks is trained on other samples:
        each holds out one of as many parts of the data, by which its best
        epoch is chosen. `oof_prediction_` is then the prediction for each
        sample of the network that has not been trained on it. The record of
        training (`history_` and others) is that of the first network.

    refit : bool, default=
        Whether to train again, on all samples, for the number of epochs that
        was best on the samples held out.

    early_stopping : bool, default=
        Whether to hold out samples, and to keep the epoch with the best score
        on them. With fewer than 40 samples, none are held out unless
        `validation_fraction` is a splitter.

    stratify_validation : bool or None, default=
        Whether the samples held out have the proportions of the classes. None
        means yes, if every class has at least two samples.

    scoring : str, callable or None, default=
        Score on the validation set, as for the other estimators. None means R2
        for regression with the squared error, minus the log loss (without label
        smoothing) for classification, and minus the `loss` for all others.

    dtype : {'auto', 'float32', 'float64'}, default=
        Floating point type of all arithmetic. 'auto' means float32, or float64
        with fewer than 40 samples."""
_SHARED = (
    _entries(docs.parameters(docs.REGRESSOR_PARAMETERS))
    | _entries(docs.parameters(docs.CLASSIFIER_PARAMETERS))
    | _entries(_TABLE)
)
_ATTRIBUTES = """\
embeddings_ : list of ndarray
        Trained parameters of the inputs: the scale of each unit of the input
        layer, then, column by column, frequencies, phases, weights and biases
        of an embedded number, or the table of a category's levels. With a first
        axis of length `n_estimators` if that is greater than 1.

    biases_ : list of ndarray, of length n_layers - 1
        Intercepts of each layer, of shape (fan_out,).

    oof_prediction_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Predictions for the training samples (of classifiers the probabilities)
        by networks that were not trained on them. Only with `bagging`.

    best_iterations_ : list of int
        `best_iteration_` of each network. Only with `bagging`.

    """
_OMITTED = ("intercepts_", "biases_", "norm_scales_, norm_shifts_", "norm_means_, norm_variances_")
_REFERENCES = """\
Holzmüller, Grinsztajn, Steinwart: Better by default: strong pre-tuned MLPs
    and boosted trees on tabular data. NeurIPS 2024, arXiv:2407.04491.

    Gorishniy, Rubachev, Babenko: On embeddings for numerical features in
    tabular deep learning. NeurIPS 2022, arXiv:2203.05556."""


def documented(summary, examples, *, loss="", attributes="", score):
    """A decorator that gives a class of estimators its docstring.

    Parameters
    ----------
    summary, examples : str
        First and last section.
    loss : str
        The entry of the parameter `loss`, if it is not that of the classifier.
    attributes : str
        Entries of its own attributes.
    score : str
        Name of the validation score.
    """
    shared = _SHARED | (_entries(loss) if loss else {})

    def add(cls):
        entries = []
        for name, parameter in inspect.signature(cls).parameters.items():
            default = repr(parameter.default)
            entries.append(re.sub(r"default=.*", f"default={default}", shared[name], count=1))
        found = _entries(docs.ATTRIBUTES.format(score=score))
        others = [entry for name, entry in found.items() if name not in _OMITTED]
        blocks = "\n\n    ".join(entries), attributes + _ATTRIBUTES + "\n\n    ".join(others)
        titles = ("Parameters", "Attributes")
        sections = [
            f"{t}\n    {'-' * len(t)}\n    {b}" for t, b in zip(titles, blocks, strict=True)
        ]
        sections.append(f"References\n    ----------\n    {_REFERENCES}")
        sections.append(f"Examples\n    --------\n    {examples}")
        cls.__doc__ = "\n\n    ".join([summary, *sections]) + "\n    "
        return cls

    return add
