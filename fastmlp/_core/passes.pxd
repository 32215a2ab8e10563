# A pass: what each thread of a team does with the micro-batches of a pass, phase by phase.
#
#   rows phase      each thread carries its row blocks forward through all layers, takes the loss
#                   and carries the deltas back; in small networks it also sums a partial gradient
#   barrier
#   gradient phase  each thread sums the gradient of its blocks of weights over the micro-batch; in
#                   the batch's last micro-batch it takes the optimizer's step on a block at once,
#                   while the block is in cache
#   barrier         with clip_norm: then a step phase, because it needs the whole gradient's norm
#   barrier         with max_norm: then a bound phase, because several blocks have a unit's weights
#
# A thread that has finished its work range takes units that others have not begun. The work is
# divided by rows for activations and deltas, by weights for gradients: one thread computes each
# element, in a fixed order, so its bits do not depend on the number of threads.
from fastmlp._core.backward cimport backward_rows
from fastmlp._core.batch_normalization cimport batch_normalized_rows, update_statistics
from fastmlp._core.embeddings cimport column_squares, is_column, step_column, sum_column
from fastmlp._core.forward cimport differentiate_rows, forward_rows
from fastmlp._core.gradients cimport (
    Gradient, add_partial, has_bias, place_gradient, sum_gradient, sum_partials,
)
from fastmlp._core.kernels cimport BATCH_NORMALIZATION, fastmlp_prepare_step, fastmlp_step
from fastmlp._core.network cimport (
    GRADIENT, N_CLOCK, ROW_BLOCK, STEP, WAIT, Block, Run, WorkRange, boundary, in_units, least,
)
from fastmlp._core.team cimport (
    fastmlp_barrier, fastmlp_claim, fastmlp_flush_denormals, fastmlp_lap, fastmlp_restore_denormals,
)
from fastmlp._core.updates cimport (
    average_block, block_squares, bound_units, step_block, whole_column,
)
from libc.math cimport INFINITY, sqrt
from libc.stdint cimport intptr_t, uint64_t


# One thread in a pass.
cdef struct Worker:
    int thread, n_threads
    char *scratch
    double *clock                       # or NULL
    size_t first_block, stop_block      # blocks of weights that it takes first
    WorkRange *ranges                   # work ranges of the blocks, in this phase
    WorkRange *spare                    # those of the next phase
    uint64_t n_steps                    # taken so far; every thread counts for itself


# A part of a batch that fits the workspace.
cdef struct MicroBatch:
    size_t epoch, batch                 # batch: of all epochs
    const intptr_t *rows                # (n_rows) row numbers
    size_t n_rows
    const intptr_t *all_rows            # (batch_rows) those of its batch
    bint first, last                    # whether it is the first, the last in its batch
    double batch_rows, weight           # its batch's number of rows, sum of their weights
    bint steps                          # whether a step follows
    fastmlp_step step


cdef inline MicroBatch cut_micro_batch(const Run *run, size_t number) noexcept nogil:
    """Micro-batch `number` of all epochs. The last ones of a short batch may have no rows."""
    cdef MicroBatch part
    cdef size_t i = number % run.micro_batches_per_batch, begin, end
    part.batch = number // run.micro_batches_per_batch
    part.epoch = part.batch // run.n_batches
    part.first, part.last = i == 0, i + 1 == run.micro_batches_per_batch
    begin = part.batch % run.n_batches * run.batch_size
    end = least(run.n_rows, begin + run.batch_size)
    part.batch_rows = part.weight = <double>(end - begin)
    if run.batch_weights is not NULL:
        part.weight = run.batch_weights[part.batch]
    part.steps = part.last and run.take_steps and part.weight != 0
    part.all_rows = run.order + part.epoch * run.order_stride + begin
    part.rows = part.all_rows + least(end - begin, i * run.micro_batch_rows)
    begin = least(end, begin + i * run.micro_batch_rows)
    part.n_rows = least(end - begin, run.micro_batch_rows)
    return part


cdef inline size_t n_row_blocks(const Run *run, size_t n_rows, int n_threads) noexcept nogil:
    """Number of ranges of a micro-batch's rows that threads take: those of partial gradients, or
    else row blocks, which stay in cache."""
    if run.n_partials:
        return run.n_partials
    if run.fixed_row_blocks:
        return in_units(n_rows, ROW_BLOCK)
    return in_units(in_units(n_rows, ROW_BLOCK), n_threads) * <size_t>n_threads


cdef inline void assign_rows(const Run *run, const Worker *worker, size_t n_rows) noexcept nogil:
    """Sets the row blocks that a thread takes first."""
    cdef size_t n = n_row_blocks(run, n_rows, worker.n_threads)
    cdef WorkRange *own = &run.row_ranges[worker.thread]
    own.next = n * <size_t>worker.thread // <size_t>worker.n_threads
    own.stop = n * <size_t>(worker.thread + 1) // <size_t>worker.n_threads


cdef inline void assign_blocks(const Worker *worker, WorkRange *ranges) noexcept nogil:
    """Sets the blocks of weights that a thread takes first: the same in every step, so that it
    finds its weights in its cache."""
    ranges[worker.thread].next = worker.first_block
    ranges[worker.thread].stop = worker.stop_block


cdef inline bint claim(
    const Worker *worker, WorkRange *ranges, int *victim, size_t *i,
) noexcept nogil:
    """Takes the next unit of a thread's own range, or else one that others have not begun."""
    cdef WorkRange *work
    while victim[0] < worker.n_threads:
        work = &ranges[(worker.thread + victim[0]) % worker.n_threads]
        i[0] = fastmlp_claim(&work.next)
        if i[0] < work.stop:
            return True
        victim[0] += 1
    return False


cdef inline void barrier(Run *run, const Worker *worker) noexcept nogil:
    fastmlp_barrier(&run.arrived, &run.barriers, worker.n_threads)


cdef inline void next_round(Run *run, Worker *worker) noexcept nogil:
    """A barrier after which the threads go through all blocks of weights once more. No thread reads
    the spare ranges before it."""
    assign_blocks(worker, worker.spare)
    barrier(run, worker)
    worker.ranges, worker.spare = worker.spare, worker.ranges


cdef inline Worker start_worker(const Run *run, int thread, int n_threads) noexcept nogil:
    cdef Worker worker
    cdef double low = run.cost / n_threads * thread, high = run.cost / n_threads * (thread + 1)
    cdef size_t i
    worker.thread, worker.n_threads = thread, n_threads
    worker.scratch = run.scratch + <size_t>thread * run.scratch_bytes
    worker.clock = NULL if run.clocks is NULL else run.clocks + thread * N_CLOCK
    worker.first_block = worker.stop_block = 0
    for i in range(run.n_blocks):
        worker.first_block += run.blocks[i].middle < low
        worker.stop_block += run.blocks[i].middle < high
    worker.ranges, worker.spare = run.block_ranges, run.spare_ranges
    worker.n_steps = run.n_steps
    fastmlp_lap(worker.clock, 0)
    return worker


cdef inline void rows_phase(Run *run, const MicroBatch *part, const Worker *worker) noexcept nogil:
    """Forward, loss and backward of the thread's rows."""
    cdef size_t n = n_row_blocks(run, part.n_rows, worker.n_threads), mr = run.kernels.mr
    cdef size_t i, row, m
    cdef int victim = 0
    cdef const intptr_t *rows
    cdef double *losses
    if run.normalization == BATCH_NORMALIZATION:
        batch_normalized_rows(
            run, part.rows, part.n_rows, worker.n_steps, part.weight, worker.thread,
            worker.n_threads, worker.scratch, worker.clock)
        return
    while claim(worker, run.row_ranges, &victim, &i):
        row = boundary(part.n_rows, mr, i, n)
        m = boundary(part.n_rows, mr, i + 1, n) - row
        rows, losses = part.rows + row, run.row_losses + row // mr
        if run.n_partials:
            add_partial(run, i, rows, m, <size_t>worker.thread * run.thread_rows, not part.first,
                        worker.n_steps, losses, worker.scratch, worker.clock)
        elif m:
            forward_rows(run, rows, row, m, worker.n_steps, worker.clock)
            differentiate_rows(run, rows, row, m, losses, worker.scratch, worker.clock)
            backward_rows(
                run, rows, row, m, i, not part.first, NULL, worker.n_steps, worker.clock)


cdef inline void update_block(
    const Run *run, const Block *block, const fastmlp_step *step, const Gradient *gradient,
) noexcept nogil:
    """The step on one block, and the average of its weights unless the bound phase follows."""
    step_block(run, block, step, gradient)
    if run.average and run.max_norm == INFINITY:
        average_block(run, block)


cdef inline void column_phase(
    Run *run, const MicroBatch *part, const Worker *worker, size_t i,
) noexcept nogil:
    """The gradient phase of a block that is a column of a table."""
    cdef const Block *block = &run.blocks[i]
    sum_column(run, block, part.rows, part.n_rows, not part.first, worker.scratch)
    fastmlp_lap(worker.clock, GRADIENT)
    if part.steps and run.clip_norm < INFINITY:
        run.gradient_squares[i] = column_squares(run, block, &part.step)
    elif part.steps:
        step_column(run, block, &part.step, part.all_rows, <size_t>part.batch_rows)
    fastmlp_lap(worker.clock, STEP)


cdef inline void gradient_phase(
    Run *run, const MicroBatch *part, const Worker *worker,
) noexcept nogil:
    """The gradients of the thread's blocks, then the steps; with clip_norm the squares instead."""
    cdef size_t first_row_blocks = in_units(
        least(run.micro_batch_rows, <size_t>part.batch_rows), ROW_BLOCK), i
    cdef int victim = 0
    cdef const Block *block
    cdef Gradient gradient
    while claim(worker, worker.ranges, &victim, &i):
        block = &run.blocks[i]
        if is_column(run, block):
            column_phase(run, part, worker, i)
            continue
        if run.n_partials == 0:
            gradient = sum_gradient(run, block, part.rows, part.n_rows, not part.first,
                                    first_row_blocks, worker.scratch)
        elif part.last:
            gradient = sum_partials(run, block, worker.scratch)
        fastmlp_lap(worker.clock, GRADIENT)
        if part.steps and run.clip_norm < INFINITY:
            run.gradient_squares[i] = block_squares(run, block, &part.step, &gradient)
        elif part.steps:
            update_block(run, block, &part.step, &gradient)
        fastmlp_lap(worker.clock, STEP)


cdef inline void sum_losses(Run *run, const MicroBatch *part) noexcept nogil:
    cdef size_t i
    if part.first:
        run.batch_loss = 0
    for i in range(in_units(part.n_rows, run.kernels.mr)):
        run.batch_loss += run.row_losses[i]


cdef inline void squares_phase(
    Run *run, const fastmlp_step *step, const Worker *worker,
) noexcept nogil:
    """The squares of a gradient that already lies in the layers' gradient arrays."""
    cdef int victim = 0
    cdef size_t i
    cdef Gradient gradient
    while claim(worker, worker.ranges, &victim, &i):
        if is_column(run, &run.blocks[i]):
            run.gradient_squares[i] = column_squares(run, &run.blocks[i], step)
            continue
        gradient = place_gradient(run, &run.blocks[i], worker.scratch)
        run.gradient_squares[i] = block_squares(run, &run.blocks[i], step, &gradient)


cdef inline void clip_to_norm(const Run *run, fastmlp_step *step) noexcept nogil:
    """Scales the step so that the whole gradient has at most the norm clip_norm."""
    cdef double squares = 0
    cdef size_t i
    for i in range(run.n_blocks):
        squares += run.gradient_squares[i]
    step.scale *= min(1.0, run.clip_norm / (sqrt(squares) + 1e-6))  # PyTorch's formula


cdef inline void step_phase(
    Run *run, const fastmlp_step *step, const Worker *worker, const intptr_t *rows, size_t n_rows,
) noexcept nogil:
    """Steps on the thread's blocks, by the gradient in the layers' gradient arrays. `rows` are
    those of the batch, or NULL if they are not known."""
    cdef int victim = 0
    cdef size_t i
    cdef Gradient gradient
    while claim(worker, worker.ranges, &victim, &i):
        if is_column(run, &run.blocks[i]):
            step_column(run, &run.blocks[i], step, rows, n_rows)
            continue
        gradient = place_gradient(run, &run.blocks[i], worker.scratch)
        update_block(run, &run.blocks[i], step, &gradient)
    fastmlp_lap(worker.clock, STEP)


cdef inline void bound_phase(Run *run, const Worker *worker) noexcept nogil:
    """Bounds the norms of the incoming weights of units, column by column of blocks."""
    cdef int victim = 0
    cdef size_t i
    cdef const Block *block
    cdef Block column
    while claim(worker, worker.ranges, &victim, &i):
        block = &run.blocks[i]
        if not is_column(run, block) and has_bias(&run.layers[block.layer], block):
            column = whole_column(run, block)
            bound_units(run, &column)
            if run.average:
                average_block(run, &column)
    fastmlp_lap(worker.clock, STEP)


cdef inline double penalty_of(const Run *run) noexcept nogil:
    """The penalty before the step that was taken."""
    cdef double squares = 0
    cdef size_t i
    for i in range(run.n_blocks):
        squares += run.squares[i]
    return 0.5 * run.settings.alpha * squares


cdef inline void finish_batch(Run *run, const MicroBatch *part) noexcept nogil:
    """What one thread does after a micro-batch, while the others begin the next."""
    cdef bint moved = part.steps or (run.update_statistics and part.last and part.weight != 0)
    if moved and run.normalization == BATCH_NORMALIZATION:
        update_statistics(run, part.batch_rows / <double>run.batch_size)
    if part.steps:
        run.losses[part.epoch] += (
            (run.batch_loss + penalty_of(run)) / part.weight * part.batch_rows)
        run.n_steps += 1


cdef inline void pass_micro_batches(
    Run *run, size_t begin, size_t end, int thread, int n_threads,
) noexcept nogil:
    """What one thread of a team does with micro-batches begin..end of a pass."""
    cdef uint64_t denormals = fastmlp_flush_denormals()
    cdef Worker worker = start_worker(run, thread, n_threads)
    cdef MicroBatch part = cut_micro_batch(run, begin)
    cdef size_t number
    assign_rows(run, &worker, part.n_rows)
    barrier(run, &worker)
    for number in range(begin, end):
        part = cut_micro_batch(run, number)
        worker.ranges, worker.spare = run.block_ranges, run.spare_ranges
        assign_blocks(&worker, worker.ranges)  # no thread reads them in the rows phase
        rows_phase(run, &part, &worker)
        barrier(run, &worker)
        fastmlp_lap(worker.clock, WAIT)

        if number + 1 < end:  # no thread reads the ranges of rows in the phases that follow
            assign_rows(run, &worker, cut_micro_batch(run, number + 1).n_rows)
        if part.steps:
            fastmlp_prepare_step(
                run.optimizer, &run.settings, worker.n_steps + 1,
                run.rates[run.rate_stride * (worker.n_steps - run.first_step)], part.weight,
                &part.step)
        gradient_phase(run, &part, &worker)
        if thread == 0:
            sum_losses(run, &part)
        if part.steps and run.clip_norm < INFINITY:
            next_round(run, &worker)
            clip_to_norm(run, &part.step)
            step_phase(
                run, &part.step, &worker, part.all_rows, <size_t>part.batch_rows)
        if part.steps and run.max_norm < INFINITY:
            next_round(run, &worker)
            bound_phase(run, &worker)
        barrier(run, &worker)
        fastmlp_lap(worker.clock, WAIT)
        if thread == 0:
            finish_batch(run, &part)
        worker.n_steps += part.steps
    fastmlp_restore_denormals(denormals)


cdef inline void step_by_gradient(Run *run, int thread, int n_threads) noexcept nogil:
    """What one thread of a team does in a step by the gradient in the layers' gradient arrays."""
    cdef uint64_t denormals = fastmlp_flush_denormals()
    cdef Worker worker = start_worker(run, thread, n_threads)
    cdef fastmlp_step step
    fastmlp_prepare_step(
        run.optimizer, &run.settings, worker.n_steps + 1, run.rates[0], run.step_weight, &step)
    next_round(run, &worker)
    if run.clip_norm < INFINITY:
        squares_phase(run, &step, &worker)
        next_round(run, &worker)
        clip_to_norm(run, &step)
    step_phase(run, &step, &worker, NULL, 0)
    if run.max_norm < INFINITY:
        next_round(run, &worker)
        bound_phase(run, &worker)
    barrier(run, &worker)
    fastmlp_restore_denormals(denormals)
