"""How each peer is used, one product a file, each in the best configuration that its documentation shows.

Products are imported inside the functions, so that one which is not installed is reported as missing by the run and
takes nothing else with it. What must not be here: targets, and cachewright.
"""
