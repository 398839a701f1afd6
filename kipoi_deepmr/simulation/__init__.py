"""The paper's simulation, in which true causal effects are known: sequences, networks trained on them, and scores.

References
----------
Malina S, Cizin D, Knowles DA (2022). Deep Mendelian randomization. PLoS Comput Biol 18(10): e1009880, Methods.
"""
