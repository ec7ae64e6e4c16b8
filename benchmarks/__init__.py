"""cachewright and its peers in one run: `python -m benchmarks` measures, compares with the targets and reports.

Modules: `rows` says what a row, a case and a target are; `stage` and `timing` are what cases measure with; `running`
runs the cases of a row in turn; `verdicts` turns samples into medians and ratios; `report` and `charts` show them. The
rows are in `l1`, `l2`, `codecs`, `stampedes`, `tags` and `growth`; how peers are used is in `peers`.
"""
