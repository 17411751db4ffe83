# A file that goes with the charm.
