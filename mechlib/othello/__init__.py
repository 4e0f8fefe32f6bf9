"""Othello on six by six squares, and what a network trained on its moves knows of the board.

games    the rules, a whole batch of boards at a time, and random games
scores   illegal moves, and the loss beside the least possible one
probes   reading the board out of the stream, and what that has to beat
edits    changing the board in the stream, and counting what the model makes of it
growth   probe and edit at one layer, for a table over training
"""
