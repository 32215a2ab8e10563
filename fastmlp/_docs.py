"""What the docstrings of the two estimators share, indented as it stands in them."""

PARAMETERS = """\
hidden_layer_sizes : int or array-like of int of shape (n_layers - 2,), default=(100,)
        Units of each hidden layer, from the input side to the output side. An
        empty tuple makes a linear model.

    activation : {'identity', 'logistic', 'tanh', 'relu'}, default='relu'
        Activation of all hidden layers:

        - 'identity': f(x) = x, a linear bottleneck;
        - 'logistic': f(x) = 1 / (1 + exp(-x));
        - 'tanh': f(x) = tanh(x);
        - 'relu': f(x) = max(0, x).

    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        How the weights are found: 'adam' (Kingma and Ba, 2014) and 'sgd' take a
        step after each mini-batch, 'lbfgs' is SciPy's quasi-Newton method over
        the whole data set, often the better choice below a few thousand
        samples.

    alpha : float, default=0.0001
        Strength of the L2 penalty on the coefficients (not on the intercepts).
        ``alpha / 2 * sum(coefs ** 2)``, divided by the number of samples in the
        batch (by the sum of their weights, if given), is added to the loss.

    batch_size : int or 'auto', default='auto'
        Samples in a mini-batch; 'auto' is ``min(200, n_samples)``. A number
        above ``n_samples`` is clipped with a warning. Not used by 'lbfgs'.

    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Schedule of the step size, for ``solver='sgd'`` only:

        - 'constant' stays at `learning_rate_init`;
        - 'invscaling' is ``learning_rate_init / (t + 1) ** power_t`` after
          each epoch, where t counts the samples seen so far;
        - 'adaptive' stays at `learning_rate_init` while training improves, and
          is divided by 5 wherever the stopping rule (see `tol`) would have
          ended the training. It ends once the rate is 1e-6 or less.

    learning_rate_init : float, default=0.001
        First step size. Not used by 'lbfgs'.

    power_t : float, default=0.5
        Exponent of the 'invscaling' schedule.

    max_iter : int, default=200
        Most epochs (passes over the training samples) that 'sgd' and 'adam'
        run, most iterations of 'lbfgs'.

    shuffle : bool, default=True
        Whether to visit the samples in a new random order in each epoch. Not
        used by 'lbfgs'.

    random_state : int, RandomState instance or None, default=None
        Source of the first weights, of the validation split and of the order of
        samples, drawn in this sequence. An int gives the same result in every
        run.

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
        Whether to judge progress by the score on a validation set that is split
        off the training data, and to keep the weights of the best epoch. The
        split is stratified in binary classification only. Not used by 'lbfgs'.

    validation_fraction : float, default=0.1
        Share of the samples to set aside for `early_stopping`, in [0, 1).

    beta_1 : float, default=0.9
        Decay of Adam's first moment per step, in [0, 1).

    beta_2 : float, default=0.999
        Decay of Adam's second moment per step, in [0, 1).

    epsilon : float, default=1e-8
        Added to the root of Adam's second moment, for numerical stability.

    n_iter_no_change : int or np.inf, default=10
        Number of epochs in a row without an improvement by `tol` that 'sgd' and
        'adam' bear with.

    max_fun : int, default=15000
        Most evaluations of the loss by 'lbfgs'.

    dtype : {'auto', 'float32', 'float64'}, default='auto'
        Floating point type of the weights and of all arithmetic. 'auto' is
        float32 for X of float32, else float64; a warm start and `partial_fit`
        then keep the type of the weights. X may have any type, and is never
        converted as a whole.

    n_threads : int or None, default=None
        Threads to compute with. None takes OMP_NUM_THREADS if set, else the
        available physical cores; a negative number counts from their end, -1
        being all of them. The result is the same, bit by bit, for any number."""

ATTRIBUTES = """\
loss_ : float
        Loss of the last epoch (iteration of 'lbfgs'), penalty included.

    best_loss_ : float or None
        Smallest loss of an epoch; None with `early_stopping`. Not set by
        'lbfgs'.

    loss_curve_ : list of float
        Loss of each epoch: the mean over its batches, each taken before its
        step. Of length `n_iter_`, but warm starts and `partial_fit` append to
        it. Not set by 'lbfgs'.

    validation_scores_ : list of float, as long as `loss_curve_`, or None
        {score} on the validation set after each epoch; None without
        `early_stopping`. Not set by 'lbfgs'.

    best_validation_score_ : float or None
        Greatest of `validation_scores_`: the score of the weights that were
        kept. None without `early_stopping`. Not set by 'lbfgs'.

    t_ : int
        Number of training samples seen in all epochs, those of earlier calls
        counted where training went on from them; 0 with 'lbfgs'.

    coefs_ : list of ndarray, of length n_layers - 1
        Weights of each layer, of shape (fan_in, fan_out).

    intercepts_ : list of ndarray, of length n_layers - 1
        Intercepts of each layer, of shape (fan_out,).

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
