"""All that touches a Kipoi model. Runs in this process or, sent as one file, in the model's own Python (3.6 or newer).

Python 3.6 syntax, standard library, numpy and kipoi alone, and no import from the rest of kipoi_deepmr.
"""
