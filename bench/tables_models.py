"""The models that bench/tables.py compares, each used as its documentation advises.

A contender is a function (splits, is_regression, seed, **options) -> predict, which does all that
a user of the library would do with a frame that has categories and missing values. `predict` takes
a frame and returns numbers, or the probabilities of the classes (n_rows, n_classes). All see the
same validation rows, which they use for early stopping or to choose the best epoch; scikit-learn's
MLP cannot use a validation set of one's own, and trains on the training rows alone.

fastmlp     TabularClassifier and TabularRegressor as they are. `fastmlp-4` has n_estimators=4;
            `fastmlp-256` trains as long as RealMLP-TD, for 256 epochs in batches of 256.
realmlp     RealMLP-TD of pytabkit, and `realmlp-s` its simpler TD-S. They need numbers without
            missing values: the median of the training rows replaces them.
catboost    2,000 rounds, which end if 100 bring nothing; learning rate as CatBoost chooses it.
lightgbm    The same, with learning_rate=0.05.
histgb      2,000 rounds with learning_rate=0.05, which end if 20 bring nothing: the model keeps
            the rounds after the best one.
sklearn     MLPClassifier and MLPRegressor as they are, after an imputer, a scaler and a one-hot
            encoder; targets of the regressor are standardized.
"""

import functools

import numpy as np

ROUNDS, PATIENCE, RATE = 2000, 100, 0.05


def fastmlp(splits, is_regression, seed, **options):
    from fastmlp import TabularClassifier, TabularRegressor

    cls = TabularRegressor if is_regression else TabularClassifier
    model = cls(random_state=seed, n_threads=1, **options)
    model.fit(splits.X, splits.y, X_val=splits.X_val, y_val=splits.y_val)
    return model.predict if is_regression else model.predict_proba


def realmlp(splits, is_regression, seed, simple=False):
    import pandas as pd
    from pytabkit import models

    kind = f"RealMLP_TD_{'S_' if simple else ''}{'Regressor' if is_regression else 'Classifier'}"
    cls = getattr(models.sklearn.sklearn_interfaces, kind)
    fill = splits.X.median(numeric_only=True)

    def prepared(X):
        return without_missing_categories(X.fillna(fill), "category")

    X = prepared(pd.concat([splits.X, splits.X_val], ignore_index=True))
    y = np.concatenate([splits.y, splits.y_val])
    model = cls(device="cpu", n_threads=1, random_state=seed)
    model.fit(X, y, val_idxs=np.arange(len(splits.y), len(y)))
    predict = model.predict if is_regression else model.predict_proba
    return lambda X: predict(prepared(X))


def catboost(splits, is_regression, seed):
    import catboost

    cls = catboost.CatBoostRegressor if is_regression else catboost.CatBoostClassifier
    model = cls(
        iterations=ROUNDS,
        early_stopping_rounds=PATIENCE,
        cat_features=categories(splits.X),
        random_seed=seed,
        thread_count=1,
        allow_writing_files=False,
        verbose=False,
    )

    def prepared(X):
        return without_missing_categories(X, object)

    model.fit(prepared(splits.X), splits.y, eval_set=(prepared(splits.X_val), splits.y_val))
    predict = model.predict if is_regression else model.predict_proba
    return lambda X: predict(prepared(X))


def lightgbm(splits, is_regression, seed):
    import lightgbm

    cls = lightgbm.LGBMRegressor if is_regression else lightgbm.LGBMClassifier
    model = cls(n_estimators=ROUNDS, learning_rate=RATE, random_state=seed, n_jobs=1, verbose=-1)
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    model.fit(splits.X, splits.y, eval_set=[(splits.X_val, splits.y_val)], callbacks=[stop])
    return model.predict if is_regression else model.predict_proba


def histgb(splits, is_regression, seed):
    from sklearn import ensemble

    cls = ensemble.HistGradientBoostingClassifier
    if is_regression:
        cls = ensemble.HistGradientBoostingRegressor
    model = cls(
        max_iter=ROUNDS,
        learning_rate=RATE,
        early_stopping=True,
        n_iter_no_change=20,
        random_state=seed,
    )
    model.fit(splits.X, splits.y, X_val=splits.X_val, y_val=splits.y_val)
    return model.predict if is_regression else model.predict_proba


def sklearn_mlp(splits, is_regression, seed):
    from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    words = categories(splits.X)
    numbers = [name for name in splits.X if name not in words]
    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
            ("words", OneHotEncoder(handle_unknown="ignore", sparse_output=False), words),
        ]
    )
    net = (MLPRegressor if is_regression else MLPClassifier)(random_state=seed)
    model = make_pipeline(columns, net)
    if is_regression:
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    model.fit(splits.X, splits.y)
    return model.predict if is_regression else model.predict_proba


def categories(X):
    """Return the names of the columns of categories."""
    return list(X.select_dtypes("category"))


def without_missing_categories(X, dtype):
    """Return X whose missing categories are a category of their own; columns get `dtype`."""
    words = categories(X)
    return X.assign(**{name: X[name].astype(object).fillna("missing") for name in words}).astype(
        dict.fromkeys(words, dtype)
    )


# Contenders by the names of options and results: function, name for readers, packages
CONTENDERS = {
    "fastmlp": (fastmlp, "fastmlp", "fastmlp"),
    "fastmlp-4": (functools.partial(fastmlp, n_estimators=4), "fastmlp x 4", "fastmlp"),
    "fastmlp-256": (
        functools.partial(fastmlp, max_iter=256, batch_size=256, n_iter_no_change=256),
        "fastmlp, 256 epochs",
        "fastmlp",
    ),
    "realmlp": (realmlp, "RealMLP-TD", "pytabkit", "torch"),
    "realmlp-s": (functools.partial(realmlp, simple=True), "RealMLP-TD-S", "pytabkit", "torch"),
    "catboost": (catboost, "CatBoost", "catboost"),
    "lightgbm": (lightgbm, "LightGBM", "lightgbm"),
    "histgb": (histgb, "HistGradientBoosting", "sklearn"),
    "sklearn": (sklearn_mlp, "scikit-learn's MLP", "sklearn"),
}
NAMES = {name: title for name, (_, title, *_) in CONTENDERS.items()}
