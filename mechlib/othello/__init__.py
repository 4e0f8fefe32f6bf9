"""Othello on six by six squares, and what a network trained on its moves knows of the board.

games   the rules, a whole batch of boards at a time, and random games
"""
