/* The lists of fastmlp.h and kernel_list.h as strings and numbers, for Python. */
#ifndef FASTMLP_NAMES_H
#define FASTMLP_NAMES_H

#include "fastmlp.h"

#include <math.h>

#define FASTMLP_NAME(c, name, ...) #name,
static const char *const fastmlp_activation_names[] = {FASTMLP_ACTIVATIONS(FASTMLP_NAME, _)};
static const char *const fastmlp_output_names[] = {FASTMLP_OUTPUTS(FASTMLP_NAME, _)};
static const char *const fastmlp_loss_names[] = {FASTMLP_LOSSES(FASTMLP_NAME, _)};
static const char *const fastmlp_optimizer_names[] = {FASTMLP_OPTIMIZERS(FASTMLP_NAME, _)};
static const char *const fastmlp_normalization_names[] = {FASTMLP_NORMALIZATIONS(FASTMLP_NAME, _)};
static const char *const fastmlp_source_names[] = {FASTMLP_SOURCES(FASTMLP_NAME, _)};
static const char *const fastmlp_embedding_names[] = {FASTMLP_EMBEDDINGS(FASTMLP_NAME, _)};
static const char *const fastmlp_isa_names[] = {FASTMLP_ISAS(FASTMLP_NAME, _)};

#define FASTMLP_LOW(c, name, low, high, positive) low,
static const double fastmlp_output_lows[] = {FASTMLP_OUTPUTS(FASTMLP_LOW, _)};
#define FASTMLP_HIGH(c, name, low, high, positive) high,
static const double fastmlp_output_highs[] = {FASTMLP_OUTPUTS(FASTMLP_HIGH, _)};
#define FASTMLP_POSITIVE(c, name, low, high, positive) positive,
static const int fastmlp_output_positive[] = {FASTMLP_OUTPUTS(FASTMLP_POSITIVE, _)};
#define FASTMLP_LOSS_OUTPUT(c, name, output, targets) FASTMLP_OUTPUT_##output,
static const int fastmlp_loss_outputs[] = {FASTMLP_LOSSES(FASTMLP_LOSS_OUTPUT, _)};
#define FASTMLP_LOSS_TARGETS(c, name, output, targets) #targets,
static const char *const fastmlp_loss_targets[] = {FASTMLP_LOSSES(FASTMLP_LOSS_TARGETS, _)};
#define FASTMLP_SLOTS(c, name, slots, ...) slots,
static const int fastmlp_optimizer_slots[] = {FASTMLP_OPTIMIZERS(FASTMLP_SLOTS, _)};
#define FASTMLP_DECAYS(c, name, slots, decays, settings) decays,
static const int fastmlp_optimizer_decays[] = {FASTMLP_OPTIMIZERS(FASTMLP_DECAYS, _)};
#define FASTMLP_SETTINGS(c, name, slots, decays, settings) settings,
static const char *const fastmlp_optimizer_settings[] = {FASTMLP_OPTIMIZERS(FASTMLP_SETTINGS, _)};
#define FASTMLP_TRAINED(c, name, trained, running) trained,
static const int fastmlp_normalization_trained[] = {FASTMLP_NORMALIZATIONS(FASTMLP_TRAINED, _)};
#define FASTMLP_RUNNING(c, name, trained, running) running,
static const int fastmlp_normalization_running[] = {FASTMLP_NORMALIZATIONS(FASTMLP_RUNNING, _)};

/* The kernels as C text, and where their pointers lie in the table. */
typedef struct {
    const char *returns, *name, *arguments; /* arguments in parentheses */
    const char *list;                       /* "" if the kernel exists once */
    size_t offset;                          /* bytes, in fastmlp_kernels */
} fastmlp_signature;
#define KERNEL(returns, name, arguments)                                                           \
    {#returns, #name, #arguments, "", offsetof(fastmlp_kernels, name)},
#define KERNELS(returns, name, LIST, arguments)                                                    \
    {#returns, #name, #arguments, #LIST, offsetof(fastmlp_kernels, name)},
static const fastmlp_signature fastmlp_signatures[] = {
#include "kernel_list.h"
};
enum { FASTMLP_N_KERNELS = sizeof fastmlp_signatures / sizeof fastmlp_signatures[0] };

#if defined(__clang__)
#define FASTMLP_COMPILER "Clang " __clang_version__
#elif defined(__GNUC__)
#define FASTMLP_COMPILER "GCC " __VERSION__
#endif

#endif
