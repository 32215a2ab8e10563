"""Training a network by settings: epochs, rates, stopping rules, records. Knows no estimator."""
