"""Training by SciPy's L-BFGS-B."""

from time import perf_counter

import numpy as np
import scipy.optimize
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.parallel import _get_threadpool_controller

from .baseline import FEW_ITERATIONS, warn_of_failure
from .progress import as_list


def _views(vector, parameters):
    """Views of a flat vector, shaped like the parameters."""
    ends = np.cumsum([a.size for arrays in parameters for a in arrays])
    parts = iter(np.split(vector, ends[:-1]))
    return tuple([next(parts).reshape(a.shape) for a in arrays] for arrays in parameters)


def fit_lbfgs(task):
    """Minimize the loss over all rows with SciPy's L-BFGS-B (Zhu, Byrd, Lu and Nocedal, 1997).

    SciPy's vectors are float64; the network computes in its own type, which is also that of the
    task's parameters.

    Parameters
    ----------
    task : Task
    """
    settings, record = task.settings, task.record
    network, parameters = task.network, task.parameters
    start = np.concatenate([a.ravel() for arrays in parameters for a in arrays])
    point, gradient = start.copy(), np.empty_like(start)
    current = _views(point, parameters)
    gradients = _views(gradient, parameters)
    accepted, loss = start, None
    deadline, late = settings.deadline(), False
    record.n_iter = 0
    record.loss_curve = as_list(record.loss_curve)
    before = len(record.loss_curve)

    def loss_and_gradient(x):
        nonlocal loss
        point[:] = x
        network.set_parameters(*current)
        loss = network.loss_and_gradient(task.dataset, float(settings.alpha), gradients)
        return loss, gradient.astype(np.float64)  # a copy: SciPy keeps it

    def accept(x):
        nonlocal accepted, late
        accepted = x.copy()
        record.loss = loss  # SciPy ends a line search at the point it accepts
        record.n_iter += 1
        record.loss_curve.append(loss)
        if settings.prints(record.n_iter):
            print("Iteration %d, loss = %.8f" % (record.n_iter, loss))
        task.history.add([loss], network)
        late = perf_counter() > deadline
        if late:
            raise StopIteration

    options = {"maxfun": settings.max_fun, "maxiter": settings.max_iter, "gtol": settings.tol}
    # BLAS's threads spin for about 20 ms after each of SciPy's products, on the cores that our team
    # needs; and the bits of SciPy's sums depend on the number of these threads.
    blas = _get_threadpool_controller().select(user_api="blas")
    try:
        with blas.limit(limits=1):
            result = scipy.optimize.minimize(
                loss_and_gradient,
                start,
                method="L-BFGS-B",
                jac=True,
                callback=accept,
                options=options,
            )
        if not late:
            accepted, record.loss = result.x, result.fun
            record.n_iter = min(result.nit, settings.max_iter)
            _check_optimize_result("lbfgs", result, settings.max_iter)  # warns, unless it converged
    finally:
        record.best_iteration = len(task.history)
        point[:] = accepted
        for arrays, views in zip(parameters, current, strict=True):
            for array, view in zip(arrays, views, strict=True):
                array[...] = view
    losses = record.loss_curve[before:] or [record.loss]
    warn_of_failure(
        task,
        losses,
        ended=not late and result.success,
        moved=lambda: record.n_iter > FEW_ITERATIONS,
    )
