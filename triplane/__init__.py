"""The command line and the launcher: the only package that knows all others.

`topology` says what a cluster consists of, `components` turns that into command lines,
`processes` runs and ends them, `launcher` brings a cluster up and down, `status` asks it how it
is, `cli` speaks to the operator.
"""
