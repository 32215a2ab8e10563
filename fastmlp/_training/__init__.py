"""The training of a network: epochs, rates, stopping rules, records. Handles no estimator."""
