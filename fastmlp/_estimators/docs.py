"""Text that the docstrings of both estimators share, with the indentation that it has there."""

import textwrap

from .._core import DECAYING, NORMALIZATIONS, OPTIMIZER_SETTINGS, OPTIMIZERS, POSITIVE


def _listed(names):
    """'a', 'b' and 'c'"""
    *others, last = map(repr, names)
    return f"{', '.join(others)} and {last}" if others else last


def _wrapped(sentence):
    return textwrap.fill(sentence, 72).replace("\n", "\n" + 8 * " ")


PARAMETERS = """\
hidden_layer_sizes : int or array-like of int of shape (n_layers - 2,), default=(100,)
        Number of units of each hidden layer, from the input side to the output
        side. An empty tuple makes a linear model.

    activation : str or array-like of str of shape (n_layers - 2,), default='relu'
        Activation of all hidden layers, or one for each:

        - 'identity': f(x) = x, a linear bottleneck;
        - 'logistic': f(x) = 1 / (1 + exp(-x));
        - 'tanh': f(x) = tanh(x);
        - 'relu': f(x) = max(0, x);
        - 'leaky_relu': f(x) = max(0.01 x, x) (Maas et al., 2013);
        - 'elu': f(x) = x above 0, exp(x) - 1 below (Clevert et al., 2016);
        - 'selu': f(x) = 1.0507 x above 0, 1.0507 * 1.6733 (exp(x) - 1) below
          (Klambauer et al., 2017; the constants are rounded here);
        - 'gelu': f(x) = x Phi(x), where Phi is the distribution function of the
          standard normal (Hendrycks and Gimpel, 2016);
        - 'silu': f(x) = x / (1 + exp(-x)) (Elfwing et al., 2018), also known as
          swish;
        - 'mish': f(x) = x tanh(softplus(x)) (Misra, 2020);
        - 'softplus': f(x) = log(1 + exp(x));
        - 'softsign': f(x) = x / (1 + abs(x));
        - 'hard_tanh': f(x) = max(-1, min(1, x)).

    solver : str, default='adam'
        Method that finds the weights. 'lbfgs' is SciPy's quasi-Newton method on
        the whole data set, often the better choice below a few thousand
        samples. The others take a step after each mini-batch:

        - 'sgd': gradient descent with `momentum`;
        - 'adam' (Kingma and Ba, 2014);
        - 'adamw' (Loshchilov and Hutter, 2019): adam with `weight_decay`;
        - 'nadam' (Dozat, 2016), adam with Nesterov's momentum;
        - 'radam' (Liu et al., 2020), adam with a rectified variance;
        - 'rmsprop' (Tieleman and Hinton, 2012), with decay `beta_2`;
        - 'adagrad' (Duchi et al., 2011);
        - 'lion' (Chen et al., 2023), with `weight_decay`; it needs about a
          tenth of adam's learning rate, and a `beta_2` of 0.99;
        - 'rprop' (Riedmiller and Braun, 1993): the training set is one batch
          (`batch_size` must be 'auto' or at least the number of samples), and
          `learning_rate_init` is the size of the first step.

        Each computes the same steps as PyTorch's optimizer of that name, except
        'adam', which adds epsilon where scikit-learn does, and 'lion', which
        PyTorch lacks.

    alpha : float, default=0.0001
        Strength of the L2 penalty on the coefficients (not on the intercepts).
        ``alpha / 2 * sum(coefs ** 2)``, divided by the number of samples in the
        batch (by the sum of their weights, if given), is added to the loss. So
        weights that sum to 1, as AdaBoost's, make it stronger by the number of
        samples: multiply them by ``len(X) / sample_weight.sum()``, or reduce
        `alpha`.

    batch_size : int or 'auto', default='auto'
        Number of samples in a mini-batch; 'auto' means ``min(200,
        n_samples)``. A number above ``n_samples`` is clipped with a warning.
        Not used by 'lbfgs'.

    learning_rate : str or callable, default='constant'
        Schedule of the learning rate. The first three apply to
        ``solver='sgd'`` only; with another solver they all mean 'constant', as
        in scikit-learn. The others set the rate of each step as a function of
        t, the fraction of the training that is done: the number of steps taken
        over the number of steps in ``max_iter`` epochs.

        - 'constant': always `learning_rate_init`;
        - 'invscaling': ``learning_rate_init / (t + 1) ** power_t`` after each
          epoch, where t is the number of samples seen so far;
        - 'adaptive': `learning_rate_init` while training improves; divided by 5
          each time the stopping rule (see `tol`) would end the training. The
          training ends when the rule applies at a rate of 1e-6 or less;
        - 'cosine': ``learning_rate_init * (1 + cos(pi * t)) / 2`` (Loshchilov
          and Hutter, 2017);
        - 'exponential': ``learning_rate_init * 0.01 ** t``;
        - 'step': `learning_rate_init`, divided by 10 from t = 1/2 on and by 100
          from t = 3/4 on (He et al., 2016);
        - 'one_cycle' (Smith and Topin, 2018): rises from ``1 / 25`` of
          `learning_rate_init` to `learning_rate_init` over the first 30 % of
          the training, then falls to ``1e-4 / 25`` of it, in both parts along
          half a period of a cosine;
        - 'coslog4': ``learning_rate_init * (1 - cos(2 * pi * log2(1 + 15 * t)))
          / 2`` (Holzmüller et al., 2024);
        - a callable that takes an array of values of t and returns the factors
          of `learning_rate_init`, as an array of the same shape or as a single
          number; for example ``lambda t: np.where(t < 0.9, 1, 0.1)``.

        One of these other schedules is meant to be run to its end: training
        ends after `max_iter` epochs, whatever `n_iter_no_change` is, and issues
        no ConvergenceWarning. `early_stopping` then selects the best epoch.
        Across calls of `partial_fit`, t keeps growing, up to 1; a later call
        warns that the schedule has ended. Not available with 'lbfgs' or
        'rprop', except for the first three schedules.

    learning_rate_init : float, default=0.001
        Initial learning rate. Not used by 'lbfgs'.

    power_t : float, default=0.5
        Exponent of the 'invscaling' schedule.

    max_iter : int, default=200
        Maximum number of epochs (passes over the training samples), or of
        iterations of 'lbfgs'.

    shuffle : bool, default=True
        Whether to visit the samples in a new random order in each epoch. Not
        used by 'lbfgs'.

    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, of the validation split, of a seed for
        dropout and of the order of samples, which are drawn in this sequence.
        An int gives the same result in every run.

    tol : float, default=1e-4
        Smallest change that counts as an improvement of the training loss, or,
        with `early_stopping`, of the validation score. Training stops after
        more than `n_iter_no_change` consecutive epochs without an improvement.
        'lbfgs' has converged when no component of the gradient is larger than
        this in absolute value.

    verbose : bool or int, default=False
        Whether to print the loss (and the validation score, if any) of each
        epoch, or iteration of 'lbfgs'. A number k greater than 1 prints those of
        the first and of every k-th.

    warm_start : bool, default=False
        Whether `fit` starts from the weights of the previous call instead of
        new ones. docs/training.md has a table of what else it continues.

    momentum : float, default=0.9
        Fraction of the last update that is added to the next one, in [0, 1].
        {momentum}

    nesterovs_momentum : bool, default=True
        Whether to use Nesterov's momentum. {nesterovs_momentum}

    early_stopping : bool, default=False
        Whether to judge progress by the score on a validation set, and to keep
        the weights of the best epoch (see `scoring` and
        `restore_best_weights`). The validation set is `X_val` if that is passed
        to `fit`, otherwise it is split off the training data (see
        `validation_fraction`). Not used by 'lbfgs' and `partial_fit`.

    validation_fraction : float or cross-validation splitter, default=0.1
        Fraction of the samples to set aside for `early_stopping`, in [0, 1); or
        a scikit-learn splitter, whose first split is used, with a warning if
        the split leaves samples out, as that of TimeSeriesSplit does. `fit`
        takes no groups: if samples belong to groups, use a PredefinedSplit that
        says which samples are set aside. Not used if `X_val` is passed to
        `fit`.

    beta_1 : float, default=0.9
        Decay of the first moment per step, in [0, 1).
        {beta_1}

    beta_2 : float, default=0.999
        Decay of the second moment per step ('lion': of its momentum), in [0, 1).
        {beta_2}

    epsilon : float, default=1e-8
        Added to the square root of the second moment, for numerical stability.
        {epsilon}

    n_iter_no_change : int or np.inf, default=10
        Number of consecutive epochs without an improvement by `tol` that are
        tolerated before training stops. Not used by 'lbfgs', nor if
        `learning_rate` is a schedule with an end.

    max_fun : int, default=15000
        Maximum number of evaluations of the loss by 'lbfgs'.

    dtype : {{'auto', 'float32', 'float64'}}, default='auto'
        Floating point type of the weights and of all arithmetic. 'auto' means
        float32 if X is float32, otherwise float64; with 'auto', a warm start
        and `partial_fit` keep the type of the weights. X may have any numeric
        type and is never converted as a whole.

    n_threads : int or None, default=None
        Maximum number of threads. None means OMP_NUM_THREADS if that is set,
        otherwise the number of available physical cores. A negative number
        counts back from that: -1 means all of them, -2 all but one. The result
        is the same, bit for bit, for any number.

    {own}

    loss_params : dict or None, default=None
        Settings of the loss, by name; see `loss`. A name that the loss does not
        have is refused.

    weight_decay : float or None, default=None
        Decoupled weight decay (Loshchilov and Hutter, 2019): each step also
        subtracts ``learning_rate * weight_decay * coefs``.
        {weight_decay}

    l1_ratio : float, default=0.0
        Fraction of the penalty `alpha` that is L1, in [0, 1], as in
        :class:`sklearn.linear_model.ElasticNet`: the penalty is ``alpha *
        (l1_ratio * sum(abs(coefs)) + (1 - l1_ratio) / 2 * sum(coefs ** 2))``,
        divided by the number of samples in the batch like that of `alpha`. Each
        optimizer step is followed by a proximal step in the metric of the
        optimizer, which sets small weights to exactly zero (Yun, Lozano and
        Yang, 2021). Averaged weights (see `average_weights`) are in general not
        exactly zero.
        {l1_ratio}

    max_norm : float or None, default=None
        Bound on the Euclidean norm of each unit's incoming weights (Srivastava
        et al., 2014): after each step, weights with a larger norm are scaled
        down to it. Not available with 'lbfgs'.

    dropout : float or array-like of float of shape (n_layers - 2,), default=0.0
        Fraction of the hidden units' outputs that is set to zero in training,
        in [0, 1), one for all hidden layers or one for each (Srivastava et al.,
        2014). It is rounded to a multiple of 1 / 65536. The other outputs are
        divided by ``1 - dropout`` (inverted dropout), so predictions need no
        scaling. What is dropped depends only on `random_state`, the step, the
        layer and the row, not on the threads. Not available with 'lbfgs'.

    input_dropout : float, default=0.0
        Dropout rate of the inputs, in [0, 1); as `dropout` in all other
        respects.

    normalization : {{{normalizations}}} or None, default=None
        Normalization of each hidden layer's pre-activations, before its
        activation, with a learned scale and shift for each unit (not
        penalized):

        - 'batch' (Ioffe and Szegedy, 2015): in training, by the mean and
          variance of the batch, with sample weights if given; at prediction, by
          their running statistics. These have momentum 0.1, as in PyTorch,
          reduced in proportion for a batch that is shorter than `batch_size`,
          which must be at least 2. A batch is processed as a whole, so memory
          grows with its size. Not available with 'lbfgs'.
        - 'layer' (Ba, Kiros and Hinton, 2016): by the mean and variance over
          the units of the layer, for each sample separately.

    residual : bool, default=False
        Whether each hidden layer that is as wide as the hidden layer below it
        adds its inputs to its outputs (He et al., 2016). Refused if there is no
        such layer.

    clip_norm : float or None, default=None
        Bound on the Euclidean norm of the gradient with respect to all
        parameters, including the gradient of the L2 penalty (Pascanu et al.,
        2013): a larger gradient is scaled down to this norm before the step.
        Not available with 'lbfgs'.

    clip_value : float or None, default=None
        Bound on the absolute value of each element of the gradient, applied
        after `clip_norm`. Not available with 'lbfgs'.

    warmup : float, default=0.0
        Fraction of the training, in [0, 1), during which the rate that
        `learning_rate` sets is multiplied by a factor that rises linearly from
        0 to 1. The stopping rule (see `tol`) does not apply before the end of
        the warmup, nor before the peak of 'one_cycle'. Not available with
        'lbfgs' and 'rprop'.

    init : str, callable, tuple or estimator, default='auto'
        The initial weights:

        - 'auto': uniform with scikit-learn's bounds (Glorot and Bengio, 2010),
          for the intercepts too;
        - 'glorot_normal', 'glorot_uniform' (Glorot and Bengio, 2010),
          'he_normal', 'he_uniform' (He et al., 2015), 'lecun_normal',
          'lecun_uniform' (LeCun et al., 1998), with variance 2 / (fan_in +
          fan_out), 2 / fan_in and 1 / fan_in, respectively; 'orthogonal' (Saxe
          et al., 2014); 'normal' with standard deviation `init_scale`;
          'uniform' between -`init_scale` and `init_scale`. With all of these,
          intercepts are zero;
        - a callable ``init(fan_in, fan_out, random_state)`` that returns an
          array of shape (fan_in, fan_out); intercepts are zero;
        - a pair of lists of arrays ``(coefs, intercepts)``;
        - a fitted MLPClassifier or MLPRegressor of scikit-learn or fastmlp, for
          transfer learning (see `frozen_layers`). Each of its layers is copied
          if it has the shape of the layer with the same number; the output
          layer of a classifier only if the classes are the same too. The other
          layers are drawn as with 'auto', with a warning if no layer is copied.
          Cloning, as a grid search does it, would reset the network to an
          unfitted one: wrap it in a :class:`sklearn.frozen.FrozenEstimator`
          there.

        Not used when `warm_start` or `partial_fit` continue from existing
        weights.

    init_scale : float, default=0.05
        Standard deviation of ``init='normal'``, bound of ``init='uniform'``.

    frozen_layers : array-like of int, default=()
        Numbers of the layers of weights that are not trained; 0 is the first
        layer and -1 the output layer. Gradients are propagated through them,
        but they are not penalized. With ``normalization='batch'`` they are
        normalized by their running statistics in training too, which do not
        change. At least one layer must be trained.

    stratify_validation : bool or None, default=None
        Whether the validation set that is split off has the classes in the
        same proportions as y. None stratifies in binary classification only, as
        scikit-learn does. True is refused for regression, for multilabel y and
        with a splitter.

    scoring : str, callable or None, default=None
        The score on the validation set, which `early_stopping` monitors. None
        means accuracy for a classifier and R2 for a regressor, as in
        scikit-learn; 'loss' means minus the loss without its penalty. Otherwise
        the name of a scikit-learn scorer, or a callable ``scorer(estimator, X,
        y)`` whose greater values are better. The scorer is called with the
        estimator holding its current weights, with X as passed to `fit`, and
        with `sample_weight` if there are sample weights and the scorer accepts
        them.

    restore_best_weights : bool or 'auto', default='auto'
        Whether to keep the weights of the best epoch instead of the last ones.
        The best epoch is that of the greatest validation score if there is a
        validation set, otherwise that of the smallest training loss. (The loss
        of each batch is taken before its step, so the weights at the end of
        that epoch are usually slightly better.) 'auto' keeps the best weights
        with `early_stopping` only, as scikit-learn does. Not used by 'lbfgs'
        and `partial_fit`.

    max_time : float or None, default=None
        Time limit of the training in seconds. Training then ends with its
        current weights, after it has finished the step (with 'lbfgs', the
        iteration) that is in progress; at least one is taken. The limit is
        checked at intervals of some tens of milliseconds. An epoch that is cut
        short is recorded only if it is the first.

    average_weights : {{'ema', 'swa'}} or None, default=None
        Which average of the weights to keep, instead of the last weights:

        - 'ema': the exponential moving average over all steps, with decay
          ``min(0.999, (1 + t) / (10 + t))`` after step t;
        - 'swa': the mean of the weights at the end of each epoch in the last
          quarter of `max_iter` (Izmailov et al., 2018). If training ends before
          that, the last weights are kept. Not available with
          ``normalization='batch'``.

        Scores on the validation set are those of the averaged weights.
        `partial_fit` continues the training from the last weights. Not
        available with 'lbfgs'.

    record : set of {{'gradients', 'activations', 'weights'}} or None, default=None
        Which measures `history_` records after each epoch in addition to the
        losses. Each is a list with an entry for each layer, measured on the
        first 1000 samples of the training set:

        - 'gradients': 'gradient_norms', the Euclidean norms of the mean
          gradient of the loss with respect to `coefs_`, 0 for frozen layers. A
          warning is issued, at the start of the training or after an epoch, if
          gradients vanish or explode on their way back to the first layer that
          is trained (Glorot and Bengio, 2010; Pascanu et al., 2013);
        - 'activations': 'dead_units', for each hidden layer the fraction of
          units whose output is the same for all samples, as that of a relu that
          is never above 0; and 'saturated_units', the fraction of units with a
          bounded activation whose output, for more than half of the samples,
          is within a hundredth of its range of one of the bounds;
        - 'weights': 'weight_norms', the Euclidean norms of `coefs_`.

    n_estimators : int, default=1
        Number of networks that are trained together, from different initial
        weights on the same batches. Predictions (probabilities) and losses are
        means over the networks. If greater than 1, the arrays in `coefs_` and
        `biases_` have an additional first axis of this length. Not
        available with 'lbfgs'. `init` must not give all networks the same
        weights."""


def _solvers(name, take=True):
    """The optimizers that take a parameter, or those that do not."""
    return [solver for solver in OPTIMIZERS if (name in OPTIMIZER_SETTINGS[solver]) == take]


def parameters(own):
    """PARAMETERS with those of one estimator, and with what the list of optimizers says."""
    sentences = {
        **{name: f"Used by {_listed(_solvers(name))}." for name in ("beta_1", "beta_2")},
        "momentum": f"Only used by {_listed(_solvers('momentum'))}.",
        "nesterovs_momentum": f"Only used by {_listed(_solvers('nesterovs_momentum'))}.",
        "epsilon": f"Not used by {_listed([*_solvers('epsilon', False), 'lbfgs'])}.",
        "l1_ratio": f"Not available with {_listed(['lbfgs', *_solvers('l1_ratio', False)])}.",
        "weight_decay": f"Only for {_listed(DECAYING)}, where None means 0.01. Refused with the"
        " other solvers; use `alpha` there.",
    }
    sentences = {name: _wrapped(sentence) for name, sentence in sentences.items()}
    normalizations = ", ".join(sorted(map(repr, {*NORMALIZATIONS} - {None})))
    return PARAMETERS.format(own=own, normalizations=normalizations, **sentences)


CLASSIFIER_PARAMETERS = """\
class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, ``{class_label: weight}``, by which
        `sample_weight` is multiplied; 1 for a class that is not named.
        'balanced' means ``n_samples / (n_classes * np.bincount(y))``, where each
        sample counts with its weight; `partial_fit` is not available then. For
        multilabel y, a list with one dict for each label; the weight of a
        sample is the product over its labels. Samples that are split off for
        validation keep these weights. Samples of `X_val` are weighted by
        `sample_weight_val` only, as in
        :class:`sklearn.ensemble.HistGradientBoostingClassifier`.

    loss : {'log_loss', 'focal', 'squared_error', 'hinge'}, default='log_loss'
        Loss to minimize:

        - 'log_loss': cross-entropy;
        - 'focal' (Lin et al., 2017): ``-(1 - p) ** gamma * log(p)``, where p is
          the probability of the true class; `loss_params` may set 'gamma'
          (default 2.0), which must not be negative;
        - 'squared_error': half the squared distance of the probabilities from
          the 0/1 targets, as in many textbooks;
        - 'hinge': ``max(0, 1 - z)`` for a positive and ``max(0, 1 + z)`` for a
          negative target if y is binary or multilabel, where z is the linear
          output; ``max(0, 1 - (z_true - max(z_other)))`` for more classes
          (Crammer and Singer, 2001). The classifier then has
          `decision_function` instead of `predict_proba`.

    label_smoothing : float, default=0.0
        Fraction of each target that is spread evenly over all classes (Szegedy
        et al., 2016), in [0, 1). For binary y and for each label of multilabel
        y, it is spread over 0 and 1. Only with 'log_loss'."""

REGRESSOR_PARAMETERS = f"""\
out_activation : str, default='auto'
        Activation of the output layer: one of those listed at `activation`, or
        'exp'. 'auto' means 'exp' for the losses 'poisson' and 'gamma', and
        'identity' otherwise. These two losses need positive predictions, so
        {_wrapped(f"they allow only {_listed(POSITIVE)}.")}"""

REGRESSOR_LOSS = """\
loss : str, default='squared_error'
        Loss to minimize, for target y and prediction p. For several targets it
        is the sum over them (but `loss_` reports the mean of 'squared_error',
        as in scikit-learn):

        - 'squared_error': ``(y - p) ** 2 / 2``;
        - 'poisson': half the Poisson deviance ``y * log(y / p) - y + p``; y
          must not be negative;
        - 'gamma': half the gamma deviance ``y / p - log(y / p) - 1``; y must be
          positive. Predictions begin at the mean of y; with 'poisson' they do
          unless ``init='auto'``, which is scikit-learn's start, near 1;
        - 'absolute_error': ``abs(y - p)``;
        - 'huber': ``(y - p) ** 2 / 2`` if ``abs(y - p) <= delta``, otherwise
          ``delta * (abs(y - p) - delta / 2)`` (Huber, 1964); `loss_params` may
          set 'delta' (default 1.0);
        - 'log_cosh': ``log(cosh(y - p))``;
        - 'quantile': the pinball loss (Koenker and Bassett, 1978);
          `loss_params` may set 'quantile' (default 0.5), a level in (0, 1) or
          an increasing list of levels. With several levels, the network has one
          output for each, and y must be a single target. `predict` sorts the
          outputs, so that they do not cross (Chernozhukov et al., 2010), and
          `score` is the mean of their D2 pinball scores."""

ATTRIBUTES = """\
loss_ : float
        Loss of the last epoch (with 'lbfgs', of the last iteration), including
        the penalty.

    best_loss_ : float or None
        Smallest loss of an epoch; None with `early_stopping`. Not set by
        'lbfgs'.

    best_iteration_ : int
        Number of the best epoch, counted from 1 over all entries of
        `history_`: the epoch with the greatest validation score if there is a
        validation set, otherwise the one with the smallest loss (with 'lbfgs',
        the last iteration). A warm start leaves it as it was if none of its
        epochs is better. 0 if no epoch was better than the start.

    history_ : dict of list
        Measures taken after each epoch (with 'lbfgs', after each iteration):
        'loss', 'learning_rate', 'seconds' (duration of the epoch, or the
        average duration if several epochs ran in one call of the engine),
        'validation_loss', 'validation_score', and what `record` asks for. A
        measure that is never taken has no list. Warm starts and `partial_fit`
        append to the lists; all have the same length, with NaN where a measure
        was not taken. ``pandas.DataFrame(est.history_)`` makes a table of them.

    loss_curve_ : list of float
        Loss of each epoch: the mean over its batches, each measured before its
        step; with 'lbfgs', of each iteration. It has length `n_iter_` after a
        first fit; warm starts and `partial_fit` append to it.

    validation_scores_ : list of float, or None
        {score}, or the score that `scoring` selects, on the validation set
        after each epoch; None without a validation set. Not set by 'lbfgs'.

    validation_loss_curve_ : list of float, or None
        Loss on the validation set after each epoch, without the penalty; None
        without a validation set. Not set by 'lbfgs'.

    best_validation_score_ : float or None
        Greatest value in `validation_scores_`; with `early_stopping`, the score
        of the weights that were kept, unless `restore_best_weights` is False.
        After a warm start on another validation set, the greatest score on that
        set, of the starting weights or of an epoch. None without a validation
        set. Not set by 'lbfgs'.

    t_ : int
        Number of training samples seen in all epochs, including those of
        earlier calls if training continued from them; 0 with 'lbfgs'.

    coefs_ : list of ndarray, of length n_layers - 1
        Weights of each layer, of shape (fan_in, fan_out); with a first axis of
        length `n_estimators` if that is greater than 1.

    intercepts_ : list of ndarray, of length n_layers - 1
        Intercepts of each layer, of shape (fan_out,).

    biases_ : list of ndarray, of length n_layers - 1
        The intercepts, in place of `intercepts_`, of a network whose outputs do
        not follow from `coefs_`, `intercepts_` and `activation` alone: with
        `normalization`, `residual`, several levels of the quantile loss, the
        hinge loss, or `n_estimators` greater than 1 (then with a first axis of
        that length). Converters that know scikit-learn's MLP would misread such
        a network; they find no `intercepts_` and stop.

    norm_scales_, norm_shifts_ : list of ndarray, of length n_layers - 2
        Scales and shifts of the units of each hidden layer, of shape (units,).
        Only with `normalization`.

    norm_means_, norm_variances_ : list of ndarray, of length n_layers - 2
        Running statistics of the units of each hidden layer, of shape
        (units,). Only with ``normalization='batch'``.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Only if X has feature names that are all strings.

    n_iter_ : int
        Number of epochs (with 'lbfgs', of iterations) in the last call.

    n_layers_ : int
        Number of layers, including the input and the output layer.

    n_outputs_ : int
        Number of outputs of the network.

    out_activation_ : str
        Activation of the output layer."""

REFERENCES = """\
Glorot, Bengio: Understanding the difficulty of training deep feedforward
    neural networks. AISTATS 2010.

    Kingma, Ba: Adam: A method for stochastic optimization. ICLR 2015."""
