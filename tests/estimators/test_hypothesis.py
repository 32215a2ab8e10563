"""Drawn data and parameters: a documented error, or finite results of the right shape."""

import warnings

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from reference.problems import bits, intercepts_of, ours

few = settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
NUMBERS = {
    "f4": st.floats(-50, 50, width=32),
    "f8": st.floats(-50, 50),
    "i1": st.integers(-100, 100),
    "u8": st.integers(0, 2**20),
    "?": st.booleans(),
}
PARAMETERS = st.fixed_dictionaries(
    {
        "hidden_layer_sizes": st.lists(st.integers(1, 20), max_size=3),
        "activation": st.sampled_from(["identity", "logistic", "tanh", "relu"]),
        "solver": st.sampled_from(["adam", "sgd", "lbfgs"]),
        "alpha": st.sampled_from([0, 1e-4, 10]),
        "batch_size": st.sampled_from(["auto", 1, 3, 16, 100]),
        "learning_rate": st.sampled_from(["constant", "invscaling", "adaptive"]),
        "learning_rate_init": st.sampled_from([1e-6, 1e-3]),
        "momentum": st.sampled_from([0, 0.9, 1]),
        "nesterovs_momentum": st.booleans(),
        "shuffle": st.booleans(),
        "early_stopping": st.booleans(),
        "validation_fraction": st.sampled_from([0.1, 0.5]),
        "beta_1": st.sampled_from([0, 0.9]),
        "beta_2": st.sampled_from([0, 0.999]),
        "max_iter": st.integers(1, 4),
        "dtype": st.sampled_from(["auto", "float32", "float64"]),
        "n_threads": st.sampled_from([1, 2, 5]),
        "warm_start": st.booleans(),
    }
)


@st.composite
def data(draw):
    """(kind, X, y, sample_weight or None)."""
    kind = draw(st.sampled_from(["binary", "multilabel", "squared", "poisson"]))
    n, f = draw(st.integers(1, 40)), draw(st.integers(1, 20))
    dtype = draw(st.sampled_from(list(NUMBERS)))
    X = draw(hnp.arrays(dtype, (n, f), elements=NUMBERS[dtype]))
    shape = draw(st.sampled_from(["C", "F", "strided", "csr", "csc"]))
    if shape == "strided":
        X = np.repeat(X, 2, axis=0)[::2, ::-1]
    elif shape in ("csr", "csc"):
        X = sparse.csr_array(X).asformat(shape)
    else:
        X = np.asarray(X, order=shape)
    y_shape = (n, draw(st.integers(2, 3))) if kind == "multilabel" else (n,)
    top = {"binary": draw(st.integers(1, 4)), "multilabel": 1}.get(kind, 5)
    y = draw(hnp.arrays("i8", y_shape, elements=st.integers(0, top)))
    weights = draw(st.none() | hnp.arrays("f8", n, elements=st.floats(0, 5)))
    return kind, X, y, weights


def run(kind, X, y, weights, params):
    """The fitted model, or None where fit refuses with an error of scikit-learn's kind."""
    model = ours(kind, random_state=0, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return model.fit(X, y, sample_weight=weights)
        except ValueError as error:
            assert str(error)
            return None


@few
@given(data(), PARAMETERS)
def test_fit_gives_a_finite_model_or_a_value_error(drawn, params):
    kind, X, y, weights = drawn
    model = run(kind, X, y, weights, params)
    if model is None:
        return
    assert all(np.isfinite(w).all() for w in [*model.coefs_, *intercepts_of(model)])
    predicted = model.predict(X)
    assert predicted.shape == y.shape
    if kind in ("binary", "multilabel"):
        probabilities = model.predict_proba(X)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        if kind == "binary" and len(model.classes_) > 1:
            np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert np.isin(predicted, model.classes_).all() or kind == "multilabel"


@few
@given(data(), PARAMETERS)
def test_fit_is_the_same_for_one_and_for_three_threads(drawn, params):
    kind, X, y, weights = drawn
    models = [run(kind, X, y, weights, params | {"n_threads": n}) for n in (1, 3)]
    assert (models[0] is None) == (models[1] is None)
    if models[0] is not None:
        with np.errstate(all="ignore"):
            assert bits(models[0], X) == bits(models[1], X)


@few
@given(data(), PARAMETERS, st.lists(st.sampled_from(["fit", "partial", "predict"])))
def test_calls_in_any_order(drawn, params, calls):
    """fit, partial_fit and predict after each other, refused or not."""
    kind, X, y, weights = drawn
    classes = {"classes": np.unique(y)} if kind == "binary" else {}
    model = ours(kind, random_state=0, **params)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for call in calls:
            try:
                if call == "fit":
                    model.fit(X, y, weights)
                elif call == "predict":
                    assert len(model.predict(X)) == X.shape[0]
                elif hasattr(model, "partial_fit"):
                    model.partial_fit(X, y, weights, **classes)
            except ValueError as error:  # NotFittedError is one
                assert str(error)


@few
@given(
    hnp.arrays(
        st.sampled_from(["f2", "f4", "f8", "g", "i4", "c8", "O", "S2", "U2", "M8[s]"]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    st.sampled_from(["fit", "partial_fit"]),
)
def test_arrays_of_any_type_and_shape_never_crash(X, method):
    model = ours("squared", hidden_layer_sizes=(3,), max_iter=2, random_state=0)
    y = np.zeros(X.shape[0] if X.ndim else 1)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            getattr(model, method)(X, y)
        except (ValueError, TypeError, OverflowError) as error:
            assert str(error)
            return
    assert np.isfinite(model.predict(X)).all()
