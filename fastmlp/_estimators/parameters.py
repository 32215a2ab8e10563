"""The names and values of parameters: each is checked by itself, and a wrong one explained."""

import functools

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import InvalidParameterError

from .hints import check_parameters, of_parameter, of_value, readable, warn_of_hooks

_PLAIN = frozenset((str, int, float, bool, type(None), tuple))
_VALID = set()  # (class, types, values) of parameters that have been checked


class ParameterChecks(BaseEstimator):
    """The part of an estimator that checks names and values of parameters."""

    def __new__(cls, *args, **kwargs):
        check_parameters(cls, kwargs)
        return super().__new__(cls)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        warn_of_hooks(cls, ParameterChecks)

    @classmethod
    @functools.cache
    def _param_names(cls):
        return tuple(super()._get_param_names())  # cached: reading the signature is slow

    @classmethod
    def _get_param_names(cls):
        return list(cls._param_names())

    def set_params(self, **params):
        """Set parameters of this estimator, as scikit-learn's estimators do.

        Parameters
        ----------
        **params : dict
            Values by the names of parameters.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        try:
            return super().set_params(**params)
        except ValueError as error:
            unknown = (name for name in params if name not in self._param_names())
            name = next(unknown, None)
            if name is None:
                raise
            raise ValueError(f"{error}{of_parameter(type(self), name)}") from None

    def _validate_params(self):
        """Check each parameter by itself. Plain values that have passed are remembered, because the
        check is a noticeable part of a tiny fit; others, which may be mutable, are not."""
        values = tuple([getattr(self, name) for name in self._param_names()])
        types = tuple(map(type, values))
        key = type(self), types, values
        try:
            plain = _PLAIN.issuperset(types) and hash(key) is not None
        except TypeError:  # a list in a tuple
            plain = False
        if plain and key in _VALID:
            return
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            name = str(error).split("'")[1]
            hint = of_value(error, getattr(self, name, None), name)
            raise InvalidParameterError(readable(str(error)) + hint) from None
        if plain:
            if len(_VALID) >= 1000:
                _VALID.clear()
            _VALID.add(key)
