"""A small network that sees, and what its units answer to (chapter 1).

strokes     ten shapes and the test figures, drawn by code
convnet     three convolutional layers, and the activations of each
tuning      what a unit answers to: arcs, lines and corners turned by degrees; the curve rule
synthesis   the picture that a unit likes most, by ascending its gradient
matching    which unit of one network is which unit of another
"""
