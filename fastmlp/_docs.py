"""What the docstrings of the two estimators share, indented as it stands in them."""

PARAMETERS = """\
hidden_layer_sizes : int or array-like of int of shape (n_layers - 2,), default=(100,)
        Units of each hidden layer, from the input side to the output side. An
        empty tuple makes a linear model.

    activation : str or array-like of str of shape (n_layers - 2,), default='relu'
        Activation of all hidden layers, or one each:

        - 'identity': f(x) = x, a linear bottleneck;
        - 'logistic': f(x) = 1 / (1 + exp(-x));
        - 'tanh': f(x) = tanh(x);
        - 'relu': f(x) = max(0, x);
        - 'leaky_relu': f(x) = max(0.01 x, x) (Maas et al., 2013);
        - 'elu': f(x) = x above 0, exp(x) - 1 below (Clevert et al., 2016);
        - 'selu': 1.0507 times elu with 1.6733 (exp(x) - 1) below 0 (Klambauer
          et al., 2017), rounded here;
        - 'gelu': f(x) = x Phi(x), Phi the normal distribution function
          (Hendrycks and Gimpel, 2016);
        - 'silu': f(x) = x / (1 + exp(-x)) (Elfwing et al., 2018), also known as
          swish;
        - 'mish': f(x) = x tanh(softplus(x)) (Misra, 2020);
        - 'softplus': f(x) = log(1 + exp(x));
        - 'softsign': f(x) = x / (1 + abs(x));
        - 'hard_tanh': f(x) = max(-1, min(1, x)).

    solver : str, default='adam'
        How the weights are found. 'lbfgs' is SciPy's quasi-Newton method over
        the whole data set, often the better choice below a few thousand
        samples. The others take a step after each mini-batch:

        - 'sgd': gradient descent with `momentum`;
        - 'adam' (Kingma and Ba, 2014);
        - 'adamw' (Loshchilov and Hutter, 2019): adam with `weight_decay`;
        - 'nadam' (Dozat, 2016), adam with Nesterov's momentum;
        - 'radam' (Liu et al., 2020), adam with a rectified variance;
        - 'rmsprop' (Tieleman and Hinton, 2012), with decay `beta_2`;
        - 'adagrad' (Duchi et al., 2011);
        - 'lion' (Chen et al., 2023), with `weight_decay`; it wants a tenth of
          adam's learning rate, and a `beta_2` of 0.99;
        - 'rprop' (Riedmiller and Braun, 1993): the training set is one batch
          (`batch_size` must be 'auto', or as large), `learning_rate_init` the
          first step.

        Each follows PyTorch's optimizer of that name step by step, but 'adam',
        whose epsilon is where scikit-learn has it, and 'lion', which PyTorch
        lacks.

    alpha : float, default=0.0001
        Strength of the L2 penalty on the coefficients (not on the intercepts).
        ``alpha / 2 * sum(coefs ** 2)``, divided by the number of samples in the
        batch (by the sum of their weights, if given), is added to the loss.

    batch_size : int or 'auto', default='auto'
        Samples in a mini-batch; 'auto' is ``min(200, n_samples)``. A number
        above ``n_samples`` is clipped with a warning. Not used by 'lbfgs'.

    learning_rate : str or callable, default='constant'
        Schedule of the step size. The first three are for ``solver='sgd'``
        only; with another solver, they all mean 'constant', as in scikit-learn.
        The others set the rate of each step from the share t of the training
        that is done, steps over ``max_iter`` epochs of them:

        - 'constant' stays at `learning_rate_init`;
        - 'invscaling' is ``learning_rate_init / (t + 1) ** power_t`` after
          each epoch, where t counts the samples seen so far;
        - 'adaptive' stays at `learning_rate_init` while training improves, and
          is divided by 5 wherever the stopping rule (see `tol`) would have
          ended the training. It ends once the rate is 1e-6 or less;
        - 'cosine': ``learning_rate_init * (1 + cos(pi * t)) / 2`` (Loshchilov
          and Hutter, 2017);
        - 'exponential': ``learning_rate_init * 0.01 ** t``;
        - 'step': a tenth from the middle on, a hundredth from three quarters on
          (He et al., 2016);
        - 'one_cycle' (Smith and Topin, 2018): with a cosine's shape up from 1 /
          25 of `learning_rate_init` over the first 30 %, and down to 1e-4 / 25
          of it;
        - 'coslog4': ``learning_rate_init * (1 - cos(2 * pi * log2(1 + 15 * t)))
          / 2`` (Holzmüller et al., 2024);
        - a callable that is given an array of t and returns what
          `learning_rate_init` is multiplied by, a number or as many:
          ``lambda t: np.where(t < 0.9, 1, 0.1)``, for example.

        Training that follows such a schedule to its end is not warned of as not
        converged.

        Over calls of `partial_fit` t goes on, up to 1. Not for 'lbfgs' and
        'rprop', but for the first three.

    learning_rate_init : float, default=0.001
        First step size. Not used by 'lbfgs'.

    power_t : float, default=0.5
        Exponent of the 'invscaling' schedule.

    max_iter : int, default=200
        Most epochs (passes over the training samples), most iterations of
        'lbfgs'.

    shuffle : bool, default=True
        Whether to visit the samples in a new random order in each epoch. Not
        used by 'lbfgs'.

    random_state : int, RandomState instance or None, default=None
        Source of the first weights, of the validation split, of a seed for
        dropout and of the order of samples, drawn in this sequence. An int gives
        the same result in every run.

    tol : float, default=1e-4
        Smallest change that counts as an improvement of the training loss, or
        of the validation score with `early_stopping`. Training stops when more
        than `n_iter_no_change` epochs in a row bring none. For 'lbfgs', the
        largest gradient component at which it has converged.

    verbose : bool or int, default=False
        Whether to print the loss (and validation score) of each epoch.

    warm_start : bool, default=False
        Whether `fit` starts from the weights of the last call instead of new
        ones.

    momentum : float, default=0.9
        Share of the last update that is added to the next one, in [0, 1]. Only
        used by 'sgd'.

    nesterovs_momentum : bool, default=True
        Whether the momentum is Nesterov's. Only used by 'sgd'.

    early_stopping : bool, default=False
        Whether to judge progress by the score on a validation set, and to keep
        the weights of the best epoch (see `scoring` and
        `restore_best_weights`). The set is `X_val` if `fit` is given that, else
        it is split off the training data (see `validation_fraction`). Not used
        by 'lbfgs' and `partial_fit`.

    validation_fraction : float or cross-validation splitter, default=0.1
        Share of the samples to set aside for `early_stopping`, in [0, 1); or a
        splitter of scikit-learn's, whose first split is used, with a warning if
        it leaves samples out, as TimeSeriesSplit's does. `fit` takes no groups:
        where samples belong together, a PredefinedSplit says which are set
        aside. Not used if `fit` is given `X_val`.

    beta_1 : float, default=0.9
        Decay of the first moment per step, in [0, 1): of Adam and its kin, and
        of 'lion'.

    beta_2 : float, default=0.999
        Decay of the second moment per step, in [0, 1): of Adam and its kin, of
        'rmsprop', and of the momentum of 'lion'.

    epsilon : float, default=1e-8
        Added to the root of the second moment, for numerical stability. Not used
        by 'sgd', 'lion', 'rprop' and 'lbfgs'.

    n_iter_no_change : int or np.inf, default=10
        Number of epochs in a row without an improvement by `tol` that are borne
        with. Not used by 'lbfgs'.

    max_fun : int, default=15000
        Most evaluations of the loss by 'lbfgs'.

    dtype : {{'auto', 'float32', 'float64'}}, default='auto'
        Floating point type of the weights and of all arithmetic. 'auto' is
        float32 for X of float32, else float64; a warm start and `partial_fit`
        then keep the type of the weights. X may have any type, and is never
        converted as a whole.

    n_threads : int or None, default=None
        Threads to compute with. None takes OMP_NUM_THREADS if set, else the
        available physical cores; a negative number counts from their end, -1
        being all of them. The result is the same, bit by bit, for any number.

    {own}

    loss_params : dict or None, default=None
        Settings of the loss; see `loss`. A name that the loss does not have is
        refused.

    weight_decay : float or None, default=None
        Decoupled weight decay (Loshchilov and Hutter, 2019): each step also
        subtracts ``learning_rate * weight_decay * coefs``. Only for 'adamw' and
        'lion', where None is 0.01; refused with the others, where `alpha`
        does what it can do.

    l1_ratio : float, default=0.0
        Share of the L1 penalty in `alpha`, in [0, 1], as in
        :class:`sklearn.linear_model.ElasticNet`: the penalty is ``alpha *
        (l1_ratio * sum(abs(coefs)) + (1 - l1_ratio) / 2 * sum(coefs ** 2))``,
        divided as `alpha` is. A proximal step after the optimizer's, in its
        metric, sets small weights to exactly zero (Yun, Lozano and Yang, 2021);
        averages of weights are not (see `average_weights`). Not for 'lbfgs', 'lion' and 'rprop'.

    max_norm : float or None, default=None
        Bound on the Euclidean norm of each unit's incoming weights (Srivastava
        et al., 2014): after each step, larger ones are scaled down to it. Not
        for 'lbfgs'.

    dropout : float or array-like of float of shape (n_layers - 2,), default=0.0
        Share of the hidden units' outputs set to zero in training, in [0, 1),
        one for all hidden layers or one each, in units of 1 / 65536 (Srivastava
        et al., 2014). The others are divided by ``1 - dropout`` (inverted
        dropout), so nothing is done at prediction. What is dropped depends on
        `random_state`, the step, the layer and the row alone, not on threads.
        Not for 'lbfgs'.

    input_dropout : float, default=0.0
        The same of the inputs.

    normalization : {{'batch', 'layer'}} or None, default=None
        Normalization of each hidden layer's pre-activations, before its
        activation, with a learned scale and shift for each unit (not
        penalized):

        - 'batch' (Ioffe and Szegedy, 2015): by mean and variance of the batch,
          weighted if the samples are, in training, and by their running
          averages at prediction (momentum 0.1, of a batch that is shorter than
          the others that much less). Batches must have two samples or more. Not
          for 'lbfgs'. A batch is then worked through in one piece: memory grows
          with it.
        - 'layer' (Ba, Kiros and Hinton, 2016): by mean and variance over the
          units of the layer, of each sample by itself.

    residual : bool, default=False
        Whether a hidden layer that is as wide as the hidden layer below it adds
        its inputs to its outputs (He et al., 2016). Refused where there is no
        such layer.

    clip_norm : float or None, default=None
        Bound on the Euclidean norm of the gradient of all parameters, that of
        the L2 penalty included (Pascanu et al., 2013): a larger one is scaled
        down to it before the step. Not for 'lbfgs'.

    clip_value : float or None, default=None
        Bound on the absolute value of each element of the gradient, after
        `clip_norm`. Not for 'lbfgs'.

    warmup : float, default=0.0
        Share of the training, in [0, 1), over which the learning rate rises
        linearly from 0 to what the schedule says. The stopping rule (see `tol`)
        waits for its end, as it does for the peak of 'one_cycle'. Not for
        'lbfgs' and 'rprop'.

    init : str, callable, tuple or estimator, default='auto'
        The first weights:

        - 'auto': uniform with scikit-learn's bounds (Glorot and Bengio, 2010),
          intercepts too;
        - 'glorot_normal', 'glorot_uniform' (Glorot and Bengio, 2010),
          'he_normal', 'he_uniform' (He et al., 2015), 'lecun_normal',
          'lecun_uniform' (LeCun et al., 1998), of variance 2 / (fan_in +
          fan_out), 2 / fan_in and 1 / fan_in; 'orthogonal' (Saxe et al., 2014);
          'normal' with standard deviation `init_scale`; 'uniform' between
          -`init_scale` and `init_scale`: all with intercepts of zero;
        - a callable ``init(fan_in, fan_out, random_state)`` that returns an
          array of shape (fan_in, fan_out); intercepts are zero;
        - a pair of lists of arrays ``(coefs, intercepts)``;
        - a fitted MLPClassifier or MLPRegressor, scikit-learn's or these: its
          layers are copied where they have the shape of the layer of the same
          number (the output layer of a classifier, if the classes are the same
          too), the others are drawn as by 'auto', with a warning if all are
          (transfer learning; see `frozen_layers`). Cloning, as a grid search
          does, would unfit it: put it in a
          :class:`sklearn.frozen.FrozenEstimator` there.

        Not used where `warm_start` or `partial_fit` go on from weights.

    init_scale : float, default=0.05
        Standard deviation of 'normal', bound of 'uniform'.

    frozen_layers : array-like of int, default=()
        Layers of weights that are not trained, 0 being the first and -1 the
        output layer. Gradients are carried through them; they are not penalized
        either. With ``normalization='batch'`` they are normalized by their
        running averages, which stay, in training too. Not all of them.

    stratify_validation : bool or None, default=None
        Whether the validation set that is split off has the classes in the
        proportions of y. None does what scikit-learn does: in binary
        classification only. True is refused for regression, multilabel y and a
        splitter.

    scoring : str, callable or None, default=None
        What is measured on a validation set, and `early_stopping` watches: None
        is accuracy or R2, as in scikit-learn; 'loss' is minus the loss without
        its penalty; else the name of a scorer of scikit-learn's or a callable
        ``scorer(estimator, X, y)``, greater being better. It is given the
        estimator with the weights that it has then, X as it was given, and
        `sample_weight` if there is one and it takes it.

    restore_best_weights : bool or 'auto', default='auto'
        Whether the weights of the best epoch are kept, instead of the last
        ones: by the validation score where there is a validation set, else by
        the training loss (of each batch before its step, so that the weights
        are a little better still). 'auto' does so with `early_stopping` only,
        as scikit-learn does. Not used by 'lbfgs' and `partial_fit`.

    max_time : float or None, default=None
        Seconds after which training ends, with the weights that it has then:
        the step under way (iteration of 'lbfgs'), at least one, is finished. An
        epoch that is cut short counts only if it is the first.

    average_weights : {{'ema', 'swa'}} or None, default=None
        Which average of the weights of all steps is kept, instead of the last:

        - 'ema': the exponential moving average with decay ``min(0.999, (1 + t)
          / (10 + t))`` after step t;
        - 'swa': the mean of the weights at the end of each epoch in the last
          quarter of `max_iter` (Izmailov et al., 2018); if training ends
          earlier, the last weights. Not with ``normalization='batch'``.

        Scores on the validation set are those of the average. `partial_fit`
        trains on from the last weights. Not for 'lbfgs'.

    record : set of {{'gradients', 'activations', 'weights'}} or None, default=None
        What `history_` notes after each epoch beside the losses, each time a
        list with an entry for each layer. The first 1000 samples of the
        training set are looked at:

        - 'gradients': 'gradient_norms', Euclidean norms of the mean gradient of
          the loss by `coefs_`, 0 for frozen layers. Training then warns when
          gradients vanish or explode on their way to the first layer that is
          trained (Glorot and Bengio, 2010; Pascanu et al., 2013), also at the
          start;
        - 'activations': 'dead_units', the shares of the units of each hidden
          layer whose output is the same for all samples, as that of a relu that
          is never above 0; and 'saturated_units', of units of a bounded
          activation whose output is within a hundredth of its range of a bound
          for more than half of the samples;
        - 'weights': 'weight_norms', Euclidean norms of `coefs_`.

    n_estimators : int, default=1
        Number of networks that are trained at once, from different first
        weights on the same batches. Predictions (probabilities) and losses are
        the mean of theirs. Above 1, arrays in `coefs_` and `intercepts_` have a
        first axis of this length. Not for 'lbfgs'; `init` must not give them
        all the same weights."""

CLASSIFIER_PARAMETERS = """\
class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes, ``{class_label: weight}``, that multiply
        `sample_weight`; 1 for a class that is not named. 'balanced' is
        ``n_samples / (n_classes * np.bincount(y))``, with samples counted by
        their weights; `partial_fit` is not available then. A list has a dict
        for each label of a multilabel y, whose weights are multiplied. Samples
        that are split off for validation keep these weights, those of `X_val`
        have `sample_weight_val` alone, as in
        :class:`sklearn.ensemble.HistGradientBoostingClassifier`.

    loss : {'log_loss', 'focal', 'squared_error', 'hinge'}, default='log_loss'
        Loss to minimize:

        - 'log_loss': cross-entropy;
        - 'focal' (Lin et al., 2017): ``-(1 - p) ** gamma * log(p)`` of the
          true class' probability p; `loss_params` may have 'gamma' (2.0), not
          negative;
        - 'squared_error': half the squared distance of the probabilities from
          0 and 1, the textbooks' choice;
        - 'hinge': of the linear output z of a binary or a multilabel y,
          ``max(0, 1 - z)`` or ``max(0, 1 + z)``; of more classes ``max(0, 1 -
          (z_true - max(z_other)))`` (Crammer and Singer, 2001). There are no
          probabilities then, but `decision_function`.

    label_smoothing : float, default=0.0
        Share of a target that is spread over all classes (Szegedy et al.,
        2016), in [0, 1); of a label or a binary y, over 0 and 1. Only with
        'log_loss'."""

REGRESSOR_PARAMETERS = """\
out_activation : str, default='auto'
        Activation of the output layer: one of those of `activation`, or 'exp'.
        'auto' is 'exp' for 'poisson' and 'gamma', else 'identity'. With these
        two losses only 'exp', 'logistic' and 'softplus', which are positive."""

REGRESSOR_LOSS = """\
loss : str, default='squared_error'
        Loss to minimize, of target y and prediction p; of several targets it
        is the sum (of 'squared_error' `loss_` shows the mean, as in
        scikit-learn):

        - 'squared_error': ``(y - p) ** 2 / 2``;
        - 'poisson': half the Poisson deviance ``y * log(y / p) - y + p``; y
          must not be negative;
        - 'gamma': half the gamma deviance ``y / p - log(y / p) - 1``; y must be
          positive;
        - 'absolute_error': ``abs(y - p)``;
        - 'huber': ``(y - p) ** 2 / 2`` up to a distance of delta, and ``delta *
          (abs(y - p) - delta / 2)`` beyond (Huber, 1964); `loss_params` may
          have 'delta' (1.0);
        - 'log_cosh': ``log(cosh(y - p))``;
        - 'quantile': the pinball loss (Koenker and Bassett, 1978);
          `loss_params` may have 'quantile' (0.5), a level in (0, 1) or an
          increasing list of them. Several levels make a network with one output
          each, for a single target. `predict` sorts them, so that they do not
          cross (Chernozhukov et al., 2010), and `score` is the mean of their
          D2 pinball scores."""

ATTRIBUTES = """\
loss_ : float
        Loss of the last epoch (iteration of 'lbfgs'), penalty included.

    best_loss_ : float or None
        Smallest loss of an epoch; None with `early_stopping`. Not set by
        'lbfgs'.

    best_iteration_ : int
        Number of the best epoch, counted from 1 as in `history_`: of the
        greatest validation score where there is a validation set, else of the
        smallest loss (for 'lbfgs', the last iteration). 0 if none was better
        than the start.

    history_ : dict of list
        What was measured after each epoch (iteration of 'lbfgs'): 'loss',
        'learning_rate', 'seconds' that the epoch took (shared out evenly where
        several were run at once), 'validation_loss' and 'validation_score', and
        what `record` asks for. What was not measured has no list. Warm starts
        and `partial_fit` append to it; all lists stay of one length, with NaN
        where a measure was not taken. ``pandas.DataFrame(est.history_)`` makes
        a table of it.

    loss_curve_ : list of float
        Loss of each epoch: the mean over its batches, each taken before its
        step. Of length `n_iter_`, but warm starts and `partial_fit` append to
        it. Not set by 'lbfgs'.

    validation_scores_ : list of float, as long as `loss_curve_`, or None
        {score}, or what `scoring` says, on the validation set after each epoch;
        None without one. Not set by 'lbfgs'.

    validation_loss_curve_ : list of float, as long as `loss_curve_`, or None
        Loss on the validation set after each epoch, without the penalty; None
        without a validation set. Not set by 'lbfgs'.

    best_validation_score_ : float or None
        Greatest of `validation_scores_`: with `early_stopping` the score of the
        weights that were kept. None without a validation set. Not set by
        'lbfgs'.

    t_ : int
        Number of training samples seen in all epochs, those of earlier calls
        counted where training went on from them; 0 with 'lbfgs'.

    coefs_ : list of ndarray, of length n_layers - 1
        Weights of each layer, of shape (fan_in, fan_out).

    intercepts_ : list of ndarray, of length n_layers - 1
        Intercepts of each layer, of shape (fan_out,).

    norm_scales_, norm_shifts_ : list of ndarray, of length n_layers - 2
        Scale and shift of each hidden layer's units, of shape (units,). Only
        with `normalization`.

    norm_means_, norm_variances_ : list of ndarray, of length n_layers - 2
        Running averages of each hidden layer's units, of shape (units,). Only
        with ``normalization='batch'``.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where X has names that are all strings.

    n_iter_ : int
        Epochs (iterations of 'lbfgs') of the last call.

    n_layers_ : int
        Number of layers, input and output counted.

    n_outputs_ : int
        Number of outputs of the network.

    out_activation_ : str
        Activation of the output layer."""

REFERENCES = """\
Glorot, Bengio: Understanding the difficulty of training deep feedforward
    neural networks. AISTATS 2010.

    Kingma, Ba: Adam: A method for stochastic optimization. ICLR 2015."""
