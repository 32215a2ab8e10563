# The C interface (csrc/fastmlp.h) as Cython sees it. See there for what each kernel does.
from libc.stdint cimport int64_t, intptr_t, uint32_t, uint64_t

cdef extern from "fastmlp.h" nogil:
    enum:
        FASTMLP_N_ACTIVATIONS
        FASTMLP_N_OUTPUTS
        FASTMLP_N_LOSSES
        FASTMLP_N_OPTIMIZERS
        FASTMLP_N_NORMALIZATIONS
        FASTMLP_N_SOURCES
        FASTMLP_N_EMBEDDINGS
        FASTMLP_MAX_UNITS
        FASTMLP_N_ISAS
        FASTMLP_identity
        FASTMLP_relu
        FASTMLP_no_factor
        FASTMLP_where_positive
        FASTMLP_times_derivative
        NO_NORMALIZATION "FASTMLP_NORMALIZATION_none"
        BATCH_NORMALIZATION "FASTMLP_NORMALIZATION_batch"
        CATEGORY "FASTMLP_EMBEDDING_category"
        N_ROW_NORMALIZATIONS "FASTMLP_N_ROW_NORMALIZATIONS"

    ctypedef struct fastmlp_dropout:
        uint32_t key[2]
        uint32_t layer, threshold
        double scale

    ctypedef struct fastmlp_loss_settings:
        double delta, gamma, smoothing
        const double *levels

    ctypedef struct fastmlp_settings:
        double alpha, l1_ratio, weight_decay, momentum, beta_1, beta_2, epsilon
        int nesterov, scheduled

    ctypedef struct fastmlp_step:
        double scale, l2, decay, threshold, l1_ratio

    void fastmlp_prepare_step(
        int optimizer, const fastmlp_settings *settings, uint64_t t, double learning_rate,
        double weight, fastmlp_step *step) noexcept nogil

    void fastmlp_rescale_step(
        int optimizer, const fastmlp_settings *settings, double factor,
        fastmlp_step *step) noexcept nogil

    ctypedef struct fastmlp_csr:
        const int64_t *indptr
        const void *indices
        const void *data
        int wide_indices, double_data

    ctypedef struct fastmlp_table:
        const void *values
        const void *codes
        size_t n_values, n_codes
        int code_bytes

    ctypedef struct fastmlp_column:
        size_t source, unit, n_units, n_terms, table_row
        size_t scales, frequencies, phases, weights, biases

    ctypedef struct fastmlp_kernels:
        const char *isa
        size_t real_size, lanes, mr, nr
        void (**gather)(
            size_t m, size_t n, const char *x, const intptr_t *rows, ptrdiff_t row_stride,
            ptrdiff_t column_stride, void *a, size_t a_panel) noexcept nogil
        void (**embed)(
            size_t m, const fastmlp_column *column, const fastmlp_table *table,
            const intptr_t *rows, const void *parameters, void *a, size_t a_panel) noexcept nogil
        void (**embedding_gradient)(
            size_t m, const fastmlp_column *column, const fastmlp_table *table,
            const intptr_t *rows, const void *parameters, const void *d, size_t d_panel,
            void *sums, void *g, void *table_g) noexcept nogil
        void (*forward)(
            size_t m, size_t n_panels, size_t k, const void *a, size_t a_panel, const void *w,
            size_t w_row, size_t w_panel, const void *bias, int relu, void *c,
            size_t c_panel) noexcept nogil
        void (*forward_csr)(
            size_t m, size_t n_panels, const fastmlp_csr *x, const intptr_t *rows, const void *w,
            size_t w_panel, const void *bias, void *c, size_t c_panel) noexcept nogil
        void (*forward_narrow)(
            size_t row, size_t m, size_t n, size_t k, const void *a, size_t a_panel,
            const void *w, const void *bias, void *z) noexcept nogil
        void (*delta)(
            size_t m, size_t n_panels, size_t k, const void *d, size_t d_panel, const void *wt,
            int factor, const void *h, void *c, size_t c_panel) noexcept nogil
        void (*delta_narrow)(
            size_t row, size_t m, size_t n_panels, size_t k, const void *d, const void *wt,
            int factor, const void *h, void *c, size_t c_panel) noexcept nogil
        void (*gradient)(
            size_t m, size_t n_panels, size_t k, const void *a, size_t a_panel, const void *d,
            size_t d_panel, int accumulate, void *g, size_t g_panel, void *sums) noexcept nogil
        void (*gradient_narrow)(
            size_t m, size_t width, size_t n_panels, size_t k, const void *a, const void *d,
            size_t d_panel, int accumulate, void *g, size_t g_panel) noexcept nogil
        void (*gradient_csr)(
            size_t k, const fastmlp_csr *x, const intptr_t *rows, const void *d,
            void *g) noexcept nogil
        void (*column_sums)(
            size_t n_panels, size_t k, const void *d, size_t d_panel, int accumulate,
            void *g) noexcept nogil
        void (*column_sums_narrow)(
            size_t n, size_t k, const void *d, int accumulate, void *g) noexcept nogil
        void (*transpose)(size_t m, size_t n, const void *w, void *wt) noexcept nogil
        int (*all_finite)(size_t m, size_t n_panels, const void *a, size_t a_panel) noexcept nogil
        void (*to_columns)(size_t n, const void *c, size_t c_panel, void *z) noexcept nogil
        void (*from_columns)(size_t n, const void *z, void *c, size_t c_panel) noexcept nogil
        void (**activation)(size_t count, void *h) noexcept nogil
        void (**activation_derivative)(size_t count, void *h, void *derivative) noexcept nogil
        void (**output)(size_t n, void *z, size_t ldz) noexcept nogil
        void (**output_derivative)(
            size_t n, void *z, size_t ldz, void *derivatives) noexcept nogil
        void (*multiply_derivatives)(
            size_t n, void *z, size_t ldz, const void *derivatives) noexcept nogil
        double (**loss)(
            size_t m, size_t n, void *z, size_t ldz, const void *y, const intptr_t *rows,
            const double *weights, const fastmlp_loss_settings *settings) noexcept nogil
        double (**step)(
            size_t count, const fastmlp_step *step, int penalized, const void *g, void *w,
            void *state_1, void *state_2) noexcept nogil
        double (*gradient_squares)(
            size_t count, double scale, double l2, const void *g, const void *w) noexcept nogil
        void (*clip)(
            size_t count, double scale, double l2, double limit, void *g,
            const void *w) noexcept nogil
        bint (*bound)(size_t m, double max_norm, void *w) noexcept nogil
        bint (*bound_narrow)(size_t n_panels, size_t n, double max_norm, void *w) noexcept nogil
        void (*dropout)(
            size_t m, size_t n, const intptr_t *rows, const fastmlp_dropout *dropout, uint64_t step,
            void *h, void *derivative, size_t panel) noexcept nogil
        void (*dropout_csr)(
            size_t m, const fastmlp_csr *x, const intptr_t *rows, const fastmlp_dropout *dropout,
            uint64_t step, void *out) noexcept nogil
        double (*moments)(
            size_t m, size_t n_panels, const intptr_t *rows, const double *weights, const void *h,
            size_t panel, void *moments) noexcept nogil
        void (*combine_moments)(
            size_t n, size_t n_panels, const double *weights, const void *parts,
            void *moments) noexcept nogil
        void (*running_average)(
            size_t count, double momentum, const void *now, void *average) noexcept nogil
        void (*normalize)(
            size_t m, size_t n_panels, const void *mean, const void *variance, const void *scale,
            const void *shift, void *x, void *h, size_t panel) noexcept nogil
        void (*normalization_sums)(
            size_t m, size_t n_panels, const void *d, const void *x, size_t panel, int accumulate,
            void *scale, void *shift) noexcept nogil
        void (*normalize_delta)(
            size_t m, size_t n_panels, const intptr_t *rows, const double *weights, double total,
            const void *x, const void *variance, const void *scale, const void *sums, void *d,
            size_t panel) noexcept nogil
        void (**normalize_rows)(
            size_t m, size_t n, const void *trained, void *x, void *inverse, void *h,
            size_t panel) noexcept nogil
        void (**normalize_rows_delta)(
            size_t m, size_t n, const void *trained, const void *x, const void *inverse, void *d,
            size_t panel, int accumulate, void *sums) noexcept nogil
        void (*add)(size_t count, const void *x, void *y) noexcept nogil
        void (*multiply)(size_t count, const void *x, void *y) noexcept nogil
        void (*sum_arrays)(
            size_t count, size_t n, const void *x, size_t distance, void *out) noexcept nogil
        double (*multiply_adds)(size_t n, void *sink) noexcept nogil

    const fastmlp_kernels *fastmlp_kernel_table(int isa, int is_double)


# What kernels.pyx gives to the other modules.
cdef const fastmlp_kernels *kernels_of_type(bint is_double) noexcept nogil
cdef char *address(array) except? NULL
cdef bint is_double(dtype) except -1
