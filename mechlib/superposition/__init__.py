"""More features than dimensions, and how to get them back (chapter 17).

toys           the smallest models that store too much: many at once, one a seed or setting
geometry       how much of a dimension each feature gets; lines in a heap of such numbers
phases         two features in one dimension: by formula, and by training
planted        a layer whose features are known, because we chose them
dictionaries   sparse autoencoders: L1, TopK, BatchTopK
scores         what came back: known features, variance, sparsity, the dead and the doubled
networks       autoencoders on the neurons of trained networks: waves, spliced losses
tables         what takes longer than a page should wait for, one command each
"""
