"""Addition modulo a prime: how it is learned late, and by which circuit.

modular     the task, the network, and its fast exact forward and backward pass
fourier     the Fourier basis on Z_P
progress    restricted and excluded loss, Gini, norms, phases by rule
clock       does a trained model add by rotation? the evidence, and clock told from pizza
sweeps      many small models trained as one batch; resumable tables
"""
