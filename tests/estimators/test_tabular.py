"""TabularClassifier and TabularRegressor: tables of every kind, and scikit-learn's tools."""

import copy
import datetime
import pickle
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import StackingRegressor, VotingClassifier
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastmlp import TabularClassifier, TabularRegressor

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

TINY = {"hidden_layer_sizes": (16,), "max_iter": 4, "random_state": 0}
N = 120
RNG = np.random.RandomState(0)


def column(values, missing):
    return [None if i % missing == 1 else value for i, value in enumerate(values)]


DATA = {
    "number": column(RNG.normal(size=N).tolist(), 7),
    "integer": column(RNG.randint(0, 9, N).tolist(), 11),
    "word": column(RNG.choice(["x", "y", "z"], N).tolist(), 9),
    "many": [f"level {i % 30}" for i in range(N)],
    "boolean": column((RNG.uniform(size=N) > 0.5).tolist(), 13),
    "date": column([datetime.datetime(2020, 1, 1 + i % 28, i % 24) for i in range(N)], 10),
    "constant": [3] * N,
    "empty": [None] * N,
}
SIGNAL = np.array([-1 if v is None else v for v in DATA["number"]])
SIGNAL += 2 * np.array([w == "x" for w in DATA["word"]])
LABELS = np.where(SIGNAL > 0, "above", "below")
TABLES = {
    "objects": lambda: pd.DataFrame({k: pd.Series(v, dtype=object) for k, v in DATA.items()}),
    "inferred": lambda: pd.DataFrame(DATA),
    "nullable": lambda: TABLES["objects"]().astype(
        {"number": "Float64", "integer": "Int64", "word": "string", "boolean": "boolean"}
    ),
    "categorical": lambda: pd.DataFrame(DATA).assign(
        word=pd.Categorical(DATA["word"], categories=["z", "unused", "x", "y"]),
        many=pd.Series(DATA["many"], dtype="category"),
    ),
    "pandas Arrow": lambda: pa.table(DATA).to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda: pl.DataFrame(DATA),
    "polars categories": lambda: pl.DataFrame(DATA).with_columns(
        pl.col("word").cast(pl.Enum(["z", "unused", "x", "y"])),
        pl.col("many").cast(pl.Categorical),
    ),
    "Arrow": lambda: pa.table(DATA),
    "record batch": lambda: pa.RecordBatch.from_pydict(DATA),
    "array of objects": lambda: TABLES["objects"]().to_numpy(),
    "lists": lambda: [list(row) for row in zip(*DATA.values(), strict=True)],
}
FRAME = TABLES["inferred"]()


def classifier(**params):
    return TabularClassifier(**TINY | params)


def regressor(**params):
    return TabularRegressor(**TINY | params)


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(FRAME, LABELS)


@pytest.fixture(scope="module")
def reference(fitted):
    return fitted.predict_proba(FRAME)


INSTANCES = [
    *(TabularClassifier(max_iter=40), TabularRegressor()),
    TabularClassifier(**TINY | {"max_iter": 60}, n_estimators=2, numeric_embedding="ple"),
    TabularRegressor(**TINY | {"max_iter": 60}, numeric_embedding=None, dtype="float64"),
    TabularClassifier(
        **TINY | {"max_iter": 60}, numeric_embedding="plr", loss="hinge", early_stopping=False
    ),
    TabularRegressor(**TINY | {"max_iter": 60}, numeric_embedding="periodic", loss="huber"),
    TabularRegressor(**TINY | {"max_iter": 60}, numeric_scaling="quantile", scale_targets=False),
]
REPEATED_ROWS = "check_sample_weight_equivalence_on_dense_data"


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(INSTANCES)
def test_check_estimator(estimator, check):
    name = getattr(check, "func", check).__name__
    if name == REPEATED_ROWS and estimator.numeric_scaling == "quantile":
        pytest.skip("scikit-learn's QuantileTransformer takes no weights")
    check(estimator)


def test_tags():
    for estimator in (TabularClassifier(), TabularRegressor()):
        tags = get_tags(estimator).input_tags
        assert tags.allow_nan
        assert tags.categorical
        assert not tags.sparse
    for loss in ("squared_error", "poisson", "gamma"):
        positive = get_tags(TabularRegressor(loss=loss)).target_tags.positive_only
        assert positive == (loss != "squared_error")


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_every_kind_give_the_same_bits(name, reference):
    X = TABLES[name]()
    model = classifier().fit(X, LABELS)
    assert same(model.predict_proba(X), reference)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*valid feature names|.*was fitted without")
        for other in TABLES.values():
            assert same(model.predict_proba(other()), reference)
    assert same(regressor().fit(X, SIGNAL).predict(X), regressor().fit(FRAME, SIGNAL).predict(X))


def test_columns_are_found_by_name(fitted, reference):
    assert same(fitted.predict_proba(FRAME[FRAME.columns[::-1]]), reference)
    shuffled = pl.DataFrame(DATA).select(list(DATA)[::-1])
    assert same(fitted.predict_proba(shuffled), reference)
    assert same(fitted.hidden_layer(FRAME[FRAME.columns[::-1]]), fitted.hidden_layer(FRAME))
    assert fitted.hidden_layer(FRAME).shape == (N, 16)
    assert list(fitted.feature_names_in_) == list(DATA)
    assert fitted.n_features_in_ == len(DATA)


@pytest.mark.parametrize("kind", [lambda frame: frame, pl.from_pandas, pa.Table.from_pandas])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop(columns="word"), "yet now missing:\n- word"),
        (lambda f: f.assign(new=1), "unseen at fit time:\n- new"),
        (lambda f: f.rename(columns={"word": "Word"}), "unseen at fit time:\n- Word"),
        (lambda f: f.assign(number="a"), "'number' held numbers in fit, but now holds strings"),
        (lambda f: f.assign(word=1.5), "'word' held strings in fit, but now holds numbers"),
        (lambda f: f.assign(date=1.5), "'date' held dates in fit, but now holds numbers"),
        (lambda f: f.assign(number=-np.inf), "'number' of X contains infinity.*Replace"),
    ],
)
def test_other_columns_are_refused(fitted, kind, change, words):
    with pytest.raises(ValueError, match=f"(?s){words}"):
        fitted.predict(kind(change(FRAME)))
    with pytest.raises(ValueError, match=f"(?s)In X_val, y_val or sample_weight_val: .*{words}"):
        classifier().fit(FRAME, LABELS, X_val=kind(change(FRAME)), y_val=LABELS)


def test_integers_may_become_floats_and_any_column_empty(fitted):
    assert fitted.predict_proba(FRAME.assign(integer=1)).shape == (N, 2)
    for name in DATA:
        assert np.isfinite(fitted.predict_proba(FRAME.assign(**{name: None}))).all()
    empty = pd.DataFrame({name: [None] * 3 for name in DATA})
    assert np.isfinite(fitted.predict_proba(empty)).all()


def test_unseen_categories_are_rare_ones(fitted):
    a = fitted.predict_proba(FRAME.assign(word="unseen", many="unseen"))
    b = fitted.predict_proba(FRAME.assign(word="another", many="?"))
    assert same(a, b)
    assert not same(a, fitted.predict_proba(FRAME.assign(word=None, many=None)))


def test_a_table_of_constants():
    X = pd.DataFrame({"a": [1] * N, "b": [None] * N})
    model = classifier().fit(X, LABELS)
    assert len(np.unique(model.predict_proba(X.assign(a=range(N))), axis=0)) == 1


@pytest.mark.parametrize("make", [classifier, regressor])
def test_what_is_no_table_is_refused(make):
    from scipy import sparse

    y = np.arange(N) % 2
    for X in (sparse.csr_array(np.eye(N)), sparse.csc_matrix(np.eye(N))):
        with pytest.raises(TypeError, match=r"Sparse data was passed for X.*toarray"):
            make().fit(X, y)
        with pytest.raises(TypeError, match=r"Sparse data was passed for X.*toarray"):
            make().fit(np.eye(N), y).predict(X)
    for X, words in (
        (FRAME["number"], "2-dimensional"),
        (np.zeros((N, 2, 2)), "dim 3"),
        (np.zeros((N, 2), complex), "Complex data not supported"),
        (FRAME[[]], "0 feature"),
        (FRAME[:0], "0 sample"),
        (FRAME.assign(number=np.inf), "'number' of X contains infinity"),
        (FRAME.set_axis([*range(7), "7"], axis=1), "column name types"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            make().fit(X, y[: len(X)])
    for value in ([1], b"a", {}):
        with pytest.raises(TypeError, match=r"'a' holds values of type .*Convert the column"):
            make().fit(pd.DataFrame({"a": [value] * N}), y)
    with pytest.raises(TypeError, match="collect"):
        make().fit(pl.DataFrame(DATA).lazy(), y)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 39, 40, 41, 45])
def test_small_tables(n):
    assert set(classifier().fit(FRAME[:n], LABELS[:n]).predict(FRAME)) <= set(LABELS)
    predicted = regressor().fit(FRAME[:n], SIGNAL[:n]).predict(FRAME)
    assert SIGNAL[:n].min() <= predicted.min() <= predicted.max() <= SIGNAL[:n].max()


def test_wide_tables_and_high_cardinalities():
    X = RNG.normal(size=(N, 300))
    assert classifier().fit(X, LABELS).predict_proba(X).shape == (N, 2)
    X = pd.DataFrame(RNG.choice(list("abc"), (N, 300)))
    assert classifier().fit(X, LABELS).predict_proba(X).shape == (N, 2)
    for name in DATA:
        assert classifier().fit(FRAME[[name]], LABELS).predict_proba(FRAME[[name]]).shape == (N, 2)
    X = pd.DataFrame({"a": [f"level {i % 10_000}" for i in range(20_000)]})
    y = np.arange(20_000) % 10_000 < 5_000
    model = classifier(max_iter=3).fit(X, y)
    assert model.embeddings_[1].shape == (10_001, 8)
    assert len(model.predict(X.assign(a=[None, "new"] * 10_000))) == 20_000


def test_repeated_names_go_by_position():
    X = pd.concat([FRAME[["number", "word"]], FRAME[["word", "number"]]], axis=1)
    model = classifier().fit(X, LABELS)
    assert model.predict(X).shape == (N,)
    with pytest.raises(ValueError, match="several columns of the name 'word'"):
        model.predict(X.iloc[:, [1, 0, 2, 3]])


@pytest.mark.parametrize("model", [classifier(), regressor(), classifier(n_estimators=2)])
def test_copies_predict_the_same_bits(model):
    y = SIGNAL if isinstance(model, TabularRegressor) else LABELS
    model = clone(model).fit(FRAME, y)
    method = "predict" if y is SIGNAL else "predict_proba"
    expected = getattr(model, method)(FRAME)
    again = clone(model).fit(FRAME, y)
    assert clone(model).get_params() == model.get_params()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), again):
        assert same(getattr(other, method)(FRAME), expected)
        for partial in (other, model):
            assert same(getattr(partial, method)(FRAME[5:6]), expected[5:6])
    unpickled = pickle.loads(pickle.dumps(model)).partial_fit(FRAME, y)
    expected = getattr(copy.deepcopy(model).partial_fit(FRAME, y), method)(FRAME)
    assert same(getattr(unpickled, method)(FRAME), expected)


def test_pipelines_and_searches():
    grid = {
        "numeric_embedding": [None, "pbld", "plr", "periodic", "ple"],
        "hidden_layer_sizes": [(), 8, (4, 4)],
    }
    search = GridSearchCV(classifier(), grid, cv=2, error_score="raise").fit(FRAME, LABELS)
    assert search.best_params_.keys() == grid.keys()
    for kind in (lambda frame: frame, pl.from_pandas, pa.Table.from_pandas):
        found = cross_val_predict(classifier(), kind(FRAME), LABELS, cv=3, method="predict_proba")
        assert found.shape == (N, 2)
    pipeline = make_pipeline(FunctionTransformer(), classifier())
    assert same(
        pipeline.fit(FRAME, LABELS).predict_proba(FRAME),
        classifier().fit(FRAME, LABELS).predict_proba(FRAME),
    )
    for output in ("default", "pandas", "polars"):
        scaler = ColumnTransformer([("s", StandardScaler(), ["number"])], remainder="passthrough")
        X = pl.from_pandas(FRAME) if output == "polars" else FRAME
        model = make_pipeline(scaler.set_output(transform=output), classifier())
        assert model.fit(X, LABELS).predict(X).shape == (N,)


def test_meta_estimators():
    models = [("a", classifier()), ("b", classifier(random_state=1))]
    for model in (
        CalibratedClassifierCV(classifier(), cv=2),
        VotingClassifier(models, voting="soft"),
    ):
        assert model.fit(FRAME, LABELS).predict_proba(FRAME).shape == (N, 2)
    models = [("a", regressor()), ("b", regressor(random_state=1))]
    for model in (
        TransformedTargetRegressor(regressor(), func=np.exp, inverse_func=np.log),
        StackingRegressor(models, cv=2),
    ):
        assert model.fit(FRAME, SIGNAL).predict(FRAME).shape == (N,)


def test_inspection_of_the_original_columns(fitted):
    model = regressor(max_iter=40, dropout=0.0).fit(FRAME, SIGNAL)
    found = permutation_importance(model, FRAME, SIGNAL, n_repeats=2, random_state=0)
    names = np.array(list(DATA))
    assert set(names[np.argsort(found.importances_mean)[-2:]]) == {"number", "word"}
    assert set(names[found.importances_mean == 0]) >= {"constant", "empty"}
    frame = FRAME.assign(word=FRAME["word"].fillna("x"))
    found = partial_dependence(fitted, frame, ["word"], categorical_features=["word"])
    assert found["average"].shape == (1, 3)


def test_routing_of_metadata():
    weights, held_out = np.arange(N) % 3, {"X_val": FRAME[:40], "y_val": LABELS[:40]}
    expected = classifier().fit(FRAME, LABELS, weights, **held_out)
    with sklearn.config_context(enable_metadata_routing=True):
        model = classifier().set_fit_request(sample_weight=True, X_val=True, y_val=True)
        steps = [("a", FunctionTransformer()), ("b", model)]
        pipeline = Pipeline(steps, transform_input=["X_val"])
        pipeline.fit(FRAME, LABELS, sample_weight=weights, **held_out)
        assert pipeline[-1].validation_scores_ == expected.validation_scores_
        assert same(pipeline.predict_proba(FRAME), expected.predict_proba(FRAME))
        model = classifier().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=True)
        scores = cross_validate(model, FRAME, LABELS, params={"sample_weight": weights}, cv=2)
        assert np.isfinite(scores["test_score"]).all()


@pytest.mark.parametrize("kind", [pl.from_pandas, pa.Table.from_pandas])
def test_a_validation_set_of_another_kind_of_table(kind):
    a = classifier().fit(FRAME, LABELS, X_val=FRAME[:30], y_val=LABELS[:30])
    b = classifier().fit(FRAME, LABELS, X_val=kind(FRAME[:30]), y_val=LABELS[:30])
    assert a.validation_scores_ == b.validation_scores_
    for scoring in ("roc_auc", lambda model, X, y: model.score(X, y)):
        a, b = (
            classifier(scoring=scoring).fit(X, LABELS).validation_scores_
            for X in (FRAME, kind(FRAME))
        )
        assert a == b
