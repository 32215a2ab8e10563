/* The coefficients that depend on a step's number: learning rates with their corrections, computed
 * once per step in double. steps.h has the steps themselves. Formulas and the order of operations
 * are PyTorch's. */
#include "fastmlp.h"

#include <math.h>

/* Nadam's momentum in step t, which rises to beta_1 (Dozat, 2016, with his momentum_decay). */
static double momentum_of(double beta_1, double t) {
    return beta_1 * (1 - 0.5 * pow(0.96, 0.004 * t));
}

/* The product of the momenta up to step t. After 100 steps it is below 1e-29 and taken as 0. */
static double momentum_product(double beta_1, uint64_t t) {
    double product = t > 100 ? 0 : 1;
    for (uint64_t i = 1; product > 0 && i <= t; i++)
        product *= momentum_of(beta_1, (double)i);
    return product;
}

/* Radam's rectification of the variance (r_t in Liu et al., 2020); 0 while it is not defined. */
static double rectification(double beta_2, double t) {
    const double decayed = pow(beta_2, t), last = 2 / (1 - beta_2) - 1;
    const double rho = last - 2 * t * decayed / (1 - decayed);
    if (!(rho > 5))
        return 0;
    return sqrt((rho - 4) * (rho - 2) * last / ((last - 4) * (last - 2) * rho));
}

/* `reach` is how far this step moves a weight whose gradient has been 1 in all steps so far, before
 * division by the optimizer's denominator. The soft threshold of the L1 penalty is proportional to
 * it, so training converges to where loss and penalty balance (Yun, Lozano and Yang, 2021). */
void fastmlp_prepare_step(int optimizer, const fastmlp_settings *settings, uint64_t t,
                          double learning_rate, double weight, fastmlp_step *step) {
    *step = (fastmlp_step){
        .scale = 1 / weight,
        .l2 = settings->alpha * (1 - settings->l1_ratio),
        .learning_rate = learning_rate,
        .decay = learning_rate * settings->weight_decay,
        .l1_ratio = settings->l1_ratio,
        .momentum = settings->momentum,
        .look_ahead = settings->nesterov ? settings->momentum : 1,
        .own = settings->nesterov ? 1 : 0,
        .beta_1 = settings->beta_1,
        .beta_2 = settings->beta_2,
        .epsilon = settings->epsilon,
    };
    double reach = learning_rate, first = 1, root = 1;
    if (optimizer != FASTMLP_sgd) { /* the bias corrections of the moments */
        first = 1 - pow(settings->beta_1, (double)t);
        root = sqrt(1 - pow(settings->beta_2, (double)t));
    }
    switch ((enum fastmlp_optimizer)optimizer) {
    case FASTMLP_sgd: {
        const double momentum = settings->momentum, pushes = (double)t + step->own;
        if (settings->scheduled) {
            step->learning_rate = 1;
            step->look_ahead *= learning_rate;
            step->own *= learning_rate;
        }
        if (settings->l1_ratio == 0)
            break;
        reach *= momentum < 1 ? (1 - pow(momentum, pushes)) / (1 - momentum) : pushes;
        break;
    }
    case FASTMLP_adamw:
        step->epsilon *= root;
        /* fall through */
    case FASTMLP_adam:
        step->learning_rate *= root;
        step->learning_rate /= first;
        reach *= root;
        break;
    case FASTMLP_nadam: {
        const double own = momentum_of(settings->beta_1, (double)t);
        const double next = momentum_of(settings->beta_1, (double)t + 1);
        const double product = momentum_product(settings->beta_1, t);
        step->epsilon *= root;
        step->ahead = learning_rate * root * (1 - own) / (1 - product);
        step->learning_rate *= root * next / (1 - product * next);
        reach = step->ahead + step->learning_rate * first;
        break;
    }
    case FASTMLP_radam:
        step->adaptive = rectification(settings->beta_2, (double)t);
        step->learning_rate /= first;
        if (step->adaptive > 0) {
            step->learning_rate *= step->adaptive * root;
            reach *= step->adaptive * root;
            step->adaptive = 1;
        } else {
            step->epsilon = 1;
        }
        break;
    case FASTMLP_rmsprop:
    case FASTMLP_adagrad:
    case FASTMLP_lion:
    case FASTMLP_rprop:
    case FASTMLP_N_OPTIMIZERS:
        break;
    }
    step->threshold = settings->alpha * settings->l1_ratio / weight * reach;
}

void fastmlp_rescale_step(int optimizer, const fastmlp_settings *settings, double factor,
                          fastmlp_step *step) {
    step->threshold *= factor;
    if (optimizer == FASTMLP_sgd && settings->scheduled) {
        step->look_ahead *= factor;
        step->own *= factor;
    } else {
        step->learning_rate *= factor;
        step->ahead *= factor;
    }
}
