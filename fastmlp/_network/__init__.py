"""Networks: their architecture, arrays in panels, number of threads. Contains no training."""
